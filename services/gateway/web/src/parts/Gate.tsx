import { useId } from 'react'

/** How one enforcer stands: open; it confirmed; it is waited for; nobody knows. */
export type Bar = 'open' | 'confirmed' | 'waiting' | 'unknown'

const width = 430
const top = 12
const full = 88
const lengths: Record<Bar, number> = { open: 21, waiting: 56, confirmed: full, unknown: full }
const fills: Record<Bar, string> = { open: 'var(--pc-ink-3)', waiting: 'var(--pc-held-solid)', confirmed: 'var(--pc-sure-solid)', unknown: '' }

/** The signature: one bar for each enforcer, which never moves ahead of a receipt. */
export function Gate({ bars, label }: { bars: Bar[]; label: string }) {
  const id = useId()
  const step = (width - 32) / Math.max(bars.length, 1)
  const half = Math.min(4.5, step / 3)
  return (
    <svg viewBox={`0 0 ${width} 118`} width="100%" height="118" role="img" aria-label={label} style={{ display: 'block' }}>
      <defs>
        <pattern id={`${id}h`} width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="2" height="5" fill="var(--pc-ink-3)" />
        </pattern>
        <clipPath id={`${id}c`}><rect x="0" y={top} width={width} height="106" /></clipPath>
      </defs>
      <path d="M8 110.5H422M8.5 12V110M421.5 12V110" stroke="var(--pc-line-strong)" strokeWidth="1.5" />
      {/* The bars are whole and hang out of the beam as far as they have dropped. */}
      <g clipPath={`url(#${id}c)`}>
        {bars.map((bar, i) => {
          const x = 16 + step * (i + 0.5)
          return (
            <path
              key={i}
              className="gate-bar"
              style={{ transform: `translateY(${lengths[bar] - full}px)` }}
              d={`M${x - half} ${top}v${full}l${half} ${half}l${half} ${-half}V${top}z`}
              fill={bar === 'unknown' ? `url(#${id}h)` : fills[bar]}
              stroke={bar === 'unknown' ? 'var(--pc-ink-3)' : 'none'}
            />
          )
        })}
      </g>
      <rect x="6" y="4" width="418" height="10" rx="3" fill="var(--pc-ink)" />
    </svg>
  )
}
