import './password.css'
import IconEye from '@tabler/icons-react/dist/esm/icons/IconEye.mjs'
import IconEyeOff from '@tabler/icons-react/dist/esm/icons/IconEyeOff.mjs'
import { type InputHTMLAttributes, useState } from 'react'
import { signIn } from './text'

/** A password, which whoever types it may look at. */
export function PasswordField(props: InputHTMLAttributes<HTMLInputElement> & { id: string }) {
  const t = signIn.useTexts()
  const [shown, show] = useState(false)
  const Icon = shown ? IconEyeOff : IconEye
  return (
    <div className="pw">
      <input {...props} className="in" type={shown ? 'text' : 'password'} maxLength={1024} spellCheck={false} autoCapitalize="none" />
      <button type="button" className="icb" aria-label={shown ? t('hide') : t('show')} aria-pressed={shown} aria-controls={props.id} onClick={() => show(!shown)}>
        <Icon className="i" stroke={1.6} aria-hidden />
      </button>
    </div>
  )
}
