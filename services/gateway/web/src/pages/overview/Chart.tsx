import { useLayoutEffect, useRef, useState } from 'react'
import { serverNow } from '../../app/clock'
import { dateTime, day, number, shortTime } from '../../app/format'
import type { Emergency } from '../../app/posture'
import { shell } from '../../app/text'
import type { History } from './data'

// Drawn by hand: a library for one line would weigh more than half of the console.
const hour = 3600_000
const steps: Record<number, number> = { 6: hour, 24: 3 * hour, 168: 24 * hour }
const [height, left, top, bottom] = [196, 40, 12, 170]
const tickRoom = 56 // in pixels, for the name of a time

type Point = { at: number; open: number }

/** The times to name on the axis: whole hours or days, here. */
function ticks(from: number, to: number, step: number): number[] {
  const first = new Date(from)
  first.setHours(0, 0, 0, 0)
  const all = []
  for (let at = first.getTime(); at < to; at += step) if (at > from + step / 3) all.push(at)
  return all
}

/** The line in pieces: it breaks where nothing was counted, rather than guess. */
function pieces(points: Point[]): Point[][] {
  const usual = Math.min(...points.slice(1).map((p, i) => p.at - points[i].at))
  const all: Point[][] = []
  points.forEach((p, i) => {
    if (i === 0 || p.at - points[i - 1].at > 2.5 * usual) all.push([])
    all.at(-1)?.push(p)
  })
  return all
}

/** A round number that is at least the peak, and that four lines divide. */
function ceiling(peak: number): number {
  const step = 10 ** Math.floor(Math.log10(Math.max(1, peak / 4)))
  return 4 * step * Math.max(1, Math.ceil(peak / (4 * step)))
}

/** How wide it may be: figures keep their size, whether on a phone or on a wall. */
function useWidth() {
  const box = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(760)
  useLayoutEffect(() => {
    const seen = box.current
    if (!seen) return
    const measure = () => setWidth(Math.max(200, seen.clientWidth))
    measure()
    const watch = new ResizeObserver(measure)
    watch.observe(seen)
    return () => watch.disconnect()
  }, [])
  return [box, width] as const
}

export default function Chart({ points, hours, windows }: { points: History['points']; hours: number; windows: Emergency[] }) {
  const [at, setAt] = useState<Point>()
  const [box, width] = useWidth()
  const all = points.map((p) => ({ at: Date.parse(p.time), open: p.open }))
  const to = Math.max(serverNow(), all.at(-1)?.at ?? 0)
  const from = to - hours * hour
  const most = ceiling(Math.max(1, ...all.map((p) => p.open)))
  const x = (time: number) => left + ((width - left - 8) * (time - from)) / (to - from)
  const y = (open: number) => bottom - ((bottom - top) * open) / most
  const nearest = (e: React.PointerEvent<SVGSVGElement>) => {
    const time = from + ((to - from) * (e.clientX - e.currentTarget.getBoundingClientRect().left - left)) / (width - left - 8)
    setAt(all.reduce((a, b) => (Math.abs(b.at - time) < Math.abs(a.at - time) ? b : a)))
  }
  const marks = ticks(from, to, steps[hours] ?? hour)
  const every = Math.ceil((marks.length * tickRoom) / (width - left))
  return (
    <div ref={box}>
      <svg width={width} height={height} className="history" aria-hidden onPointerMove={nearest} onPointerLeave={() => setAt(undefined)}>
        <Bands windows={windows} from={from} to={to} x={x} />
        {[0, 1, 2, 3, 4].map((n) => (
          <g key={n}>
            <path d={`M${left} ${y((most * n) / 4)}H${width - 8}`} stroke="var(--pc-line)" />
            <text x={left - 8} y={y((most * n) / 4) + 4} textAnchor="end">{number((most * n) / 4)}</text>
          </g>
        ))}
        {marks.filter((_, i) => i % every === 0).map((time) => <text key={time} x={x(time)} y={height - 6} textAnchor="middle">{hours > 24 ? day(time) : shortTime(time)}</text>)}
        {pieces(all).map((piece) => {
          const line = piece.map((p) => `${x(p.at).toFixed(1)} ${y(p.open).toFixed(1)}`).join('L')
          return (
            <g key={piece[0].at}>
              <path d={`M${x(piece[0].at).toFixed(1)} ${bottom}L${line}V${bottom}z`} fill="var(--pc-accent)" fillOpacity="0.1" />
              <path d={`M${line}`} fill="none" stroke="var(--pc-accent)" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" />
              {piece.length === 1 && <circle cx={x(piece[0].at)} cy={y(piece[0].open)} r="2.5" fill="var(--pc-accent)" />}
            </g>
          )
        })}
        {at && (
          <g>
            <path d={`M${x(at.at)} ${top}V${bottom}`} stroke="var(--pc-line-strong)" />
            <circle cx={x(at.at)} cy={y(at.open)} r="3.5" fill="var(--pc-accent)" />
            <text x={x(at.at)} y={top - 1} textAnchor={x(at.at) > width / 2 ? 'end' : 'start'} className="said">{number(at.open)}, {dateTime(at.at)}</text>
          </g>
        )}
      </svg>
    </div>
  )
}

/** The freezes and lockdowns of that time, behind the line. */
function Bands({ windows, from, to, x }: { windows: Emergency[]; from: number; to: number; x: (time: number) => number }) {
  const t = shell.useTexts()
  return windows.map((w) => {
    const start = Math.max(from, Date.parse(w.startTime ?? ''))
    const end = Math.min(to, Date.parse(w.endTime ?? ''))
    if (!(end > start)) return null
    const look = w.kind === 'LOCKDOWN' ? 'closed' : 'held'
    return (
      <g key={w.id}>
        <rect x={x(start)} y={top} width={Math.max(2, x(end) - x(start))} height={bottom - top} fill={`var(--pc-${look}-soft)`} stroke={`var(--pc-${look}-line)`} />
        {(end - start) / (to - from) > 0.12 && <text x={x(start) + 6} y={top + 14} style={{ fill: `var(--pc-${look})` }}>{t(w.kind as 'FREEZE')} {w.id}</text>}
      </g>
    )
  })
}
