import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { api, ask } from '../../api/client'
import { serverNow, useNow } from '../../app/clock'
import { type Emergency, usePosture } from '../../app/posture'
import type { Bar } from '../../parts/Gate'
import { asOf, at, compareRevisions, type Enforcer, endsSessions, fetchEmergency, fetchReceipts, type Receipt } from '../reports/emergency'

const movingEvery = 500
const restingEvery = 3000

export type Snapshot = { emergency: Emergency; receipts: Receipt[]; time: number }

/** Something may still change without anybody acting: sessions end, receipts come. */
export function moving({ emergency: e, receipts }: Snapshot): boolean {
  if (e.status === 'RUNNING' || (e.open ?? 0) > 0) return true
  const over = e.status === 'ENDED' || e.status === 'CANCELLED'
  return !over && receipts.some((r) => r.state !== 'CONFIRMED')
}

/** Follows one emergency: often while it moves, seldom while it rests, at once when the posture changes. */
export function useEmergency(id: string) {
  const { posture } = usePosture()
  const now = useNow()
  const query = useQuery({
    queryKey: ['live', id],
    queryFn: async (): Promise<Snapshot> => {
      const [emergency, receipts] = await Promise.all([fetchEmergency(id), fetchReceipts(id)])
      return { emergency, receipts, time: serverNow() }
    },
    retry: false,
    refetchInterval: (q) => (q.state.error && !q.state.data ? restingEvery : q.state.data && moving(q.state.data) ? movingEvery : restingEvery),
  })
  const enforcers = useQuery({
    queryKey: ['enforcers'],
    queryFn: async () => (await ask(api.GET('/v1/enforcers'))).enforcers ?? [],
    placeholderData: keepPreviousData,
    retry: false,
    refetchInterval: restingEvery,
  })
  const { refetch } = query
  const mark = posture?.emergencies?.find((e) => e.id === id)
  const sign = `${mark?.revision} ${mark?.status} ${posture?.revision}`
  const status = query.data && asOf(query.data.emergency, now).status
  useEffect(() => {
    if (sign && status) void refetch()
  }, [sign, status, refetch])
  return { query, enforcers: enforcers.data ?? [] }
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

const count = (receipts: Receipt[], state: Receipt['state']) => receipts.filter((r) => r.state === state).length

export function figuresOf(e: Emergency, receipts: Receipt[], enforcers: Enforcer[]): Figures {
  if (!endsSessions(e) || e.status === 'PENDING' || (e.status === 'CANCELLED' && !e.started)) {
    return { of: 'doors', done: count(receipts, 'CONFIRMED'), open: count(receipts, 'WAITING'), unknown: count(receipts, 'UNREACHABLE') }
  }
  if (e.ended !== undefined) return { of: 'sessions', done: e.ended, open: e.open ?? 0, unknown: e.unreachable ?? 0 }
  const sum = { of: 'sessions' as const, done: 0, open: 0, unknown: 0, summed: true, forgotten: false }
  for (const r of receipts) {
    sum.done += r.endedSessions ?? 0
    const silent = r.state === 'UNREACHABLE' || enforcers.some((f) => f.id === r.enforcer && f.service === r.service && !f.fresh)
    if (silent) sum.unknown += r.openSessions ?? 0
    else sum.open += r.openSessions ?? 0
  }
  sum.forgotten = e.status !== 'ONGOING' && sum.done + sum.open + sum.unknown === 0
  return sum
}

/** Whether the window is over: then doors open again, and a bar that stays down would be a lie. */
export const over = (e: Emergency) => e.status === 'ENDED' || e.status === 'CANCELLED'

export function barOf(e: Emergency, r: Receipt): Bar {
  if (r.state === 'UNREACHABLE') return 'unknown'
  if (e.status === 'PENDING') return 'open'
  if (e.status === 'CANCELLED' && compareRevisions(r.revision, e.revision) < 0) return 'waiting'
  if (over(e)) return 'open'
  return r.state === 'CONFIRMED' ? 'confirmed' : 'waiting'
}

/** The title says no more than the doors have said. */
export function titleOf(e: Emergency, receipts: Receipt[], f: Figures) {
  if (e.kind === 'TERMINATION') return `TERMINATION_${e.status === 'DONE' || e.status === 'PARTIAL' ? e.status : 'RUNNING'}` as const
  const kind = e.kind === 'FREEZE' ? 'FREEZE' : 'LOCKDOWN'
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

export const heard = (r: Receipt, enforcers: Enforcer[]) => enforcers.find((f) => f.id === r.enforcer && f.service === r.service)

/** How long it has been on, is to be, or was. */
export const held = (e: Emergency) => at(e.endTime) - at(e.startTime)
