import { useState } from 'react'
import { Text } from '../../parts/Editor'
import { accountTexts } from './accounts-text'

/** What is written and never read: undefined leaves the one that is kept. drops says that saving would forget it. */
export function Secret({ label, hint, kept, drops, value, change, error, mono }: {
  label: string; hint?: string; kept: boolean; drops?: boolean; value: string | undefined; change: (value: string | undefined) => void; error?: string; mono?: boolean
}) {
  const t = accountTexts.useTexts()
  const [replacing, replace] = useState(false)
  const set = (on: boolean) => {
    replace(on)
    change(on ? '' : undefined)
  }
  if (kept && !drops && !replacing) {
    return (
      <div>
        <p className="lab">{label}</p>
        <p className="row sm"><span className="grow mid">{t('kept')}</span><button type="button" className="btn sm" aria-label={`${t('replace')}: ${label}`} onClick={() => set(true)}>{t('replace')}</button></p>
      </div>
    )
  }
  return (
    <div className="secret-in">
      {drops && !value && <p className="note caution" role="status">{t('drops')}</p>}
      <Text label={label} hint={hint ?? t('passwordHint')} type="password" mono={mono} value={value ?? ''} change={change} length={8192} error={error} />
      {kept && !drops && <button type="button" className="btn sm quiet" onClick={() => set(false)}>{t('keep')}</button>}
    </div>
  )
}
