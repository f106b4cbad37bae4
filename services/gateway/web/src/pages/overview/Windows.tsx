import { Link } from '@tanstack/react-router'
import { useNow } from '../../app/clock'
import { day, shortDateTime, shortTime, span, zone } from '../../app/format'
import { useMay } from '../../app/me'
import { type Emergency, usePosture } from '../../app/posture'
import { StatusChip } from '../../parts/Chip'
import { Empty, Skeleton } from '../../parts/Note'
import { words } from './text'

const days = 7
const dayLong = 86_400_000
const listed = 4
const narrowest = 1.4

type Window = { of: Emergency; start: number; end: number }

/** The windows that are on or planned, soonest first, as of now. */
function useWindows(now: number): Window[] | undefined {
  const { posture } = usePosture()
  return posture?.emergencies
    ?.map((of) => ({ of, start: Date.parse(of.startTime ?? ''), end: of.endTime ? Date.parse(of.endTime) : Infinity }))
    .filter((w) => w.of.kind !== 'TERMINATION' && w.end > now)
    .sort((a, b) => a.start - b.start)
}

/** Midnight, here, of the day of a moment and of those after it. */
function midnights(now: number): number[] {
  return Array.from({ length: days + 1 }, (_, i) => {
    const d = new Date(now)
    d.setHours(0, 0, 0, 0)
    d.setDate(d.getDate() + i)
    return d.getTime()
  })
}

export function Windows() {
  const t = words.useTexts()
  const now = useNow()
  const controls = useMay('System.EmergencyPanel.Control')
  const windows = useWindows(now)
  return (
    <section className="card">
      <header><div className="grow"><h2>{t('windows')}</h2><span className="sm dim">{t('windowsText', { zone: zone(now) })}</span></div></header>
      {windows ? <Lane windows={windows} now={now} /> : <Skeleton rows={4} height={22} />}
      {windows?.length === 0 && <Empty>{t('noWindows')} {controls && <Link to="/emergency/freeze">{t('plan')}</Link>}</Empty>}
      <ul className="upl">{windows?.slice(0, listed).map((w) => <Row key={w.of.id} window={w} now={now} />)}</ul>
      {windows && windows.length > listed && (
        <p className="inset sm"><Link to="/reports/freezes">{t('moreWindows', { count: windows.length - listed })}</Link></p>
      )}
    </section>
  )
}

/** Seven days, and a lane for each window in them; the list beside it says the same in words. */
function Lane({ windows, now }: { windows: Window[]; now: number }) {
  const marks = midnights(now)
  const from = marks[0]
  const whole = marks[days] - from
  const place = (at: number) => Math.min(100, Math.max(0, ((at - from) / whole) * 100))
  const within = windows.filter((w) => w.start < marks[days]).slice(0, 6)
  return (
    <div className="tl" aria-hidden>
      <div className="days">{marks.slice(0, days).map((m) => <span key={m}>{day(m + dayLong / 2)}</span>)}</div>
      <div className="lanes">
        <b className="nowl" style={{ left: `${place(now)}%` }} />
        {within.map((w) => {
          const left = Math.min(place(w.start), 100 - narrowest)
          return (
            <div key={w.of.id} className="lane">
              <i className={lookOf(w, now)} style={{ left: `${left}%`, width: `${Math.max(narrowest, place(w.end) - left)}%` }} />
            </div>
          )
        })}
        {within.length < 3 && Array.from({ length: 3 - within.length }, (_, i) => <div key={`${i}`} className="lane" />)}
      </div>
    </div>
  )
}

const lookOf = (w: Window, now: number) => (w.start > now ? 'p' : w.of.kind === 'LOCKDOWN' ? 'l' : 'f')

function Row({ window: { of, start, end }, now }: { window: Window; now: number }) {
  const t = words.useTexts()
  const pending = start > now
  const short = end - start < dayLong
  const from = `${day(start)} ${shortTime(start)}`
  const when = !Number.isFinite(end) ? from : t('fromTo', { from: `${day(start)} ${shortTime(start)}`, to: short && day(start) === day(end) ? shortTime(end) : short ? `${day(end)} ${shortTime(end)}` : shortDateTime(end) })
  return (
    <li>
      <StatusChip of={{ ...of, status: pending ? 'PENDING' : 'ONGOING' }} />
      <div className="grow">
        <Link to="/emergencies/$id" params={{ id: of.id ?? '' }} className="sm m cut name"><bdi>{of.justification || of.id}</bdi></Link>
        <div className="xs dim cut">{of.id} · {when}</div>
      </div>
      <span className="sm mid nw">{pending ? t('inLeft', { left: span(start - now) }) : Number.isFinite(end) ? t('leftOn', { left: span(end - now) }) : t('untilLifted')}</span>
    </li>
  )
}
