import { useNow } from '../../app/clock'
import { countdown, number, shortDateTime, span } from '../../app/format'
import type { Emergency } from '../../app/posture'
import { at } from './emergency'
import { reports } from './text'

/** From when to when; for a termination, when. */
export function WindowCell({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  const from = of.startTime ?? of.createTime
  return (
    <>
      <div>{from && shortDateTime(from)}</div>
      {!of.endTime && of.kind === 'LOCK' && <div className="xs dim">{t('endless')}</div>}
      {of.endTime && <div className="xs dim">{t('to', { time: shortDateTime(of.endTime) })}</div>}
    </>
  )
}

/** What is left of a window, or how it ended. */
export function LeftCell({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  const now = useNow()
  const [start, end] = [at(of.startTime), at(of.endTime)]
  if (of.status === 'PENDING') {
    const wait = start - now
    return <span className="mid" role="timer">{t('in', { left: wait < 86_400_000 ? countdown(wait) : span(wait) })}</span>
  }
  if (of.status === 'ENDED') return <span className="dim">{t('onTime')}</span>
  if (of.status === 'CANCELLED') {
    const cancelled = at(of.cancelTime)
    return <span className="dim">{cancelled > start ? t('after', { span: span(cancelled - start) }) : t('before')}</span>
  }
  if (!of.endTime) return <span className="mid">{t('lifted')}</span>
  const left = Math.max(0, end - now)
  return (
    <>
      <b className="b" role="timer">{countdown(left)}</b>
      <div className="bar thin" aria-hidden><i className={of.kind === 'LOCKDOWN' ? 'shut' : 'held'} style={{ width: `${(100 * left) / Math.max(1, end - start)}%` }} /></div>
    </>
  )
}

/** How many devices a freeze closes, or closed, and of how many groups. */
export function BlocksCell({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  if (of.blockedDevices === undefined) return <span className="dim">–</span>
  if (of.blockedDevices === 0) return <span className="dim">{t('nothing')}</span>
  return (
    <>
      <div>{t('nDevices', { count: of.blockedDevices, n: number(of.blockedDevices) })}</div>
      <div className="xs dim">{t('nGroups', { count: of.blockedAccessGroups ?? 0 })}</div>
    </>
  )
}

/** What a lock shuts. */
export function LockedCell({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  const s = of.selector
  const name = s?.users?.[0] ?? s?.devices?.[0] ?? s?.accessGroups?.[0]
  return (
    <>
      <div className="cut" title={name}><bdi>{name}</bdi></div>
      <div className="xs dim">{t(s?.users?.length ? 'onUser' : s?.devices?.length ? 'device' : 'group')}</div>
    </>
  )
}

/** How many sessions it ended, as their connectors say. */
export function SessionsCell({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  if (of.ended === undefined) return <span className="dim">–</span>
  const rest = [
    of.open ? t('stillOpen', { count: of.open }) : '',
    of.unreachable ? t('unreachable', { count: of.unreachable }) : '',
  ].filter(Boolean)
  if (rest.length === 0 && of.lastEndedMs !== undefined && of.ended > 0) rest.push(t('lastAfter', { span: took(of.lastEndedMs) }))
  return (
    <>
      <div className="m">{number(of.ended)}</div>
      {rest.length > 0 && <div className="xs dim">{rest.join(', ')}</div>}
    </>
  )
}

/** 408 ms, 6.8 s */
export function took(ms: number): string {
  if (ms < 1000) return `${number(ms)} ms`
  return ms < 60_000 ? `${number(Math.round(ms / 100) / 10)} s` : span(ms)
}
