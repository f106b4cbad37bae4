import { number, span } from '../../app/format'
import type { Emergency } from '../../app/posture'
import { at } from '../reports/emergency'
import { type Figures, useSeldom } from './state'
import { live } from './text'

const pause = 5000
const marks = [60_000, 300_000, 600_000]

/** What a screen reader is told: how far it is, and that ten, five and one minutes are left. */
export function useSpoken(e: Emergency, title: string, f: Figures, now: number): string {
  const t = live.useTexts()
  const counts = { done: number(f.done), all: number(f.done + f.open + f.unknown) }
  const left = e.status === 'ONGOING' && e.endTime ? at(e.endTime) - now : Infinity
  const mark = marks.find((m) => left <= m)
  const words = [title, f.forgotten ? '' : t(f.of === 'sessions' ? 'sayEnded' : 'sayDoors', counts), mark ? t('sayLeft', { span: span(mark) }) : '']
  return words.filter(Boolean).map((w) => (w.endsWith('.') ? w : `${w}.`)).join(' ')
}

/** A polite live region that speaks at most every five seconds, and then of the latest. */
export function Say({ text }: { text: string }) {
  return <p className="sr" role="status" aria-live="polite">{useSeldom(text, pause, '')}</p>
}
