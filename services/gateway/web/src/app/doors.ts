import { useQuery } from '@tanstack/react-query'
import { api, ask, type Schemas } from '../api/client'
import { serverNow } from './clock'

export type Doors = Schemas['ListEnforcersResponse'] & { at: number }

/** How many are told each by each at most, as the board does: of more, those that need a look. */
export const told = 300

/** Who enforces, and whether anything new can be put on record. */
export function useDoors(may: boolean, every: number) {
  return useQuery({
    queryKey: ['enforcers'],
    queryFn: async (): Promise<Doors> => ({ ...(await ask(api.GET('/v1/enforcers', { params: { query: { most: told } } }))), at: serverNow() }),
    refetchInterval: every,
    enabled: may,
  })
}

/** Whether the journal takes nothing new, and of what kind of reason. */
export const stuck = (doors: Doors | undefined) => {
  const state = doors?.journal?.state
  return state === 'FULL' || state === 'UNREACHABLE' || state === 'BROKEN' ? state : undefined
}

/** How many clocks are wrong besides those that are named. */
export function moreClocks(doors: Doors | undefined): number {
  const named = (doors?.enforcers ?? []).filter((e) => e.clockSkew).length
  return Math.max(0, (doors?.summary?.skewed ?? 0) - named)
}

/** Whose clock is wrong, and by how many milliseconds it is ahead. */
export function wrongClocks(doors: Doors | undefined): { name: string; ahead: number }[] {
  const all = [...(doors?.enforcers ?? []).map((e) => [e.id, e.clockSkew]), ['emergency-control', doors?.clockSkew]]
  return all.flatMap(([name, skew]) => (skew ? [{ name: name ?? '', ahead: 1000 * Number.parseFloat(skew) }] : []))
}
