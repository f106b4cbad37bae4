import { useQuery } from '@tanstack/react-query'
import { api, ask, type Schemas } from '../api/client'
import { serverNow } from './clock'

export type Doors = Schemas['ListEnforcersResponse'] & { at: number }

/** Who enforces, and whether anything new can be put on record. */
export function useDoors(may: boolean, every: number) {
  return useQuery({
    queryKey: ['enforcers'],
    queryFn: async (): Promise<Doors> => ({ ...(await ask(api.GET('/v1/enforcers'))), at: serverNow() }),
    refetchInterval: every,
    enabled: may,
  })
}

/** Whether the journal takes nothing new, and of what kind of reason. */
export const stuck = (doors: Doors | undefined) => {
  const state = doors?.journal?.state
  return state === 'FULL' || state === 'UNREACHABLE' ? state : undefined
}

/** Whose clock is wrong, and by how many milliseconds it is ahead. */
export function wrongClocks(doors: Doors | undefined): { name: string; ahead: number }[] {
  const all = [...(doors?.enforcers ?? []).map((e) => [e.id, e.clockSkew]), ['emergency-control', doors?.clockSkew]]
  return all.flatMap(([name, skew]) => (skew ? [{ name: name ?? '', ahead: 1000 * Number.parseFloat(skew) }] : []))
}
