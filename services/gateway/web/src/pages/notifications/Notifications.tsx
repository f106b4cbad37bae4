import { Tabs } from '@mantine/core'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { type ComponentType, lazy, Suspense } from 'react'
import { useMay } from '../../app/me'
import { Head } from '../../parts/Head'
import { Skeleton } from '../../parts/Note'
import { Inbox } from './Inbox'
import './notifications.css'
import { Rules } from './Rules'
import { words } from './text'

const part = (load: () => Promise<Record<string, unknown>>, name: string) => lazy(async () => ({ default: (await load())[name] as ComponentType }))

const parts = {
  settings: Rules,
  accounts: part(() => import('./Accounts'), 'Accounts'),
  mailboxes: part(() => import('./Channels'), 'Mailboxes'),
  sms: part(() => import('./Channels'), 'Sms'),
  webhooks: part(() => import('./Channels'), 'Webhooks'),
  templates: part(() => import('./Templates'), 'Templates'),
  outbox: part(() => import('./Outbox'), 'Outbox'),
  inbox: InboxPart,
} as const
type Part = keyof typeof parts
const names = Object.keys(parts) as Part[]

function InboxPart() {
  return <section className="card inbox-card"><Inbox /></section>
}

/** Who is told of what, by which way, and how it went. */
export function Notifications() {
  const t = words.useTexts()
  const go = useNavigate()
  const reads = useMay('System.Read')
  const { tab } = useSearch({ strict: false }) as { tab?: string }
  const may = reads ? names : (['inbox'] as Part[])
  const open = may.find((n) => n === tab) ?? may[0]
  const Shown = parts[open]
  return (
    <div className="notifications">
      <Head title={t('title')} crumbs={[t('settings')]} text={reads ? undefined : t('onlyInbox')} />
      <Tabs value={open} onChange={(to) => void go({ to: '/notifications', search: to && to !== 'settings' ? { tab: to } : {} })} keepMounted={false}>
        <Tabs.List aria-label={t('tabs')}>{may.map((n) => <Tabs.Tab key={n} value={n}>{t(`tab_${n}`)}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value={open} pt="md"><Suspense fallback={<Skeleton />}><Shown /></Suspense></Tabs.Panel>
      </Tabs>
    </div>
  )
}
