import { useState } from 'react'
import type { Draft, Policy } from './draft'
import { words } from './text'

type Groups = NonNullable<Policy['expectedEnforcers']>

/** A line for each group: service/names minimum. */
export const write = (groups: Groups = []) => groups.map((g) => `${g.service}/${g.namePattern} ${g.minimum}`).join('\n')

/** What lines say; undefined where one can't be read. */
export function read(text: string): Groups | undefined {
  const groups: Groups = []
  for (const line of text.split('\n').map((l) => l.trim()).filter(Boolean)) {
    const [, service, namePattern, minimum] = /^([a-z][a-z-]*)\/(\S+)\s+(\d+)$/.exec(line) ?? []
    if (!service || !Number(minimum)) return undefined
    groups.push({ service, namePattern, minimum: Number(minimum) })
  }
  return groups
}

/** Who must be there: a door that never came is missed, too. */
export function Expected({ policy, set, disabled, refused }: { policy: Policy; set: (part: Draft) => void; disabled: boolean; refused?: string }) {
  const t = words.useTexts()
  const now = write(policy.expectedEnforcers)
  const [text, setText] = useState(now)
  const [of, setOf] = useState(now)
  if (now !== of) { // saved, discarded, or changed by somebody else
    setOf(now)
    if (write(read(text)) !== now) setText(now)
  }
  const wrong = read(text) === undefined
  const change = (value: string) => {
    setText(value)
    const groups = read(value)
    if (groups) set({ expectedEnforcers: groups })
  }
  return (
    <section className="card box" aria-labelledby="expected">
      <h2 id="expected">{t('expected')}</h2>
      <p className="sm mid">{t('expectedText')}</p>
      <textarea
        className="in area mono" rows={4} value={text} disabled={disabled} spellCheck={false} aria-labelledby="expected" aria-describedby="expected-hint"
        aria-invalid={wrong || refused !== undefined || undefined} onChange={(e) => change(e.target.value)}
      />
      <p className={`hint${wrong || refused ? ' red' : ''}`} id="expected-hint">{wrong ? t('expectedWrong') : (refused ?? t('expectedHint'))}</p>
    </section>
  )
}
