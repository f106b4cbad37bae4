import { type FormEvent, useId, useState } from 'react'
import { askable, changes, filterOf, type Wanted } from './data'
import { words } from './text'

/** What the API can be asked for: what happened, who did it, what it was done to; each whole. */
export function Filter({ wanted, choose }: { wanted: Wanted; choose: (wanted: Wanted) => void }) {
  const t = words.useTexts()
  const [actor, setActor] = useState(wanted.actor ?? '')
  const [target, setTarget] = useState(wanted.target ?? '')
  const id = useId()
  const good = askable(actor) && askable(target)
  const send = (change = wanted.change) => good && choose(clean({ change, actor, target }))
  const submit = (e: FormEvent) => {
    e.preventDefault()
    send()
  }
  return (
    <form className="filter" role="search" aria-label={t('filters')} onSubmit={submit}>
      <div>
        <label className="f" htmlFor={`${id}c`}>{t('what')}</label>
        <select id={`${id}c`} className="in sm" value={wanted.change ?? ''} onChange={(e) => send(e.target.value)}>
          <option value="">{t('anyChange')}</option>
          {changes.map((c) => <option key={c} value={c}>{t(c)}</option>)}
        </select>
      </div>
      <Text id={`${id}a`} label={t('actor')} hint={t('exactActor')} value={actor} change={setActor} send={() => send()} />
      <Text id={`${id}t`} label={t('target')} hint={t('exactTarget')} value={target} change={setTarget} send={() => send()} />
      {filterOf(wanted) && <button type="button" className="btn sm" onClick={() => choose({})}>{t('clear')}</button>}
      <input type="submit" hidden />
    </form>
  )
}

function Text({ id, label, hint, value, change, send }: { id: string; label: string; hint: string; value: string; change: (value: string) => void; send: () => void }) {
  const t = words.useTexts()
  const bad = !askable(value)
  return (
    <div>
      <label className="f" htmlFor={id}>{label}</label>
      <input
        id={id} className="in sm" value={value} placeholder={hint} autoComplete="off" spellCheck={false}
        aria-invalid={bad || undefined} aria-describedby={bad ? `${id}e` : undefined}
        onChange={(e) => change(e.target.value)} onBlur={send}
      />
      {bad && <p className="hint red" id={`${id}e`}>{t('badText')}</p>}
    </div>
  )
}

const clean = (wanted: Wanted): Wanted => Object.fromEntries(Object.entries(wanted).filter(([, text]) => text?.trim()))
