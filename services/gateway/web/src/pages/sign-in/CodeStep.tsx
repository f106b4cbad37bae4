import { useEffect, useState } from 'react'
import { Refusal } from '../../api/client'
import { countdown } from '../../app/format'
import { CodeInput } from '../../parts/CodeInput'
import { Problem, usePause } from './Problem'
import { signIn } from './text'

/** The code that follows the password: of the app, or one of those kept for when the phone is gone. */
export function CodeStep({ name, lead, error, busy, enter, back, forget }: {
  name: string
  lead: string
  error: unknown
  busy: boolean
  enter: (code: string, recovery: boolean) => void
  back: () => void
  forget: () => void
}) {
  const t = signIn.useTexts()
  const [recovery, setRecovery] = useState(false)
  const [code, setCode] = useState('')
  const pause = usePause(error)
  useEffect(() => {
    if (error && !recovery) setCode('')
  }, [error, recovery])
  // The password is no longer right: only the step before can mend that.
  const over = error instanceof Refusal && error.reason === 'UNAUTHENTICATED'
  const ready = recovery ? code.trim() !== '' : code.length === 6
  const swap = () => {
    forget()
    setCode('')
    setRecovery(!recovery)
  }
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault()
        if (ready && !busy && !pause) enter(code.trim(), recovery)
      }}
    >
      <h1>{t('codeTitle')}</h1>
      <p className="mid lead">{lead} <b className="m"><bdi>{name}</bdi></b>. <button type="button" className="link" onClick={back}>{t('other')}</button></p>
      <Problem error={error} recovery={recovery} id="si-problem" />
      {!over && <CodeFields {...{ recovery, code, setCode, busy, pause, error }} done={(value) => !busy && enter(value, false)} />}
      <button type="submit" className="btn pri big full" disabled={!ready || busy || pause > 0 || over}>
        {pause > 0 ? t('wait', { left: countdown(pause) }) : busy ? t('checking') : t('title')}
      </button>
      <button type="button" className="btn quiet full" onClick={swap}>{recovery ? t('useCode') : t('useRecovery')}</button>
    </form>
  )
}

function CodeFields({ recovery, code, setCode, busy, pause, error, done }: {
  recovery: boolean
  code: string
  setCode: (code: string) => void
  busy: boolean
  pause: number
  error: unknown
  done: (code: string) => void
}) {
  const t = signIn.useTexts()
  if (!recovery) {
    return (
      <>
        <CodeInput value={code} change={setCode} done={done} disabled={busy || pause > 0} invalid={Boolean(error)} focus />
        <p className="hint">{t('codeHint')}</p>
      </>
    )
  }
  return (
    <>
      <label className="f" htmlFor="si-recovery">{t('recovery')}</label>
      <input
        id="si-recovery" autoFocus className="in mono" autoComplete="off" spellCheck={false} autoCapitalize="characters" maxLength={64} placeholder="XXXX-XXXX-XXXX-XXXX"
        value={code} readOnly={busy} onChange={(e) => setCode(e.target.value)} aria-invalid={Boolean(error) || undefined} aria-describedby={error ? 'si-problem si-hint' : 'si-hint'}
      />
      <p className="hint" id="si-hint">{t('recoveryHint')}</p>
    </>
  )
}
