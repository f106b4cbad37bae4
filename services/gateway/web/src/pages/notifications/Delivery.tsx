import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import IconBack from '@tabler/icons-react/dist/esm/icons/IconArrowBack.mjs'
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import IconClock from '@tabler/icons-react/dist/esm/icons/IconClock.mjs'
import IconEye from '@tabler/icons-react/dist/esm/icons/IconEye.mjs'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { api, ask } from '../../api/client'
import { time } from '../../app/format'
import type { Delivery } from './data'
import { deliveryTexts } from './delivery-text'

const looks = {
  QUEUED: ['pend', IconClock], SENT: ['sure', IconCheck], DELIVERED: ['sure', IconCheck], READ: ['sure', IconEye], BOUNCED: ['clos', IconBack], FAILED: ['clos', IconAlert], STATE_UNSPECIFIED: ['plain', IconClock],
} as const

/** How a message stands: a word and an icon. */
export function StateChip({ of }: { of: Delivery['state'] }) {
  const t = deliveryTexts.useTexts()
  const [look, Icon] = looks[of ?? 'STATE_UNSPECIFIED']
  return <span className={`chip ${look}`}><Icon className="i" stroke={1.8} aria-hidden />{t(of ?? 'STATE_UNSPECIFIED')}</span>
}

const again = 1500 // in milliseconds

/** One message; asked again while it waits. */
export const useDelivery = (id: string, known?: Delivery) =>
  useQuery({
    queryKey: ['delivery', id],
    queryFn: () => ask(api.GET('/v1/outbox/{id}', { params: { path: { id } } })),
    initialData: known,
    refetchInterval: (q) => (q.state.data?.state === 'QUEUED' ? again : false),
  })

/** What became of a test: its state, what the server said, or why it failed. */
export function Result({ of }: { of: Delivery }) {
  const t = deliveryTexts.useTexts()
  const { data = of } = useDelivery(of.id ?? '', of)
  const last = data.latestAttempts?.at(-1)
  const error = data.error || last?.error
  return (
    <div className="note caution result" role="status">
      <div>
        <p className="row"><StateChip of={data.state} /> <bdi className="m">{data.recipient}</bdi></p>
        <p className="mid">{t(`${data.state ?? 'STATE_UNSPECIFIED'}_text`)} {data.state === 'QUEUED' && data.nextAttemptTime && `${t('next', { at: time(data.nextAttemptTime) })}.`}</p>
        {error && <p><b className="b">{t('error')}:</b> <bdi lang="en">{error}</bdi></p>}
        {last?.answer && <p><b className="b">{t('answer')}:</b> <code lang="en">{last.answer}</code></p>}
        <p><Link to="/notifications" search={{ tab: 'outbox', message: data.id }}>{t('inOutbox')}</Link></p>
      </div>
    </div>
  )
}
