import { type ReactNode, useEffect, useRef } from 'react'
import { Refusal } from '../../api/client'
import { countdown } from '../../app/format'
import { PasswordField } from './PasswordField'
import { Problem, usePause } from './Problem'
import { signIn } from './text'

/** Who one is, and the password. */
export function NameStep({ name, password, setName, setPassword, error, busy, enter, other }: {
  name: string
  password: string
  setName: (name: string) => void
  setPassword: (password: string) => void
  error: unknown
  busy: boolean
  enter: () => void
  /** Another way in. */
  other: ReactNode
}) {
  const t = signIn.useTexts()
  const first = useRef<HTMLInputElement>(null)
  const pause = usePause(error)
  const wrong = (error instanceof Refusal && error.reason === 'UNAUTHENTICATED' && !error.details.rule) || undefined
  const described = error ? 'si-problem' : undefined
  useEffect(() => first.current?.focus(), [])
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault()
        if (!busy && !pause) enter()
      }}
    >
      <h1>{t('title')}</h1>
      <p className="mid lead">{t('lead')}</p>
      <Problem error={error} id="si-problem" />
      <label className="f" htmlFor="si-name">{t('name')}</label>
      <input
        ref={first} id="si-name" name="username" className="in" autoComplete="username" required maxLength={128} spellCheck={false} autoCapitalize="none"
        value={name} onChange={(e) => setName(e.target.value)} aria-invalid={wrong} aria-describedby={described}
      />
      <label className="f" htmlFor="si-password">{t('password')}</label>
      <PasswordField
        id="si-password" name="password" autoComplete="current-password" required
        value={password} onChange={(e) => setPassword(e.target.value)} aria-invalid={wrong} aria-describedby={described}
      />
      <button type="submit" className="btn pri big full" disabled={busy || pause > 0}>
        {pause > 0 ? t('wait', { left: countdown(pause) }) : busy ? t('checking') : t('go')}
      </button>
      {other}
    </form>
  )
}
