import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { follow, type Schemas } from '../api/client'
import { useMe } from './me'

type Heard = Schemas['WatchInboxResponse']
export type Message = Schemas['InboxMessage']

/** How many are unread, and what came last while somebody looked. */
export type Inbox = { unread: number; latest?: Message; waited?: number }

const retryLeast = 500
const retryMost = 15_000

const looks = () => document.visibilityState === 'visible'

function shown(stop: AbortSignal): Promise<void> {
  if (looks() || stop.aborted) return Promise.resolve()
  return new Promise((done) => {
    const hear = () => (looks() || stop.aborted) && done()
    document.addEventListener('visibilitychange', hear, { signal: stop })
    stop.addEventListener('abort', hear)
  })
}

/**
 * Follows the inbox of whoever is signed in, in the tab that is looked at: over HTTP/1.1 a browser opens six connections
 * to a server, which many tabs would use up. What came meanwhile is in the count that each stream begins with.
 */
export function useInbox(): Inbox {
  const client = useQueryClient()
  const name = useMe().name
  const [inbox, hear] = useState<Inbox>({ unread: 0 })
  useEffect(() => {
    const gone = new AbortController()
    let wait = retryLeast
    const told = (one: Heard, first: boolean) => {
      wait = retryLeast
      const unread = one.unread ?? 0
      hear((before) => ({ unread, latest: one.message ?? before.latest, waited: first ? unread : before.waited }))
      void client.invalidateQueries({ queryKey: ['inbox'] })
    }
    const run = async () => {
      for (;;) {
        await shown(gone.signal)
        if (gone.signal.aborted) return
        await once(gone.signal, told)
        if (!looks() || gone.signal.aborted) continue
        await new Promise((done) => setTimeout(done, wait))
        wait = Math.min(wait * 2, retryMost)
      }
    }
    void run()
    return () => gone.abort()
  }, [client, name])
  return inbox
}

/** One stream, until it ends, fails, or nobody looks. Whether the sign-in is over is for the posture's stream to say. */
async function once(gone: AbortSignal, told: (one: Heard, first: boolean) => void) {
  const stop = new AbortController()
  const end = () => (looks() && !gone.aborted ? undefined : stop.abort())
  document.addEventListener('visibilitychange', end, { signal: stop.signal })
  gone.addEventListener('abort', end, { signal: stop.signal })
  let first = true
  await follow<Heard>('/v1/inbox:watch', stop.signal, (one) => {
    told(one, first)
    first = false
  }).catch(() => {})
  stop.abort()
}
