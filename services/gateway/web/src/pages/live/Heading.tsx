import IconShorten from '@tabler/icons-react/dist/esm/icons/IconClockMinus.mjs'
import IconReport from '@tabler/icons-react/dist/esm/icons/IconFileText.mjs'
import IconServer from '@tabler/icons-react/dist/esm/icons/IconServer2.mjs'
import IconTrash from '@tabler/icons-react/dist/esm/icons/IconTrash.mjs'
import { Link } from '@tanstack/react-router'
import { useNow } from '../../app/clock'
import { countdown, dateTime, span, time, zone } from '../../app/format'
import { useMay } from '../../app/me'
import type { Emergency } from '../../app/posture'
import { StatusChip } from '../../parts/Chip'
import { at, cancellable, shortenable } from '../reports/emergency'
import { live } from './text'

const nearby = 16 * 3_600_000

/** The time of day alone where nobody would take it for another day's. */
const clock = (ms: number, now: number) => (Math.abs(ms - now) < nearby ? time(ms) : dateTime(ms))

export function Heading({ of: e, title }: { of: Emergency; title: string }) {
  const t = live.useTexts()
  const may = useMay('System.EmergencyPanel.Control')
  const reads = useMay('System.Audit.Read')
  const id = e.id ?? ''
  const reach = e.kind === 'FREEZE' ? (e.endLiveSessions ? 'reachFREEZEends' : 'reachFREEZE') : e.kind === 'LOCK' ? 'reachLOCK' : e.kind === 'LOCKDOWN' ? 'reachLOCKDOWN' : 'reachTERMINATION'
  const says = e.status !== 'ENDED' && e.status !== 'CANCELLED'
  return (
    <div className="head">
      <div className="grow">
        <div className="row g3 wrap">
          <h1 className="hh">{title}</h1>
          <span className="tag mono">{id}</span>
          <StatusChip of={e} />
        </div>
        <p>{t('by')} <bdi>{e.createdBy}</bdi>{e.governanceCode && <>, <span className="mono">{e.governanceCode}</span></>}. {says && t(reach)}</p>
      </div>
      <Left of={e} />
      <div className="row acts">
        {reads && <Link className="btn big" to="/emergencies/$id/report" params={{ id }}><IconReport className="i" stroke={1.6} aria-hidden />{t('report')}</Link>}
        {e.kind === 'FREEZE' && (
          <Link className="btn big" to="/reports/freezes" search={{ devices: id }}>
            <IconServer className="i" stroke={1.6} aria-hidden />
            {t('devices')}
          </Link>
        )}
        {may && shortenable(e) && <Link className="btn big" to="/emergencies/$id/shorten" params={{ id }}><IconShorten className="i" stroke={1.6} aria-hidden />{t('shorten')}</Link>}
        {may && cancellable(e) && (
          <Link className="btn big can" to="/emergencies/$id/cancel" params={{ id }}>
            <IconTrash className="i" stroke={1.6} aria-hidden />
            {t(e.kind === 'FREEZE' ? 'cancelFREEZE' : e.kind === 'LOCK' ? 'cancelLOCK' : 'cancelLOCKDOWN')}
          </Link>
        )}
      </div>
    </div>
  )
}

/** How long: until it begins or lifts, or how long it held. */
function Left({ of: e }: { of: Emergency }) {
  const t = live.useTexts()
  const now = useNow()
  const [start, end] = [at(e.startTime), at(e.endTime)]
  const show = (key: 'lifts' | 'since' | 'begins' | 'over' | 'applied', ms: number, value: string) => (
    <div className="cd">
      <span className="xs dim">{t(key, { time: clock(ms, now), zone: zone(ms) })}</span>
      <b role={key === 'lifts' || key === 'begins' ? 'timer' : undefined}>{value}</b>
    </div>
  )
  if (e.kind === 'TERMINATION') return show('applied', at(e.createTime), t('ago', { span: span(now - at(e.createTime)) }))
  if (e.status === 'PENDING') return show('begins', start, countdown(start - now))
  if (e.status === 'ONGOING' && !e.endTime) return show('since', start, t('untilLifted'))
  if (e.status === 'ONGOING') return show('lifts', end, countdown(end - now))
  const ended = at(e.cancelTime) || end
  return show('over', ended, ended > start ? t('lasted', { span: span(ended - start) }) : t('never'))
}
