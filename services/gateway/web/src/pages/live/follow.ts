import { useEffect, useState } from 'react'
import { follow, Refusal, refused, type Schemas, shuts } from '../../api/client'
import { learn, serverNow } from '../../app/clock'
import type { Emergency } from '../../app/posture'
import type { Enforcer, Receipt, Summary } from '../reports/emergency'

/** An emergency as it was told last; silent are the enforcers that were not heard then. */
export type Snapshot = { emergency: Emergency; receipts: Receipt[]; silent: Enforcer[]; time: number; summary?: Summary; omitted: number }

type Told = Schemas['WatchEmergencyResponse']

const retryLeast = 500
const retryMost = 5000
/** It says something every 3 seconds: one that is silent for longer than this is lost, whatever the browser thinks. */
const silence = 10_000
/** Asking again brings the same answer. */
const final = [400, 403, 404]

type Known = {
  snapshot?: Snapshot
  /** Why it is not followed now; undefined while it is. */
  error?: Refusal
}

/** Follows one emergency for as long as the page lives; again begins anew after a refusal. */
export function useEmergency(id: string): Known & { again: () => void } {
  const [known, setKnown] = useState<Known & { of?: string }>({})
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    const stop = new AbortController()
    void keepFollowing(id, stop.signal, {
      told: (snapshot) => setKnown({ of: id, snapshot }),
      lost: (error) => setKnown((before) => ({ of: id, snapshot: before.of === id ? before.snapshot : undefined, error })),
    })
    return () => stop.abort()
  }, [id, turn])
  const { snapshot, error } = known.of === id ? known : {}
  return { snapshot, error, again: () => { setKnown({}); setTurn(turn + 1) } }
}

type Hears = { told: (s: Snapshot) => void; lost: (why: Refusal) => void }

async function keepFollowing(id: string, stop: AbortSignal, { told, lost }: Hears) {
  let wait = retryLeast
  for (;;) {
    const why = await followOnce(id, stop, (s) => {
      wait = retryLeast
      told(s)
    })
    if (stop.aborted) return
    if (why.reason === 'UNAUTHENTICATED' || shuts(why)) refused.dispatchEvent(new CustomEvent('refusal', { detail: why }))
    lost(why)
    if (final.includes(why.status)) return
    await new Promise((done) => setTimeout(done, wait))
    if (stop.aborted) return
    wait = Math.min(wait * 2, retryMost)
  }
}

/** Reads one stream to its end, and answers why it ended. */
async function followOnce(id: string, stop: AbortSignal, told: Hears['told']): Promise<Refusal> {
  const over = new AbortController()
  const end = () => over.abort()
  const wait = () => setTimeout(end, silence)
  stop.addEventListener('abort', end)
  let timer = wait()
  try {
    await follow<Told>(`/v1/emergencies/${encodeURIComponent(id)}:watch`, over.signal, (m) => {
      clearTimeout(timer)
      timer = wait()
      learn(m.time)
      told({ emergency: m.emergency ?? {}, receipts: m.receipts ?? [], silent: m.silentEnforcers ?? [], time: m.time ? Date.parse(m.time) : serverNow(), summary: m.summary, omitted: m.omittedReceipts ?? 0 })
    })
  } catch (error) {
    if (error instanceof Refusal) return error
  } finally {
    clearTimeout(timer)
    stop.removeEventListener('abort', end)
  }
  return new Refusal(0, 'UNREACHABLE', '')
}
