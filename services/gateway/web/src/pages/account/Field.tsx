import { type ReactNode, useId } from 'react'

type Described = { id: string; 'aria-invalid'?: true; 'aria-describedby'?: string }

/** A label, its control, a hint, and what is wrong. */
export function Field({ label, hint, error, children }: { label: string; hint?: string; error?: string; children: (control: Described) => ReactNode }) {
  const id = useId()
  const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(' ')
  return (
    <div className="fd">
      <label className="f" htmlFor={id}>{label}</label>
      {children({ id, 'aria-invalid': error ? true : undefined, 'aria-describedby': described || undefined })}
      {error && <p className="hint red" id={`${id}-error`} role="alert">{error}</p>}
      {hint && <p className="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  )
}
