import { useSyncExternalStore } from 'react'

/**
 * What the sign-in page has to say after a change that ended this very sign-in. Recovery codes are shown once, and
 * the answer with them may come after the page that asked has gone: they wait here, in memory only.
 */
export type Farewell = { why: 'password' } | { why: 'factor'; user: string; codes: string[]; usable?: string }

let farewell: Farewell | undefined
const listeners = new Set<() => void>()

export function bidFarewell(next: Farewell | undefined) {
  farewell = next
  for (const hear of listeners) hear()
}

export function useFarewell(): Farewell | undefined {
  return useSyncExternalStore(
    (hear) => {
      listeners.add(hear)
      return () => listeners.delete(hear)
    },
    () => farewell,
  )
}
