import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import { useMemo } from 'react'
import { Refusal } from '../../api/client'
import { serverNow, useNow } from '../../app/clock'
import { span, time } from '../../app/format'
import { RefusalNote } from '../../parts/Note'
import { explain as sentence } from '../../parts/reasons'
import { providerRule } from './Provider'
import { signIn } from './text'

/** How long a lockout lasts still, in milliseconds; 0 for none. */
export function usePause(error: unknown): number {
  const now = useNow()
  if (!(error instanceof Refusal) || error.reason !== 'LOCKED_OUT') return 0
  return Math.max(0, (error.time('retryTime')?.getTime() ?? 0) - now)
}

/** Why a sign-in, or a code, was refused, and what to do. */
export function Problem({ error, recovery, id }: { error: unknown; recovery?: boolean; id: string }) {
  const t = signIn.useTexts()
  useNow()
  // What is left runs on for the eye; who listens is told once.
  const said = useMemo(() => (error instanceof Refusal ? explain(error, t, recovery) : ''), [error, t, recovery])
  if (!error) return null
  const text = error instanceof Refusal ? explain(error, t, recovery) : ''
  if (!text || !(error instanceof Refusal)) return <div id={id}><RefusalNote error={error} /></div>
  return (
    <div className="note refusal" role="alert" id={id}>
      <IconAlert className="i" stroke={1.6} aria-hidden />
      <div>{said === text ? text : <><span className="sr">{said}</span><span aria-hidden>{text}</span></>} <span className="reason">{error.reason}</span></div>
    </div>
  )
}

function explain(refusal: Refusal, t: ReturnType<typeof signIn.useTexts>, recovery = false): string {
  const retry = refusal.time('retryTime')?.getTime() ?? 0
  const left = Math.max(0, retry - serverNow())
  const wait = { left: span(Math.ceil(left / 1000) * 1000), time: time(retry) }
  const rule = providerRule(refusal)
  if (rule) return t(rule, { name: `\u2068${String(refusal.details.name ?? '')}\u2069` })
  switch (refusal.reason) {
    case 'UNAUTHENTICATED':
      return t('wrong')
    case 'CODE_INVALID':
      return recovery ? t('wrongRecovery') : t('wrongCode')
    case 'CODE_USED':
      return left > 0 ? t('used', wait) : t('next')
    case 'LOCKED_OUT':
      return left > 0 ? t('pause', wait) : t('paused')
    case 'LOCKED':
      return `${sentence(refusal)} ${t('locked', { id: String(refusal.details.emergency ?? '') })}`
    case 'LOCKDOWN':
      return `${sentence(refusal)} ${t(refusal.details.via ? 'lockdownProvider' : 'lockdown')}`
  }
  return ''
}
