import { Fragment } from 'react'
import { useNow } from '../../app/clock'
import { blocked } from './text'

const minute = 60_000
/** When the time left is spoken, in minutes. */
const spoken = [1, 5, 10]

/** The time left, to the second, in figures that one reads across a room. */
export function Left({ until }: { until: number }) {
  const t = blocked.useTexts()
  const left = Math.max(0, until - useNow())
  const s = Math.ceil(left / 1000)
  const days = Math.floor(s / 86400)
  const parts = [
    ...(days ? [['days', days] as const] : []),
    ['hours', Math.floor(s / 3600) % 24] as const, ['minutes', Math.floor(s / 60) % 60] as const, ['seconds', s % 60] as const,
  ]
  const words = parts.filter(([, n]) => n > 0).map(([unit, n]) => `${n} ${t(unit, { count: n })}`).join(' ')
  const mark = spoken.find((m) => left <= m * minute)
  return (
    <>
      <div className="cdn" role="timer" aria-label={t('left', { left: words })}>
        {parts.map(([unit, n], i) => (
          <Fragment key={unit}>
            {i > 0 && <i aria-hidden>:</i>}
            <div aria-hidden><b>{String(n).padStart(2, '0')}</b><span>{t(unit, { count: n })}</span></div>
          </Fragment>
        ))}
      </div>
      <div className="sr" aria-live="polite">{mark !== undefined && t('minutesLeft', { count: mark })}</div>
    </>
  )
}
