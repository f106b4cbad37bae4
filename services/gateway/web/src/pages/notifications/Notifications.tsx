import { Tabs } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { Refusal, refusalOf } from '../../api/client'
import { Head } from '../../parts/Head'
import { RefusalNote, Skeleton } from '../../parts/Note'
import { Catalogue } from './Catalogue'
import './notifications.css'
import { words } from './text'

const parts = { settings: 'notifications', accounts: 'smtp-accounts', mailboxes: 'mailboxes', sms: 'sms-settings', outbox: 'outbox', inbox: 'inbox' } as const
type Part = keyof typeof parts
const names = Object.keys(parts) as Part[]

/** Who is told of what, and how it went; each part as far as this server offers it. */
export function Notifications() {
  const t = words.useTexts()
  const go = useNavigate()
  const { tab } = useSearch({ strict: false }) as { tab?: string }
  const open = names.find((n) => n === tab) ?? 'settings'
  return (
    <div className="notifications">
      <Head title={t('title')} crumbs={[t('settings')]} />
      <Tabs value={open} onChange={(to) => void go({ to: '/notifications', search: to && to !== 'settings' ? { tab: to } : {}, replace: true })} keepMounted={false}>
        <Tabs.List aria-label={t('tabs')}>{names.map((n) => <Tabs.Tab key={n} value={n}>{t(`tab_${n}`)}</Tabs.Tab>)}</Tabs.List>
        {names.map((n) => (
          <Tabs.Panel key={n} value={n} pt="md">
            <Offered part={n} />
            {n === 'settings' && <Catalogue />}
          </Tabs.Panel>
        ))}
      </Tabs>
    </div>
  )
}

/** Says in a sentence what this server has of a part. */
function Offered({ part }: { part: Part }) {
  const t = words.useTexts()
  const { data, error, refetch } = useQuery({ queryKey: ['notifications', 'offered', part], queryFn: () => offers(parts[part]), staleTime: 60_000 })
  if (error) return <RefusalNote error={error} again={() => void refetch()} />
  if (data === undefined) return part === 'settings' ? null : <Skeleton rows={1} />
  if (data) return <p className="card say">{t('offered')} <a href="/docs">{t('docs')}</a>.</p>
  return <p className={part === 'settings' ? 'sm mid intro' : 'card say'}>{t(`none_${part}`)}</p>
}

/** Whether the server has a collection, as the description of its API says. */
async function offers(collection: string): Promise<boolean> {
  const response = await fetch('/openapi.json').catch(() => {
    throw new Refusal(0, 'UNREACHABLE', '')
  })
  if (!response.ok) throw refusalOf(response.status, await response.json().catch(() => null), response.headers)
  const { paths } = (await response.json()) as { paths: Record<string, unknown> }
  return `/v1/${collection}` in paths
}
