import { Field, Switch, Text } from '../../parts/Editor'
import { accountTexts } from './accounts-text'

/** A port; none takes the usual one. */
export function Port({ label, value, usual, change, error }: { label: string; value: number; usual: number; change: (port: number) => void; error?: string }) {
  const t = accountTexts.useTexts()
  return <Text label={label} hint={t('portHint', { port: usual })} mono value={value ? String(value) : ''} length={5} error={error} change={(text) => change(Number(text.replace(/\D/g, '')))} />
}

type Type = 'TLS' | 'SSL'

/** How a connection is kept from others. */
export function Safety({ secure, type, ignore, change }: { secure: boolean; type: string; ignore: boolean; change: (to: { secure?: boolean; type?: Type; ignore?: boolean }) => void }) {
  const t = accountTexts.useTexts()
  return (
    <>
      <Switch label={t('secureConnection')} hint={secure ? undefined : t('notSecure')} on={secure} change={(on) => change({ secure: on })} />
      {secure && (
        <>
          <Field label={t('secureType')}>
            {(given) => <select {...given} className="in" value={type} onChange={(e) => change({ type: e.target.value as Type })}><option value="TLS">{t('TLS')}</option><option value="SSL">{t('SSL')}</option></select>}
          </Field>
          <Switch label={t('ignoreErrors')} hint={t('ignoreHint')} on={ignore} change={(on) => change({ ignore: on })} />
        </>
      )}
    </>
  )
}
