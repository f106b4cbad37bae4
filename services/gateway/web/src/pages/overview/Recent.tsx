import { Link } from '@tanstack/react-router'
import { durationOf, number, shortDateTime, span } from '../../app/format'
import { useMay } from '../../app/me'
import type { Emergency } from '../../app/posture'
import { shell } from '../../app/text'
import { type Kind, kindIcons } from '../../parts/Chip'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { useCounts, useRecent } from './data'
import { words } from './text'

/** What happened last, of all three kinds, with how many enforcers confirmed it. */
export function Recent() {
  const t = words.useTexts()
  const may = useMay('System.Read')
  const { data, error, refetch } = useRecent()
  const list = data?.first ?? []
  const counts = useCounts(list)
  return (
    <section className="card">
      <header>
        <div className="grow"><h2>{t('recent')}</h2></div>
        <Link to="/reports/freezes" className="sm m">{t('allReports')}</Link>
      </header>
      {!may && <Empty>{t('mayNot')}</Empty>}
      {error && <div className="inset"><RefusalNote error={error} again={() => void refetch()} /></div>}
      {may && !data && !error && <Skeleton rows={4} height={28} />}
      {data && list.length === 0 && <Empty>{t('noRecent')}</Empty>}
      <ul className="rec">{list.map((e, i) => <Row key={e.id} of={e} receipts={counts[i]} />)}</ul>
    </section>
  )
}

function Row({ of, receipts }: { of: Emergency; receipts?: { confirmed: number; of: number } }) {
  const t = words.useTexts()
  const say = shell.useTexts()
  const kind = (of.kind ?? 'FREEZE') as Kind
  const Icon = kindIcons[kind] ?? kindIcons.FREEZE
  return (
    <li>
      <span className="ric" title={say(kind)}><Icon className="i" stroke={1.6} aria-hidden /></span>
      <div className="grow">
        <Link to="/emergencies/$id" params={{ id: of.id ?? '' }} className="sm m cut name">{say(kind)}{of.justification && <>, <bdi>{of.justification}</bdi></>}</Link>
        <div className="xs dim cut">{line(of, t, say)}</div>
      </div>
      <div className="r nw who">
        <div className="xs mid cut"><bdi>{of.createdBy}</bdi></div>
        <div className="xs dim">{receipts && receipts.of > 0 && t('receipts', { count: receipts.confirmed, of: receipts.of })}</div>
      </div>
    </li>
  )
}

/** F-0087 · 21 Nov, 16:00, 3 h. Ended */
function line(of: Emergency, t: ReturnType<typeof words.useTexts>, say: ReturnType<typeof shell.useTexts>) {
  const status = say((of.status ?? 'ENDED') as 'ENDED')
  const start = shortDateTime(of.startTime ?? '')
  if (of.kind === 'LOCK' && !of.endTime) return t('once', { id: of.id, start, status })
  if (of.kind !== 'TERMINATION') {
    const whole = of.status === 'CANCELLED' ? Date.parse(of.endTime ?? '') - Date.parse(of.startTime ?? '') : durationOf(of.duration)
    return t('lasted', { id: of.id, start, length: span(whole), status })
  }
  const total = (of.ended ?? 0) + (of.open ?? 0) + (of.unreachable ?? 0)
  const ended = t('endedSessions', { count: of.ended ?? 0, of: total })
  return t('once', { id: of.id, start, status: of.lastEndedMs ? `${ended} ${t('inMs', { ms: number(of.lastEndedMs) })}` : ended })
}
