import { number } from '../../app/format'
import type { Emergency } from '../../app/posture'
import { Gate } from '../../parts/Gate'
import { took } from '../reports/Cells'
import type { Receipt, Summary } from '../reports/emergency'
import { barOf, byKind, type Doors, type Figures, over } from './state'
import { Times } from './Times'
import { live } from './text'

/** The figures, the bar, and the gate beside them. */
export function Progress({ of: e, figures: f, receipts, doors, summary }: { of: Emergency; figures: Figures; receipts: Receipt[]; doors: Doors; summary?: Summary }) {
  return (
    <section className="card prog">
      <div className="pl">
        <Big figures={f} />
        <Bar figures={f} />
        <Words of={e} figures={f} doors={doors} />
      </div>
      <GateCard of={e} receipts={receipts} doors={doors} summary={summary} />
    </section>
  )
}

function Big({ figures: f }: { figures: Figures }) {
  const t = live.useTexts()
  const sessions = f.of === 'sessions'
  const value = (n: number) => (f.forgotten ? '–' : number(n))
  return (
    <div className="big3">
      <div>
        <b className={f.done && !f.forgotten ? (sessions ? 'red' : 'grn') : ''}>{value(f.done)}</b>
        <span><i className={`sq ${sessions ? 'e' : 'c'}`} aria-hidden />{t(sessions ? 'ended' : 'confirmed')}</span>
      </div>
      <div>
        <b>{value(f.open)}</b>
        <span><i className={`sq ${sessions ? 'o' : 'w'}`} aria-hidden />{t(sessions ? 'open' : 'waiting')}</span>
      </div>
      <div>
        <b>{value(f.unknown)}</b>
        <span><i className="hx" aria-hidden />{t('unreachable')}</span>
      </div>
    </div>
  )
}

/** Open and unknown keep a width of their own, however few they are: it is never full before it is. */
function Bar({ figures: f }: { figures: Figures }) {
  const t = live.useTexts()
  const all = f.done + f.open + f.unknown
  if (all === 0) return <div className="pbar none" aria-hidden />
  const sessions = f.of === 'sessions'
  const label = t(sessions ? 'progress' : 'progressDoors', { done: number(f.done), all: number(all) })
  return (
    <div className="pbar" role="progressbar" aria-valuemin={0} aria-valuenow={f.done} aria-valuemax={all} aria-valuetext={label} aria-label={label}>
      {f.done > 0 && <i className={sessions ? 'e' : 'c'} style={{ flexGrow: f.done }} />}
      {f.open > 0 && <i className={sessions ? 'o' : 'w'} style={{ flexGrow: f.open }} />}
      {f.unknown > 0 && <i className="u" style={{ flexGrow: f.unknown }} />}
    </div>
  )
}

function Words({ of: e, figures: f, doors }: { of: Emergency; figures: Figures; doors: Doors }) {
  const t = live.useTexts()
  const all = f.done + f.open + f.unknown
  const parts = [
    f.of === 'sessions' && all > 0 && <><b className="b">{t('sessionsOf', { done: number(f.done), all: number(all) })}</b> {t('sessionsWord')}</>,
    f.of === 'sessions' && all === 0 && t(f.forgotten ? 'noCounts' : 'noneOpen'),
    f.summed && all > 0 && t('fromReceipts'),
    f.done > 0 && f.of === 'sessions' && e.lastEndedMs !== undefined && <>{t('lastAfter')} <b className="b">{took(e.lastEndedMs)}</b></>,
    <><b className="b">{t('sessionsOf', { done: number(doors.confirmed), all: number(doors.all) })}</b> {t('doorsWord')}</>,
    doors.missing > 0 && <b className="b">{t('someMissing', { count: doors.missing })}</b>,
    e.status === 'PENDING' && t('startsLater'),
    f.of === 'doors' && e.kind === 'FREEZE' && e.status === 'ONGOING' && t('goOn'),
  ].filter(Boolean)
  return <ul className="sm mid pf">{parts.map((part, i) => <li key={`${i}`}>{part}</li>)}</ul>
}

function GateCard({ of: e, receipts, doors, summary }: { of: Emergency; receipts: Receipt[]; doors: Doors; summary?: Summary }) {
  const t = live.useTexts()
  const bars = byKind(receipts).map((r) => barOf(e, r))
  const count = (bar: string) => bars.filter((b) => b === bar).length
  const { confirmed } = doors
  const lifted = over(e) || e.status === 'PENDING'
  const label = t(lifted ? 'gateOpen' : 'gate', { count: bars.length, confirmed, open: count('open'), waiting: count('waiting'), unknown: count('unknown') })
  const times = receipts.map((r) => r.heldMs).filter((ms) => ms !== undefined)
  return (
    <div className="pr">
      <Gate bars={bars} label={label} />
      <p className="xs mid gcap">
        <b className="b">{t('gateOf', { n: number(over(e) ? count('open') : confirmed), all: number(doors.all) })}</b>{' '}
        {t(over(e) ? 'gateLifted' : 'gateCaption')}
        {!over(e) && times.length > 0 && !summary && t('gateFastest', { took: took(Math.min(...times)) })}
      </p>
      {summary && <Times of={summary} />}
    </div>
  )
}
