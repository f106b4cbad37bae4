import { useEffect, useRef, useState } from 'react'
import type { Emergency } from '../../app/posture'
import type { Bar } from '../../parts/Gate'
import { at, compareRevisions, type Enforcer, endsSessions, type Receipt, type Summary } from '../reports/emergency'

/** A value that changes at most so often; the last one always arrives. */
export function useSeldom<T>(value: T, every: number, first = value): T {
  const [shown, show] = useState(first)
  const last = useRef(-every)
  useEffect(() => {
    const timer = setTimeout(() => {
      last.current = performance.now()
      show(value)
    }, Math.max(0, last.current + every - performance.now()))
    return () => clearTimeout(timer)
  }, [value, every])
  return shown
}

export type Figures = {
  /** What they count: sessions that end, or doors that confirm. */
  of: 'sessions' | 'doors'
  done: number
  open: number
  unknown: number
  /** Summed up from the receipts, as the emergency itself doesn't say. */
  summed?: boolean
  /** Nobody keeps these counts any more. */
  forgotten?: boolean
}

/** How many doors stand how: of very many, not each has its receipt here. */
export type Doors = { all: number; confirmed: number; waiting: number; unreachable: number; missing: number }

export function doorsOf(s: Summary | undefined, receipts: Receipt[]): Doors {
  const count = (state: Receipt['state']) => receipts.filter((r) => r.state === state).length
  const missing = receipts.reduce((sum, r) => sum + (r.lacking ?? 0), 0)
  const { confirmed = 0, waiting = 0, unreachable = 0, missing: lacking = 0 } = s ?? { confirmed: count('CONFIRMED'), waiting: count('WAITING'), unreachable: count('UNREACHABLE'), missing }
  return { confirmed, waiting, unreachable, missing: lacking, all: confirmed + waiting + unreachable + lacking }
}

export function figuresOf(e: Emergency, receipts: Receipt[], silent: Enforcer[], doors: Doors): Figures {
  if (!endsSessions(e) || e.status === 'PENDING' || (e.status === 'CANCELLED' && !e.started)) {
    return { of: 'doors', done: doors.confirmed, open: doors.waiting, unknown: doors.unreachable + doors.missing }
  }
  if (e.ended !== undefined) return { of: 'sessions', done: e.ended, open: e.open ?? 0, unknown: e.unreachable ?? 0 }
  const sum = { of: 'sessions' as const, done: 0, open: 0, unknown: 0, summed: true, forgotten: false }
  for (const r of receipts) {
    sum.done += r.endedSessions ?? 0
    if (r.state === 'UNREACHABLE' || silence(r, silent)) sum.unknown += r.openSessions ?? 0
    else sum.open += r.openSessions ?? 0
  }
  sum.forgotten = e.status !== 'ONGOING' && sum.done + sum.open + sum.unknown === 0
  return sum
}

/** Whether the window is over: then doors open again, and a bar that stays down would be a lie. */
export const over = (e: Emergency) => e.status === 'ENDED' || e.status === 'CANCELLED'

export function barOf(e: Emergency, r: Receipt): Bar {
  if (r.state === 'UNREACHABLE' || r.state === 'MISSING') return 'unknown'
  if (e.status === 'PENDING') return 'open'
  if (e.status === 'CANCELLED' && compareRevisions(r.revision, e.revision) < 0) return 'waiting'
  if (over(e)) return 'open'
  return r.state === 'CONFIRMED' ? 'confirmed' : 'waiting'
}

/** The title says no more than the doors have said. */
export function titleOf(e: Emergency, receipts: Receipt[], f: Figures) {
  if (e.kind === 'TERMINATION') return `TERMINATION_${e.status === 'DONE' || e.status === 'PARTIAL' ? e.status : 'RUNNING'}` as const
  const kind = e.kind === 'FREEZE' || e.kind === 'LOCK' ? e.kind : 'LOCKDOWN'
  if (e.status === 'PENDING' || e.status === 'ENDED' || e.status === 'CANCELLED') return `${kind}_${e.status}` as const
  if (receipts.length === 0 || receipts.some((r) => r.state === 'WAITING')) return `${kind}_MOVING` as const
  const sure = receipts.every((r) => r.state === 'CONFIRMED') && f.open + f.unknown === 0
  return `${kind}_${sure ? 'SURE' : 'SHUT'}` as const
}

const kinds = ['access-gate', 'session-broker', 'connector', 'guard', 'identity', 'driver']

/** By kind: first who lets in, then who holds sessions, then the others. */
export function byKind(receipts: Receipt[]): Receipt[] {
  const rank = (r: Receipt) => (kinds.indexOf(r.service ?? '') + kinds.length + 1) % (kinds.length + 1)
  return [...receipts].sort((a, b) => rank(a) - rank(b) || (a.service ?? '').localeCompare(b.service ?? '') || (a.enforcer ?? '').localeCompare(b.enforcer ?? '', undefined, { numeric: true }))
}

/** The enforcer as it was heard last, if it is silent now. */
export const silence = (r: Receipt, silent: Enforcer[]) => silent.find((f) => f.id === r.enforcer && f.service === r.service)

/** How long it has been on, is to be, or was. */
export const held = (e: Emergency) => at(e.endTime) - at(e.startTime)
