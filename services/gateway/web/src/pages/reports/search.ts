import { useNavigate, useSearch } from '@tanstack/react-router'
import { reportOf } from '../../app/router'
import type { ReportKind } from './emergency'

export const paths = { TERMINATION: reportOf.T, FREEZE: reportOf.F, LOCKDOWN: reportOf.L } as const

/** What the address of a report says: the filter, the page, and the drawer that is open. */
export type Search = { status?: string; by?: string; page?: string; details?: string; devices?: string }

/** Page tokens lead forward only: the address holds those of all pages before, so that one can go back. */
export const between = '~'

/** What the address says, and how to change it. An undefined value leaves the address. */
export function useReportSearch(kind: ReportKind): [Search, (change: Search, replace?: boolean) => void] {
  const go = useNavigate()
  const raw = useSearch({ strict: false }) as Record<string, unknown>
  const text = (name: string) => (raw[name] === undefined ? undefined : String(raw[name]))
  const search: Search = { status: text('status'), by: text('by'), page: text('page'), details: text('details'), devices: text('devices') }
  return [search, (change, replace) => void go({ to: paths[kind], search: { ...search, ...change }, replace })]
}
