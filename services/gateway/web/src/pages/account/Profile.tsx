import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import { type InputHTMLAttributes, useState } from 'react'
import { type Language, languages, speak } from '../../app/language'
import { useMe, useSetMe } from '../../app/me'
import { RefusalNote } from '../../parts/Note'
import { fieldOf } from '../../parts/reasons'
import { Field } from './Field'
import { account } from './text'
import { useUpdateMe } from './useUpdateMe'
import { useSingle } from '../../parts/single'

const fields = ['displayName', 'email', 'mobile', 'language'] as const
type Name = (typeof fields)[number]
type Edits = Partial<Record<Name, string>>

const inputs: Record<Exclude<Name, 'language'>, InputHTMLAttributes<HTMLInputElement>> = {
  displayName: { autoComplete: 'name', maxLength: 200 },
  email: { type: 'text', inputMode: 'email', autoComplete: 'email', maxLength: 254 },
  mobile: { type: 'tel', autoComplete: 'tel', maxLength: 32 },
}

/** How one is called and reached. Only what was changed is sent. */
export function Profile() {
  const t = account.useTexts()
  const { me, value, change, changed, save } = useEdits()
  const single = useSingle(save.isPending, save.error)
  const known = fields.includes(fieldOf(save.error) as Name)
  const wrong = (name: Name) => (fieldOf(save.error) === name ? t(`${name as 'email'}Bad`) : undefined)
  return (
    <section className="card" aria-labelledby="acct-profile">
      <header><h2 id="acct-profile">{t('profile')}</h2></header>
      <form
        className="body"
        noValidate
        onSubmit={(e) => {
          e.preventDefault()
          if (changed) single(() => save.mutate(changed))
        }}
        onKeyDown={(e) => {
          if (!(e.ctrlKey || e.metaKey) || e.key !== 's') return
          e.preventDefault()
          e.currentTarget.requestSubmit()
        }}
      >
        {(['displayName', 'email', 'mobile'] as const).map((name) => (
          <Field key={name} label={t(name)} hint={name === 'mobile' ? t('mobileHint') : undefined} error={wrong(name)}>
            {(control) => <input {...control} {...inputs[name]} className="in" value={value(name)} onChange={(e) => change(name, e.target.value)} />}
          </Field>
        ))}
        <Field label={t('language')} hint={t('languageHint')}>
          {(control) => (
            <select {...control} className="in" value={value('language')} onChange={(e) => change('language', e.target.value)}>
              {Object.entries(languages).map(([code, name]) => <option key={code} value={code} lang={code}>{name}</option>)}
            </select>
          )}
        </Field>
        {save.isError && !known && <RefusalNote error={save.error} again={changed && (() => save.mutate(changed))} />}
        <div className="row g3">
          <button type="submit" className="btn pri" disabled={!changed || save.isPending}>{save.isPending ? t('saving') : t('save')}</button>
          <span className="sm mid row" role="status">
            {save.isSuccess && !changed && me && <><IconCheck className="i s acc" stroke={2} aria-hidden />{t('saved')}</>}
          </span>
        </div>
      </form>
    </section>
  )
}

function useEdits() {
  const me = useMe()
  const set = useSetMe()
  const [edits, setEdits] = useState<Edits>({})
  const save = useUpdateMe((user) => {
    set(user)
    setEdits({})
    // The browser may speak another one than the account: that changes by choice only.
    if (edits.language !== undefined && user.language && user.language in languages) void speak(user.language as Language)
  })
  const names = fields.filter((name) => edits[name] !== undefined && edits[name] !== (me[name] ?? ''))
  const changed = names.length > 0 ? Object.fromEntries(names.map((name) => [name, edits[name]?.trim()])) as Edits : undefined
  const change = (name: Name, value: string) => {
    if (save.isError) save.reset()
    setEdits({ ...edits, [name]: value })
  }
  return { me, value: (name: Name) => edits[name] ?? me[name] ?? '', change, changed, save }
}
