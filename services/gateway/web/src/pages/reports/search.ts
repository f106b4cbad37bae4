import { useNavigate, useSearch } from '@tanstack/react-router'
import { serverNow } from '../../app/clock'
import { reportOf } from '../../app/router'
import type { Query, ReportKind } from './emergency'

export const paths = { TERMINATION: reportOf.T, FREEZE: reportOf.F, LOCK: reportOf.K, LOCKDOWN: reportOf.L } as const

const names = ['status', 'by', 'q', 'last', 'from', 'to', 'group', 'sort', 'page', 'details', 'devices'] as const

/** What the address of a report says: what it is narrowed to, its order, the page, and the drawer that is open. */
export type Search = { [name in (typeof names)[number]]?: string }

/** Page tokens lead forward only: the address holds those of all pages before, so that one can go back. */
export const between = '~'

/** How far back a report reaches: days, by what the address calls them. */
export const reaches = { '1d': 1, '7d': 7, '30d': 30, '90d': 90 } as const
export type Reach = keyof typeof reaches

export const reachOf = (search: Search): Reach | undefined => (search.last && search.last in reaches ? (search.last as Reach) : undefined)

/** Whether days are chosen one by one; empty ones are open ends. */
export const hasDays = (search: Search) => search.from !== undefined || search.to !== undefined

/** Everything that narrows a report, taken away. */
export const everything: Search = { status: undefined, by: undefined, q: undefined, last: undefined, from: undefined, to: undefined, group: undefined, page: undefined }

/** What is on first, then what is to come, then the newest. */
export const usualOrder = 'status'

const dayLength = 86_400_000

/** The first moment of a day here, as a date field holds it; nothing for what is no day. */
function dayBegins(text: string | undefined, later = 0): string | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text ?? '') ?? []
  const at = new Date(Number(year), Number(month) - 1, Number(day) + later)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}

/** What the API is asked for. The address says "descending" with a minus in front. */
export function queryOf(search: Search): Omit<Query, 'pageSize'> {
  const reach = reachOf(search)
  const since = reach ? new Date(serverNow() - reaches[reach] * dayLength).toISOString() : dayBegins(search.from)
  const until = reach ? undefined : dayBegins(search.to, 1)
  const conditions = { status: search.status, createdBy: search.by, accessGroup: search.group, since, until }
  const filter = Object.entries(conditions).filter(([, value]) => value).map(([key, value]) => `${key}=${value}`).join(' AND ')
  const sort = search.sort || usualOrder
  return {
    ...(filter && { filter }), ...(search.q && { query: search.q }), orderBy: sort.startsWith('-') ? `${sort.slice(1)} desc` : sort,
    pageToken: search.page?.split(between).at(-1),
  }
}

/** What the address says, and how to change it. An undefined value leaves the address. */
export function useReportSearch(kind: ReportKind): [Search, (change: Search, replace?: boolean) => void] {
  const go = useNavigate()
  const raw = useSearch({ strict: false }) as Record<string, unknown>
  const search: Search = Object.fromEntries(names.filter((name) => raw[name] !== undefined).map((name) => [name, String(raw[name])]))
  return [search, (change, replace) => void go({ to: paths[kind], search: { ...search, ...change }, replace })]
}
