import { lazy, Suspense, useState } from 'react'
import { shortDateTime, shortTime } from '../../app/format'
import { useMay } from '../../app/me'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { type History, useHistory, useRecent } from './data'
import { words } from './text'

const Chart = lazy(() => import('./Chart'))
const ranges = [6, 24, 168] as const
type Range = (typeof ranges)[number]

/** How many sessions there were, with the freezes and lockdowns of that time behind them. */
export function HistoryCard() {
  const t = words.useTexts()
  const may = useMay('System.Read')
  const [hours, setHours] = useState<Range>(24)
  const { data, error, refetch, isPending } = useHistory(hours)
  const { data: recent } = useRecent()
  const points = data?.points ?? []
  return (
    <section className="card">
      <header>
        <div className="grow"><h2>{t('history')}</h2><Caption hours={hours} history={data ?? undefined} /></div>
        <div className="seg mini" role="group" aria-label={t('range')}>
          {ranges.map((h) => <button key={h} type="button" aria-pressed={h === hours} onClick={() => setHours(h)}>{t(`h${h}`)}</button>)}
        </div>
      </header>
      {!may && <Empty>{t('mayNot')}</Empty>}
      {error && <div className="inset"><RefusalNote error={error} again={() => void refetch()} /></div>}
      {may && isPending && !error && <Skeleton rows={1} height={180} />}
      {data !== undefined && points.length === 0 && !error && <Empty>{t('noHistory')}</Empty>}
      {points.length > 0 && (
        <div className="plot" role="img" aria-label={spoken(t, hours, points)}>
          <Suspense fallback={<Skeleton rows={1} height={180} />}>
            <Chart points={points} hours={hours} windows={recent?.freezes ?? []} />
          </Suspense>
        </div>
      )}
    </section>
  )
}

const peakOf = (points: History['points']) => points.reduce((a, b) => (b.open > a.open ? b : a))

function spoken(t: ReturnType<typeof words.useTexts>, hours: Range, points: History['points']) {
  const peak = peakOf(points)
  return `${t('history')}, ${t(`last${hours}`)}, ${t('now', { count: points.at(-1)?.open ?? 0 })}, ${t('peakAt', { count: peak.open, time: shortDateTime(peak.time) })}`
}

function Caption({ hours, history }: { hours: Range; history?: History }) {
  const t = words.useTexts()
  const points = history?.points ?? []
  const since = Date.parse(history?.since ?? '')
  const first = Date.parse(points[0]?.time ?? '')
  const last = Date.parse(points.at(-1)?.time ?? '')
  // Said only where the range asked for begins before anything is known.
  const short = since > 0 && last - Math.max(since, first) < (hours - 1) * 3600_000
  return (
    <span className="sm dim">
      {t(`last${hours}`)}
      {points.length > 0 && `, ${t('peak', { count: peakOf(points).open })}`}
      {points.length > 0 && short && `, ${t('since', { time: hours > 24 ? shortDateTime(since) : shortTime(since) })}`}
    </span>
  )
}

