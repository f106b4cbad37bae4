import { createContext, type ReactNode, useContext, useEffect, useState } from 'react'
import { follow, type Refusal, refused, type Schemas, shuts } from '../api/client'
import { learn, serverNow } from './clock'
import { takeEarly } from './early'
import { useMaybeMe } from './me'

export type Emergency = Schemas['Emergency']
export type Posture = Schemas['PostureState']

type Known = {
  /** What is on; undefined until it was heard. */
  posture?: Posture
  /** When the stream was lost, by the server's clock; undefined while it is followed. */
  lostSince?: number
}

const Context = createContext<Known>({})

const nothing: Known = {}

const retryLeast = 500
const retryMost = 5000

let first: Posture | undefined

const patience = 300 // in milliseconds, with a page that is still empty

/** Hears what was on when the page was opened, for its first paint. Where that takes long, or fails, it is followed all the same. */
export async function askPosture() {
  const heard = takeEarly('posture')?.then(async (response) => {
    if (response.ok) first = (await response.json()) as Posture
    learn(first?.time)
  })
  await Promise.race([heard, new Promise((done) => setTimeout(done, patience))]).catch(() => {})
}

/** A sign-in that ran out may have been refreshed meanwhile: what only nobody is told has no revision. */
const firstOf = (name: string | undefined): Known & { by?: string } => (first && name !== undefined && Boolean(first.revision) === (name !== '') ? { posture: first, by: name } : {})

/** Follows what is on, for as long as the page lives, and starts anew with each sign-in. */
export function PostureProvider({ children }: { children: ReactNode }) {
  const me = useMaybeMe()
  const name = me === undefined ? undefined : (me?.name ?? '')
  const [known, setKnown] = useState<Known & { by?: string }>(() => firstOf(name))
  useEffect(() => {
    if (name === undefined) return
    const stop = new AbortController()
    let wait = retryLeast
    const run = async () => {
      while (!stop.signal.aborted) {
        await follow<Posture>('/v1/posture:watch', stop.signal, (posture) => {
          learn(posture.time)
          wait = retryLeast
          setKnown({ posture, by: name })
        }).catch((error: Refusal) => {
          const over = error.status === 401 || shuts(error)
          if (over && name && !stop.signal.aborted) refused.dispatchEvent(new CustomEvent('refusal', { detail: error }))
        })
        if (stop.signal.aborted) return
        setKnown((before) => ({ ...(before.by === name && before), by: name, lostSince: (before.by === name && before.lostSince) || serverNow() }))
        await new Promise((done) => setTimeout(done, wait))
        wait = Math.min(wait * 2, retryMost)
      }
    }
    void run()
    return () => stop.abort()
  }, [name])
  // What was told to somebody else is not what is known: a sign-in may have ended because of what comes next.
  return <Context.Provider value={known.by === name ? known : nothing}>{children}</Context.Provider>
}

export const usePosture = () => useContext(Context)

export const ongoing = (p: Posture | undefined, kind: Emergency['kind'], now: number) =>
  (p?.emergencies ?? []).filter((e) => e.kind === kind && Date.parse(e.startTime ?? '') <= now && (!e.endTime || now < Date.parse(e.endTime)))

/** Until when a lockdown is on, in milliseconds; 0 for none. */
export function lockdownUntil(p: Posture | undefined, now: number): number {
  const until = Date.parse(p?.lockdown?.until ?? '') || 0
  return until > now ? until : 0
}
