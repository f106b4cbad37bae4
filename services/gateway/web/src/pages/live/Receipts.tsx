import { useState } from 'react'
import { useNow } from '../../app/clock'
import { number, time } from '../../app/format'
import type { Emergency } from '../../app/posture'
import { ReceiptChip } from '../../parts/Chip'
import { took } from '../reports/Cells'
import { at, type Enforcer, endsSessions, type Receipt } from '../reports/emergency'
import { byKind, over, silence } from './state'
import { live } from './text'

const scales = [1000, 2000, 4000, 10_000, 20_000, 40_000, 60_000, 120_000, 600_000, 3_600_000]
const quarters = [0, 0.25, 0.5, 0.75, 1]
const named = ['access-gate', 'session-broker', 'connector', 'identity', 'driver', 'guard', 'gateway', 'notifier'] as const

/** Each enforcer's own word for it, by kind. */
export function Receipts({ of: e, receipts, silent, omitted }: { of: Emergency; receipts: Receipt[]; silent: Enforcer[]; omitted: number }) {
  const t = live.useTexts()
  const [onlyNot, setOnlyNot] = useState(false)
  const not = receipts.filter((r) => r.state !== 'CONFIRMED')
  const rows = byKind(onlyNot ? not : receipts)
  const slowest = Math.max(0, ...receipts.map((r) => r.heldMs ?? 0))
  const scale = scales.find((s) => s >= slowest) ?? slowest
  return (
    <section className="card receipts">
      <header>
        <div className="grow"><h2>{t('receipts')}</h2><span className="sm dim hide">{t('receiptsHint')}</span></div>
        <div className="seg mini" role="group" aria-label={t('filter')}>
          <button type="button" aria-pressed={!onlyNot} onClick={() => setOnlyNot(false)}>{t('all')} <em>{number(receipts.length + omitted)}</em></button>
          <button type="button" aria-pressed={onlyNot} onClick={() => setOnlyNot(true)}>{t('notConfirmed')} <em>{number(not.length)}</em></button>
        </div>
      </header>
      {rows.length === 0 ? <p className="empty">{t(receipts.length ? 'everyOne' : 'noReceipts')}</p> : (
        <div className="scroll" role="region" aria-label={t('receipts')} tabIndex={0}>
          <table className="rt">
            <thead>
              <tr>
                <th>{t('enforcer')}</th>
                <th className="kind">{t('kind')}</th>
                <th>{t('receipt')}</th>
                <th className="r">{t('after')}</th>
                <th className="ax"><span className="sr">{t('scale', { max: took(scale) })}</span><span className="axis" aria-hidden>{quarters.map((q) => <em key={q}>{q === 0 ? '0' : q === 1 ? took(scale) : axis(scale * q)}</em>)}</span></th>
                {endsSessions(e) && <th className="r">{t('sessionsEnded')}</th>}
              </tr>
            </thead>
            <tbody>{rows.map((r) => <Row key={`${r.service}/${r.enforcer}`} of={e} receipt={r} quiet={silence(r, silent)} scale={scale} />)}</tbody>
          </table>
        </div>
      )}
      {omitted > 0 && !onlyNot && <p className="xs dim omitted">{t('omitted', { count: omitted, shown: number(receipts.length) })}</p>}
    </section>
  )
}

/** The time of day to the millisecond, by the enforcer's own clock. */
const clock = (moment: string) => `${time(moment)}.${String(new Date(moment).getMilliseconds()).padStart(3, '0')}`

const axis = (ms: number) => number(ms < 1000 ? ms : ms / 1000)

function Row({ of: e, receipt: r, quiet, scale }: { of: Emergency; receipt: Receipt; quiet: Enforcer | undefined; scale: number }) {
  const t = live.useTexts()
  const kind = named.find((n) => n === r.service)
  const open = r.openSessions || (r.state === 'UNREACHABLE' && !r.endedSessions ? (quiet?.openSessions ?? 0) : 0)
  const all = (r.endedSessions ?? 0) + open
  return (
    <tr>
      <td className="m" title={r.lastAllowedTime ? t('lastAllowed', { time: clock(r.lastAllowedTime) }) : undefined}><bdi>{r.enforcer}</bdi><div className="kindsm xs dim">{kind ? t(kind) : r.service}</div></td>
      <td className="kind dim">{kind ? t(kind) : r.service}</td>
      <td><ReceiptChip state={r.state} /></td>
      <td className="r nw"><After of={e} receipt={r} /></td>
      <td><Lane receipt={r} quiet={quiet} scale={scale} /></td>
      {endsSessions(e) && <td className={`r nw${open ? ' b' : ''}`}>{all > 0 && t('endedOf', { ended: number(r.endedSessions ?? 0), all: number(all) })}</td>}
    </tr>
  )
}

function After({ of: e, receipt: r }: { of: Emergency; receipt: Receipt }) {
  const t = live.useTexts()
  const now = useNow()
  if (r.state === 'WAITING') return <span className="amb">{over(e) ? '–' : took(Math.max(0, Math.floor((now - at(e.createTime)) / 1000) * 1000))}</span>
  if (r.state !== 'CONFIRMED') return <span className="dim">{r.lacking ? number(r.lacking) : t('none')}</span>
  if (r.beganAfter) return <span className="dim">–</span>
  if (r.heldMs === undefined) return <span className="dim">–</span>
  if (r.heldMs >= 1000) return <b className="m">{took(r.heldMs)}</b>
  return <><b className="m">{number(r.heldMs)}</b> <span className="dim">ms</span></>
}

function Lane({ receipt: r, quiet, scale }: { receipt: Receipt; quiet: Enforcer | undefined; scale: number }) {
  const t = live.useTexts()
  if (r.state === 'WAITING') return <span className="lane w xs amb">{t('waitingFor')}</span>
  if (r.state === 'MISSING') return <span className="lane w xs mid">{t('neverCame')}</span>
  if (r.state !== 'CONFIRMED') return <span className="lane w xs mid">{t(quiet?.mode === 'STRICT' ? 'strict' : 'bestEffort')}</span>
  if (quiet) return <span className="lane w xs mid">{quiet.lastSeenTime ? t('silentSince', { time: time(quiet.lastSeenTime) }) : t('silentNow')}</span>
  if (r.beganAfter) return <span className="lane w xs dim">{t('beganAfter')}</span>
  if (r.heldMs === undefined) return <span className="lane w xs dim">{t('notTimed')}</span>
  const left = `${(100 * r.heldMs) / scale}%`
  return <span className="lane" aria-hidden><i style={{ width: left }} /><u style={{ left }} /></span>
}
