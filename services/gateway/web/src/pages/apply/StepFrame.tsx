import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import type { ReactNode } from 'react'
import { RefusalNote } from '../../parts/Note'
import type { Step } from './kinds'

/** One step: its number, which becomes a check once it fits, and the refusal that is about it. */
export function StepFrame({ n, name, title, fits, error, children, last }: {
  n: number
  name: Step
  title: ReactNode
  fits?: boolean
  error?: unknown
  children: ReactNode
  last?: boolean
}) {
  return (
    <section className={`step${fits ? ' done' : ''}${last ? ' apply' : ''}`} data-step={name} aria-labelledby={`step-${name}`}>
      <div className="mk" aria-hidden><span>{fits ? <IconCheck className="i s" stroke={2.2} /> : n}</span></div>
      <div className="sb">
        <div className="sh"><h2 id={`step-${name}`}>{title}</h2></div>
        {children}
        {error !== undefined && <div className="stepnote" id={`note-${name}`}><RefusalNote error={error} /></div>}
      </div>
    </section>
  )
}

const wanted: Record<Step, string> = {
  prove: '[data-step="prove"] .code input:enabled',
  when: '[data-step="when"] .pre [aria-checked="true"]:enabled',
  whom: '[data-step="whom"] [aria-checked="true"]:enabled',
  why: '#justification:enabled',
  governance: '#governance:enabled',
  through: '.through summary',
  apply: '[data-step="apply"] input:enabled, #save:enabled',
}

// Fields that were disabled while something was on its way are enabled with the next render.
const soon = 60

/** Moves the focus into a step: to what is chosen in it, or to its first field. At once if it can, so that no key gets lost. */
export function enter(step: Step) {
  const focus = () => {
    const field = document.querySelector<HTMLElement>(wanted[step])
    field?.focus()
    return field !== null
  }
  if (!focus()) setTimeout(focus, soon)
}
