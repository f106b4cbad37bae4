import { at } from '../reports/emergency'
import type { Emergency } from '../../app/posture'

/** The end that somebody chooses: so many minutes on, or exactly when. */
export type End = { preset: number | undefined; exact: string }

const minute = 60_000
const all = [5, 15, 30, 60, 120, 240, 480, 1440, 2880, 10080]
const offered = 6

/** What an end is counted from: from now, or from the start of what has not begun. */
export const from = (of: Emergency, now: number) => Math.max(now, at(of.startTime))

/** The presets that lie before the end so far: the longest of them, in rising order. */
export const presetsOf = (of: Emergency, now: number) => all.filter((m) => from(of, now) + m * minute < at(of.endTime)).slice(-offered)

/** What is least of a change: the longest that is shorter. */
export function firstEnd(of: Emergency, now: number): End {
  return { preset: presetsOf(of, now).at(-1), exact: '' }
}

export const endOf = (end: End, of: Emergency, now: number) => (end.preset === undefined ? Date.parse(end.exact) : from(of, now) + end.preset * minute)

export function endFits(end: End, of: Emergency, now: number): boolean {
  const to = endOf(end, of, now)
  return to > from(of, now) && to < at(of.endTime)
}
