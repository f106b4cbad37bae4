import { api, ask, Refusal, type Schemas } from '../../api/client'
import type { Emergency } from '../../app/posture'

export type Receipt = Schemas['Receipt']
export type Enforcer = Schemas['Enforcer']
export type Summary = Schemas['ReceiptSummary']
export type ReportKind = 'TERMINATION' | 'FREEZE' | 'LOCK' | 'LOCKDOWN'

const letters: Record<string, ReportKind> = { T: 'TERMINATION', F: 'FREEZE', K: 'LOCK', L: 'LOCKDOWN' }

/** The kind that an id says; undefined for what is no id. */
export const kindOf = (id: string): ReportKind | undefined => (/^[TFKL]-\d+$/.test(id) ? letters[id[0]] : undefined)

/** An emergency by its id, whose first letter tells the kind. */
export function fetchEmergency(id: string): Promise<Emergency> {
  const params = { path: { id } }
  switch (kindOf(id)) {
    case 'TERMINATION': return ask(api.GET('/v1/terminations/{id}', { params }))
    case 'FREEZE': return ask(api.GET('/v1/freezes/{id}', { params }))
    case 'LOCK': return ask(api.GET('/v1/locks/{id}', { params }))
    case 'LOCKDOWN': return ask(api.GET('/v1/lockdowns/{id}', { params }))
    default: return Promise.reject(new Refusal(404, 'NOT_FOUND', id))
  }
}

/** The receipts that are told, and how many there are of all: some are left out, and of these some may not have confirmed. */
export type Receipts = { told: Receipt[]; all: number; confirmed: number; waiting: number; omitted: number; omittedNot: number }

/** So many receipts of an emergency at most, and the sums of all. */
export async function fetchReceipts(id: string, most: number): Promise<Receipts> {
  const { receipts: told = [], summary, omittedReceipts: omitted = 0 } = await ask(api.GET('/v1/emergencies/{id}/receipts', { params: { path: { id }, query: { most } } }))
  const count = (state: Receipt['state']) => told.filter((r) => r.state === state).length
  const confirmed = summary?.confirmed ?? count('CONFIRMED')
  return {
    told, confirmed, omitted, all: told.length + omitted, waiting: summary?.waiting ?? count('WAITING'),
    omittedNot: Math.max(0, omitted - (confirmed - count('CONFIRMED'))),
  }
}

export type Page = { emergencies: Emergency[]; next: string; counts: Record<string, number>; people: string[] }
export type Query = { pageSize: number; pageToken?: string; filter?: string; query?: string; orderBy?: string }

/** One page of a report. */
export async function fetchPage(kind: ReportKind, query: Query): Promise<Page> {
  const params = { query }
  const of = (emergencies: Emergency[] = [], page: { nextPageToken?: string; statusCounts?: Record<string, number>; people?: string[] }) =>
    ({ emergencies, next: page.nextPageToken ?? '', counts: page.statusCounts ?? {}, people: page.people ?? [] })
  if (kind === 'TERMINATION') {
    const page = await ask(api.GET('/v1/terminations', { params }))
    return of(page.terminations, page)
  }
  if (kind === 'FREEZE') {
    const page = await ask(api.GET('/v1/freezes', { params }))
    return of(page.freezes, page)
  }
  if (kind === 'LOCK') {
    const page = await ask(api.GET('/v1/locks', { params }))
    return of(page.locks, page)
  }
  const page = await ask(api.GET('/v1/lockdowns', { params }))
  return of(page.lockdowns, page)
}

export const at = (time: string | undefined) => (time ? Date.parse(time) : 0)

/** The emergency with the status that it has now: a window starts and ends between two answers too. */
export function asOf(e: Emergency, now: number): Emergency {
  if (e.kind === 'TERMINATION') return e
  let { status } = e
  if (status === 'PENDING' && at(e.startTime) <= now) status = 'ONGOING'
  if (status === 'ONGOING' && e.endTime && at(e.endTime) <= now) status = 'ENDED'
  return status === e.status ? e : { ...e, status }
}

/** Whether there is something to cancel. What a termination ended stays ended. */
export const cancellable = (e: Emergency) => e.status === 'PENDING' || e.status === 'ONGOING'

/** Whether it can end earlier than it said, but for being cancelled. */
export const shortenable = (e: Emergency) => cancellable(e) && e.kind !== 'LOCK'

/** Whether it ends sessions that are open. */
export const endsSessions = (e: Emergency) => e.kind !== 'FREEZE' || e.endLiveSessions === true

/** Compares revisions, "<epoch>-<sequence>": negative if a is older. */
export function compareRevisions(a: string | undefined, b: string | undefined): number {
  const [ae, as] = (a || '0-0').split('-').map(Number)
  const [be, bs] = (b || '0-0').split('-').map(Number)
  return ae - be || as - bs
}
