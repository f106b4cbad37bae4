import { type ClipboardEvent, type KeyboardEvent, useEffect, useRef } from 'react'
import { shell } from '../app/text'

const length = 6
const places = [0, 1, 2, 3, 4, 5]

/**
 * Six fields for the code of an MFA app. Digits move on by themselves, pasting fills all, and the sixth calls done.
 * The whole value is the parent's.
 */
export function CodeInput({ value, change, done, disabled, invalid, focus }: {
  value: string
  change: (value: string) => void
  done: (value: string) => void
  disabled?: boolean
  invalid?: boolean
  /** Takes the focus when it becomes true, and at first if it is. */
  focus?: boolean
}) {
  const t = shell.useTexts()
  const fields = useRef<(HTMLInputElement | null)[]>([])
  const opened = useRef(false)
  useEffect(() => {
    if (!focus || disabled) return
    // After a wrong code one types the next, but whoever writes elsewhere when a code runs out goes on writing there.
    const lost = !document.activeElement || document.activeElement === document.body
    if (!opened.current || lost) fields.current[0]?.focus()
    opened.current = true
  }, [focus, disabled])
  const set = (next: string) => {
    const digits = next.replace(/\D/g, '').slice(0, length)
    change(digits)
    fields.current[Math.min(digits.length, length - 1)]?.focus()
    if (digits.length === length && digits !== value) done(digits)
  }
  const key = (e: KeyboardEvent<HTMLInputElement>, i: number) => {
    if (e.key === 'Backspace' && !value[i]) {
      e.preventDefault()
      set(value.slice(0, Math.max(0, i - 1)))
    }
    if (e.key === 'ArrowLeft') fields.current[i - 1]?.focus()
    if (e.key === 'ArrowRight') fields.current[i + 1]?.focus()
  }
  const paste = (e: ClipboardEvent) => {
    e.preventDefault()
    set(e.clipboardData.getData('text'))
  }
  return (
    <div className="code" role="group" aria-label={t('code')}>
      {places.map((i) => (
        <input
          key={i}
          ref={(element) => { fields.current[i] = element }}
          aria-label={t('codeDigit', { n: i + 1 })}
          aria-invalid={invalid || undefined}
          autoComplete={i === 0 ? 'one-time-code' : 'off'}
          inputMode="numeric"
          disabled={disabled}
          value={value[i] ?? ''}
          onFocus={(e) => e.target.select()}
          onPaste={paste}
          onKeyDown={(e) => key(e, i)}
          onChange={(e) => set(e.target.value.length > 1 ? value.slice(0, i) + e.target.value.replace(value[i] ?? '', '') : value.slice(0, i) + e.target.value + value.slice(i + 1))}
        />
      ))}
    </div>
  )
}
