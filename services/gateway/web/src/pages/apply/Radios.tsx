import { type KeyboardEvent, type ReactNode, useRef } from 'react'
import { keysOn } from '../../app/keys'

/** Buttons of which one is chosen: one tab stop, arrows move and choose; where digits is set, 1 is the first of that many. */
export function Radios<V extends string | number>({ label, className, options, value, change, digits = 0, disabled }: {
  label: string
  className: 'seg' | 'pre'
  options: readonly { value: V; text: ReactNode }[]
  value: V
  change: (value: V) => void
  digits?: number
  disabled?: boolean
}) {
  const buttons = useRef<(HTMLButtonElement | null)[]>([])
  const choose = (i: number) => {
    change(options[i].value)
    buttons.current[i]?.focus()
  }
  const key = (e: KeyboardEvent, i: number) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key]
    const digit = keysOn() && !e.ctrlKey && !e.metaKey && !e.altKey ? Number(e.key) : 0
    if (step) choose((i + step + options.length) % options.length)
    else if (digit >= 1 && digit <= digits) choose(digit - 1)
    else return
    e.preventDefault()
  }
  return (
    <div className={className} role="radiogroup" aria-label={label}>
      {options.map((o, i) => (
        <button
          key={o.value}
          ref={(element) => { buttons.current[i] = element }}
          type="button"
          role="radio"
          aria-checked={o.value === value}
          tabIndex={o.value === value ? 0 : -1}
          disabled={disabled}
          onClick={() => change(o.value)}
          onKeyDown={(e) => key(e, i)}
        >
          {o.text}
        </button>
      ))}
    </div>
  )
}
