import { useSyncExternalStore } from 'react'

// One ticker for every countdown of a page: a timer for each row would freeze it.
let offset = Number.NEGATIVE_INFINITY // until it was heard once, the browser's clock is taken
let now = Date.now()
const jump = 5000 // in milliseconds: more than any delay, so one of the clocks was set
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setTimeout> | undefined

function tick() {
  now = serverNow()
  for (const hear of listeners) hear()
  timer = setTimeout(tick, 1000 - (now % 1000))
}

/** Learns what the server's clock says: browsers' clocks are wrong. What was under way least tells best. */
export function learn(serverTime: string | undefined) {
  if (!serverTime) return
  const theirs = Date.parse(serverTime)
  const heard = theirs - Date.now()
  if (heard > offset || offset - heard > jump) {
    offset = heard
    now = serverNow()
    for (const hear of listeners) hear()
  }
}

/** The present by the server's clock, in milliseconds. */
export function serverNow(): number {
  return Date.now() + (Number.isFinite(offset) ? offset : 0)
}

function subscribe(hear: () => void) {
  listeners.add(hear)
  if (listeners.size === 1) tick()
  return () => {
    listeners.delete(hear)
    if (listeners.size === 0) clearTimeout(timer)
  }
}

/** The present by the server's clock; the component renders again each second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now)
}
