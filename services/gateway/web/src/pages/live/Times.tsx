import { number } from '../../app/format'
import { took } from '../reports/Cells'
import type { Summary } from '../reports/emergency'
import { live } from './text'

/** How fast the doors that were there took hold: half of them, the slowest, and how many in between. */
export function Times({ of: s }: { of: Summary }) {
  const t = live.useTexts()
  if (!s.timed || s.p50Ms === undefined || s.maxMs === undefined) return null
  const buckets = s.buckets ?? []
  const first = buckets.findIndex((b) => b.count)
  const last = buckets.findLastIndex((b) => b.count)
  const most = Math.max(1, ...buckets.map((b) => b.count ?? 0))
  const words = (b: (typeof buckets)[number]) => t(b.upToMs === undefined ? 'timeMore' : 'timeUpTo', { count: b.count ?? 0, took: took(b.upToMs ?? 0) })
  const shown = buckets.slice(first, last + 1)
  return (
    <figure className="times">
      <figcaption className="xs mid">
        {t('timeHalf')} <b className="b">{took(s.p50Ms)}</b>, {t('timeSlowest')} <b className="b">{took(s.maxMs)}</b>
      </figcaption>
      <ol aria-label={t('times')}>
        {shown.map((b, i) => (
          <li key={b.upToMs ?? 'more'} title={words(b)}>
            <span className="sr">{words(b)}</span>
            <i aria-hidden style={{ height: `${Math.max(b.count ? 8 : 0, (100 * (b.count ?? 0)) / most)}%` }} />
            <em className="xs dim" aria-hidden>{b.upToMs === undefined ? '…' : i === shown.length - 1 ? took(b.upToMs) : axis(b.upToMs)}</em>
          </li>
        ))}
      </ol>
    </figure>
  )
}

const axis = (ms: number) => (ms < 1000 ? number(ms) : `${number(ms / 1000)} s`)
