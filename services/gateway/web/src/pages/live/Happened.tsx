import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { dateTime, time } from '../../app/format'
import type { Emergency } from '../../app/posture'
import { took } from '../reports/Cells'
import { at, type Receipt } from '../reports/emergency'
import { live } from './text'

type Event = { at: number; text: ReactNode }

const soon = 60_000

/** What happened when, as far as control saw it itself. */
export function Happened({ of: e, receipts }: { of: Emergency; receipts: Receipt[] }) {
  const t = live.useTexts()
  const applied = at(e.createTime)
  const events = useEvents(e, receipts).sort((a, b) => a.at - b.at)
  const when = (ms: number, first: boolean) => {
    const after = ms - applied
    if (first) return `${time(ms)}.${String(ms % 1000).padStart(3, '0')}`
    if (after >= 0 && after < soon) return `+${took(after)}`
    return after < 12 * 3_600_000 ? time(ms) : dateTime(ms)
  }
  return (
    <section className="card">
      <header><div className="grow"><h2>{t('happened')}</h2></div><Link className="sm m" to="/audit" search={{ target: e.id }}>{t('audit')}</Link></header>
      <ol className="ev">
        {events.map((event, i) => <li key={`${i}`}><time>{when(event.at, i === 0)}</time><span>{event.text}</span></li>)}
      </ol>
    </section>
  )
}

function useEvents(e: Emergency, receipts: Receipt[]): Event[] {
  const t = live.useTexts()
  const applied = at(e.createTime)
  const events: Event[] = [{ at: applied, text: t('evApplied', { revision: e.cutoffRevision }) }]
  const timed = receipts.filter((r) => r.heldMs !== undefined).sort((a, b) => (a.heldMs ?? 0) - (b.heldMs ?? 0))
  const lastOf = (of: Receipt[]) => (of.length && of.every((r) => r.state === 'CONFIRMED' && r.heldMs !== undefined) ? Math.max(...of.map((r) => r.heldMs ?? 0)) : undefined)
  const window = e.kind !== 'TERMINATION'
  const later = window && at(e.startTime) - applied > 1000
  if (timed[0]) events.push({ at: applied + (timed[0].heldMs ?? 0), text: <bdi>{t('evFirst', { name: timed[0].enforcer })}</bdi> })
  const gates = lastOf(receipts.filter((r) => r.service === 'access-gate'))
  if (window && !later && gates !== undefined) events.push({ at: applied + gates, text: t('evGates') })
  const all = lastOf(receipts)
  if (all !== undefined) events.push({ at: applied + all, text: t('evAll') })
  if (later && e.started) events.push({ at: at(e.startTime), text: t('evStarted') })
  if (e.lastEndedMs !== undefined && e.ended) {
    events.push({ at: (window ? at(e.startTime) : applied) + e.lastEndedMs, text: t('evEnded', { count: e.ended }) })
  }
  if (e.cancelTime) events.push({ at: at(e.cancelTime), text: <bdi>{t('evCancelled', { name: e.cancelledBy })}</bdi> })
  else if (e.status === 'ENDED') events.push({ at: at(e.endTime), text: t('evOver') })
  return events
}
