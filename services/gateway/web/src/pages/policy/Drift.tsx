import { useState } from 'react'
import type { Draft, Policy } from './draft'
import { words } from './text'

/** What applies where nobody has said anything. */
export const driftDefault = 10
const valid = (text: string) => /^\d{1,3}$/.test(text.trim()) && Number(text) <= 100

/** How far reality may be off a preview before an apply with it is refused. */
export function Drift({ policy, before, set, disabled, refused }: { policy: Policy; before: Policy; set: (part: Draft) => void; disabled: boolean; refused?: string }) {
  const t = words.useTexts()
  const now = String(policy.driftPercent ?? driftDefault)
  const [text, setText] = useState(now)
  const [of, setOf] = useState(now)
  if (now !== of) { // saved, discarded, or changed by somebody else
    setOf(now)
    if (valid(text) && Number(text) !== Number(now)) setText(now)
  }
  const wrong = !valid(text)
  const change = (value: string) => {
    setText(value)
    set({ driftPercent: valid(value) ? Number(value) : before.driftPercent }) // what can't be read changes nothing
  }
  return (
    <section className="card box" aria-labelledby="drift">
      <h2 id="drift">{t('drift')}</h2>
      <p className="sm mid">{t('driftText')}</p>
      <label className="f" htmlFor="drift-percent">{t('driftPercent')}</label>
      <input
        id="drift-percent" className="in percent" type="text" inputMode="numeric" value={text} disabled={disabled} autoComplete="off" maxLength={3}
        aria-describedby="drift-hint" aria-invalid={wrong || refused !== undefined || undefined} onChange={(e) => change(e.target.value)}
      />
      <p className={`hint${wrong || refused ? ' red' : ''}`} id="drift-hint">{wrong ? t('driftWrong') : (refused ?? t('driftHint'))}</p>
    </section>
  )
}
