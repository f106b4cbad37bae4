import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import type { ReactNode } from 'react'
import { Refusal } from '../api/client'
import { serverNow, useNow } from '../app/clock'
import { countdown, dateTime, span } from '../app/format'
import { shell } from '../app/text'
import { explain, fieldOf, labelOf } from './reasons'
import { reasonTexts } from './reasons-text'

/** Where something failed: the field it is about, what is wrong and what to do, until when, the reason in mono. */
export function RefusalNote({ error, again }: { error: unknown; again?: () => void }) {
  const t = shell.useTexts()
  reasonTexts.useTexts()
  const now = useNow()
  if (!error) return null
  const refusal = error instanceof Refusal ? error : new Refusal(0, 'UNREACHABLE', '')
  const retry = refusal.time('retryTime')
  const usable = refusal.time('usableTime')
  const left = retry ? retry.getTime() - now : 0
  const label = labelOf(fieldOf(refusal))
  return (
    <div className="note refusal" role="alert">
      <IconAlert className="i" stroke={1.6} aria-hidden />
      <div>
        {label && <b>{label}: </b>}
        {explain(refusal)}{' '}
        {left > 0 && <b role="timer" aria-live="off">{t(refusal.reason === 'CODE_USED' ? 'nextCode' : 'retryIn', { left: refusal.reason === 'CODE_USED' ? span(Math.ceil(left / 1000) * 1000) : countdown(left) })} </b>}
        {usable && usable.getTime() > serverNow() && <b>{t('usableAt', { time: dateTime(usable) })} </b>}
        <span className="reason">{refusal.reason}</span>
      </div>
      {again && (
        <button type="button" className="btn sm" onClick={again}>
          {t('retry')}
        </button>
      )}
    </div>
  )
}

/** The layout of what is on its way. It appears late, so that what comes at once doesn't flicker. */
export function Skeleton({ rows = 6, height = 34 }: { rows?: number; height?: number }) {
  const t = shell.useTexts()
  return (
    <div aria-busy="true" aria-label={t('loading')} role="status" style={{ display: 'grid', gap: 8, padding: 16 }}>
      {Array.from({ length: rows }, (_, i) => (
        <div key={`${i}`} className="skeleton" style={{ height }} />
      ))}
    </div>
  )
}

/** Nothing there yet: one sentence and one action. */
export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>
}
