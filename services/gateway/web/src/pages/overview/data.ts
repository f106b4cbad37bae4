import { useQueries, useQuery } from '@tanstack/react-query'
import { api, ask, type Schemas } from '../../api/client'
import { type Doors, told, useDoors } from '../../app/doors'
import { useMay } from '../../app/me'
import { type Emergency, usePosture } from '../../app/posture'
import { fetchReceipts } from '../reports/emergency'

export type Enforcer = Schemas['Enforcer']
/** Silent is 'stale'; 'old' is heard, and can't tell whether what it holds is all there is. */
export type Stand = 'fresh' | 'behind' | 'old' | 'stale'
export type Seen = Omit<Enforcer, 'age'> & { stand: Stand; age?: number }

const enforcersEvery = 2000
const receiptsEvery = 1000
const historyEvery = 60_000
const recentEvery = 30_000
const shown = 5

/** "<epoch>-<sequence>" as numbers that compare. */
function parts(revision: string | undefined): [number, number] {
  const [epoch, sequence] = (revision ?? '').split('-').map(Number)
  return [epoch || 0, sequence || 0]
}

export const sequenceOf = (revision: string | undefined) => parts(revision)[1]

/** Whether a view holds at least what the other revision says. */
function holds(view: string | undefined, wanted: string | undefined): boolean {
  const [e, s] = parts(view)
  const [we, ws] = parts(wanted)
  return e > we || (e === we && s >= ws)
}

const heardFor = 4000

/** "1.5s" in milliseconds. */
const ms = (duration: string | undefined) => (duration === undefined ? undefined : Number.parseFloat(duration) * 1000)

/** Who enforces, with the age of each one's view when it was asked. */
export function useEnforcers() {
  const { posture } = usePosture()
  const may = useMay('System.Read')
  const query = useDoors(may, enforcersEvery)
  const at = query.data?.at ?? 0
  const list = query.data && (query.data.enforcers ?? []).map((e): Seen => {
    const seen = Date.parse(e.lastSeenTime ?? '')
    const silent = Number.isNaN(seen) ? undefined : Math.max(0, at - seen)
    const heard = silent !== undefined && silent < heardFor
    const stand = !e.fresh ? (e.bound && heard ? 'old' : 'stale') : holds(e.revision, posture?.revision) ? 'fresh' : 'behind'
    return { ...e, stand, age: e.bound ? ms(e.age) : silent }
  })
  return { ...query, list, sums: query.data && list && sumsOf(query.data, list), may }
}

/** All enforcers in figures, whether they are told or left out; of those left out some may not be current. */
export type Sums = { all: number; current: number; stale: number; sessions: number; unheard: number; omitted: number; omittedNot: number }

/** Where each is told they are counted here; the service knows the others. */
function sumsOf({ summary, omittedEnforcers: omitted = 0 }: Doors, list: Seen[]): Sums {
  const fresh = list.filter((e) => e.stand === 'fresh').length
  if (!omitted || !summary) {
    const [stale, heard] = [list.filter((e) => e.stand === 'stale'), list.filter((e) => e.stand !== 'stale')]
    const sum = (of: Seen[]) => of.reduce((n, e) => n + (e.openSessions ?? 0), 0)
    return { all: list.length + omitted, current: fresh, stale: stale.length, sessions: sum(heard), unheard: sum(stale), omitted, omittedNot: 0 }
  }
  const { current = 0, behind = 0, old = 0, openSessions = 0, silentSessions = 0 } = summary
  const all = list.length + omitted
  return {
    all, current, stale: all - current - behind - old, sessions: openSessions, unheard: silentSessions,
    omitted, omittedNot: Math.max(0, omitted - Math.max(0, current - fresh)),
  }
}

/** What every enforcer says of one emergency; asked often until all have said it. */
export function useReceipts(id: string | undefined) {
  const may = useMay('System.Read')
  return useQuery({
    queryKey: ['overview', 'receipts', id],
    queryFn: () => fetchReceipts(id ?? '', told),
    enabled: id !== undefined && may,
    refetchInterval: (q) => (q.state.data && q.state.data.confirmed === q.state.data.all ? enforcersEvery : receiptsEvery),
  })
}

export type History = { points: { time: string; open: number }[]; since?: string }

/** How many sessions there were. */
export function useHistory(hours: number) {
  return useQuery({
    queryKey: ['overview', 'history', hours],
    queryFn: () => history(hours),
    refetchInterval: historyEvery,
    enabled: useMay('System.Read'),
    placeholderData: (before) => before,
  })
}

async function history(hours: number): Promise<History> {
  const { points, since } = await ask(api.GET('/v1/sessions:history', { params: { query: { hours } } }))
  return { points: (points ?? []).map((p) => ({ time: p.time ?? '', open: p.open ?? 0 })), since }
}
/** The newest emergencies that have begun, of the three reports. */
export function useRecent() {
  const { posture } = usePosture()
  // Whatever is on is known at once; the reports follow when it changes.
  const mark = posture?.revision ?? ''
  return useQuery({
    queryKey: ['overview', 'recent', mark],
    enabled: useMay('System.Read'),
    refetchInterval: recentEvery,
    placeholderData: (before) => before,
    queryFn: async () => {
      const query = { params: { query: { pageSize: 20 } } }
      const [t, f, k, l] = await Promise.all([
        ask(api.GET('/v1/terminations', query)), ask(api.GET('/v1/freezes', query)), ask(api.GET('/v1/locks', query)), ask(api.GET('/v1/lockdowns', query)),
      ])
      const all = [...(t.terminations ?? []), ...(f.freezes ?? []), ...(k.locks ?? []), ...(l.lockdowns ?? [])].filter((e) => e.status !== 'PENDING')
      return all.sort((a, b) => Date.parse(b.startTime ?? '') - Date.parse(a.startTime ?? '') || 0)
    },
    select: (all: Emergency[]) => ({ first: all.slice(0, shown), freezes: all.filter((e) => e.kind === 'FREEZE' || e.kind === 'LOCKDOWN') }),
  })
}

/** The receipts of those emergencies, each counted. */
export function useCounts(of: Emergency[]) {
  return useQueries({
    queries: of.map((e) => ({
      queryKey: ['overview', 'receipts', 'counted', e.id, e.revision, e.status],
      staleTime: recentEvery,
      queryFn: async () => {
        const { confirmed, all } = await fetchReceipts(e.id ?? '', 0)
        return { confirmed, of: all }
      },
    })),
  }).map((q) => q.data)
}
