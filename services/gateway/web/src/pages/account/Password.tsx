import { useState } from 'react'
import { useMe, useSetMe } from '../../app/me'
import { explain, fieldOf } from '../../parts/reasons'
import { Problem, usePause } from '../sign-in/Problem'
import { PasswordField } from '../sign-in/PasswordField'
import { bidFarewell } from './farewell'
import { Field } from './Field'
import { account } from './text'
import { useUpdateMe } from './useUpdateMe'
import { useSingle } from '../../parts/single'

const least = 12

/** A new password. It ends this sign-in too, so that the sign-in page says the rest. */
export function Password() {
  const t = account.useTexts()
  const me = useMe()
  const set = useSetMe()
  const [current, setCurrent] = useState('')
  const [fresh, setFresh] = useState('')
  const [tried, setTried] = useState(false)
  const save = useUpdateMe(() => {
    bidFarewell({ why: 'password' })
    set(null)
  })
  const pause = usePause(save.error)
  const single = useSingle(save.isPending, save.error)
  const change = (of: (value: string) => void) => (value: string) => {
    if (save.isError) save.reset()
    of(value)
  }
  const short = [...fresh].length < least ? t('short') : fresh.toLowerCase() === me.name?.toLowerCase() ? t('sameAsName') : undefined
  const field = fieldOf(save.error)
  return (
    <section className="card" aria-labelledby="acct-password">
      <header><h2 id="acct-password">{t('password')}</h2></header>
      <form
        className="body"
        onSubmit={(e) => {
          e.preventDefault()
          setTried(true)
          if (!short && !pause) single(() => save.mutate({ password: fresh, currentPassword: current }))
        }}
      >
        <input type="text" name="username" autoComplete="username" value={me.name ?? ''} readOnly hidden />
        <div className="pair">
          <Field label={t('current')} error={field === 'currentPassword' ? t('currentBad') : undefined}>
            {(control) => <PasswordField {...control} autoComplete="current-password" required value={current} onChange={(e) => change(setCurrent)(e.target.value)} />}
          </Field>
          <Field label={t('fresh')} hint={t('freshHint')} error={field === 'password' ? explain(save.error) : tried ? short : undefined}>
            {(control) => <PasswordField {...control} autoComplete="new-password" required value={fresh} onChange={(e) => change(setFresh)(e.target.value)} />}
          </Field>
        </div>
        {save.isError && !field && <Problem error={save.error} id="acct-password-problem" />}
        <div className="row g3">
          <button type="submit" className="btn" disabled={save.isPending || pause > 0}>{save.isPending ? t('saving') : t('change')}</button>
          <span className="xs dim">{t('changeText')}</span>
        </div>
      </form>
    </section>
  )
}
