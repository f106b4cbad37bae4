import { useState } from 'react'
import { type Draft, fits, type Policy } from './draft'
import { words } from './text'

const choices = ['OPTIONAL', 'REQUIRED', 'PATTERN'] as const

export function Governance({ policy, set, disabled, refused }: { policy: Policy; set: (part: Draft) => void; disabled: boolean; refused?: string }) {
  const t = words.useTexts()
  const chosen = policy.governanceCode === 'GOVERNANCE_UNSPECIFIED' ? 'OPTIONAL' : policy.governanceCode
  return (
    <section className="card box" aria-labelledby="governance">
      <h2 id="governance">{t('governance')}</h2>
      <p className="sm mid">{t('governanceText')}</p>
      <fieldset disabled={disabled} aria-labelledby="governance">
        {choices.map((c) => (
          <label key={c} className="ck">
            <input type="radio" name="governance" checked={chosen === c} onChange={() => set({ governanceCode: c })} />
            <span><span className="m">{t(c)}</span><span className="xs dim block">{t(`${c}Text`)}</span></span>
          </label>
        ))}
      </fieldset>
      {chosen === 'PATTERN' && <Pattern value={policy.governancePattern ?? ''} set={set} disabled={disabled} refused={refused} />}
    </section>
  )
}

/** The pattern, and a field that tries it. */
function Pattern({ value, set, disabled, refused }: { value: string; set: (part: Draft) => void; disabled: boolean; refused?: string }) {
  const t = words.useTexts()
  const [code, setCode] = useState('')
  const missing = value === ''
  const result = missing || code === '' ? undefined : fits(value, code)
  const cannot = !missing && fits(value, '') === undefined
  const verdict = cannot ? t('untestable') : result === undefined ? t('testHint') : result ? t('fits') : t('fitsNot')
  return (
    <div className="two">
      <div>
        <label className="f" htmlFor="pattern">{t('pattern')}</label>
        <input
          id="pattern" className="in mono" value={value} maxLength={200} disabled={disabled} autoComplete="off" spellCheck={false} required
          aria-invalid={missing || refused !== undefined || undefined} aria-describedby="pattern-hint"
          onChange={(e) => set({ governancePattern: e.target.value })}
        />
        <p className={`hint${missing || refused ? ' red' : ''}`} id="pattern-hint">{missing ? t('patternMissing') : (refused ?? t('patternHint'))}</p>
      </div>
      <div>
        <label className="f" htmlFor="try">{t('test')}</label>
        <input id="try" className="in mono" value={code} placeholder="INC0048213" autoComplete="off" spellCheck={false} aria-describedby="try-hint" onChange={(e) => setCode(e.target.value)} />
        <p className="hint" id="try-hint" role="status">{result === undefined ? verdict : <b className="b">{verdict}</b>}</p>
      </div>
    </div>
  )
}
