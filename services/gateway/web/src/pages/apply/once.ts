import { useCallback, useEffect, useRef, useState } from 'react'
import { Refusal, shuts } from '../../api/client'
import { newId } from '../../app/id'

const patience = 8000
const leastWait = 500
const mostWait = 4000

/** One thing that a person wants done once: its id, and what was sent in its name while nobody knows what came of it. */
type Intent<B> = { requestId: string; sent?: B }

const place = (key: string) => `portcullis.intent.${key}`

function kept<B>(key: string): Intent<B> {
  try {
    const intent = JSON.parse(sessionStorage.getItem(place(key)) ?? '') as Intent<B>
    if (intent.requestId) return intent
  } catch {
    // Nothing is kept.
  }
  return keep(key, { requestId: newId() })
}

function keep<B>(key: string, intent: Intent<B>): Intent<B> {
  sessionStorage.setItem(place(key), JSON.stringify(intent))
  return intent
}

/** Whether an answer leaves open what came of the request. */
function open(error: unknown): boolean {
  return !(error instanceof Refusal) || error.status === 0 || (error.status >= 500 && !['STALE', 'LOCKDOWN', 'CLOCK_SKEWED'].includes(error.reason))
}

/** Whether nobody may ask any more: the sign-in is over. What was asked stays open until somebody signs in again. */
function mute(error: unknown): boolean {
  return error instanceof Refusal && (error.status === 401 || shuts(error))
}

export type Phase = 'idle' | 'sending' | 'asking'

/**
 * Sends one request once. The id is made when the page opens and lives as long as the tab, over reloads. Where the
 * answer is lost, the very same request is sent again until one comes: the server answers a known id with its first
 * answer, so that nothing is ever done twice.
 */
export function useOnce<B extends object, A>(key: string, send: (body: B & { requestId: string }, signal: AbortSignal) => Promise<A>, done: (answer: A) => void, fail: (error: unknown) => void) {
  const [phase, setPhase] = useState<Phase>('idle')
  const [doubt, setDoubt] = useState<unknown>()
  const running = useRef(false)
  const alive = useRef(false)
  const calls = useRef({ send, done, fail })
  calls.current = { send, done, fail }

  const settle = useCallback((error: unknown) => {
    running.current = false
    setPhase('idle')
    setDoubt(undefined)
    calls.current.fail(error)
  }, [])

  const run = useCallback(async (body: B, again: boolean) => {
    if (running.current) return
    running.current = true
    const { requestId } = keep(key, { ...kept<B>(key), sent: body })
    setPhase(again ? 'asking' : 'sending')
    for (let wait = leastWait, asked = again; ; wait = Math.min(wait * 2, mostWait), asked = true) {
      try {
        const answer = await calls.current.send({ ...body, requestId }, AbortSignal.timeout(patience))
        sessionStorage.removeItem(place(key))
        if (alive.current) calls.current.done(answer)
        return
      } catch (error) {
        if (!open(error)) {
          // What waits for an approval is on record under this id: wanted again it is another request.
          if (!(asked && mute(error))) keep(key, { requestId: error instanceof Refusal && error.reason === 'APPROVAL_REQUIRED' ? newId() : requestId })
          return settle(error)
        }
        setPhase('asking')
        setDoubt(error)
      }
      await new Promise((next) => setTimeout(next, wait))
      if (!alive.current) return
    }
  }, [key, settle])

  useEffect(() => {
    alive.current = true
    const { sent } = kept<B>(key)
    if (sent) void run(sent, true)
    return () => {
      alive.current = false
    }
  }, [key, run])

  const act = useCallback((body: B) => void run(body, false), [run])
  /** Makes a new intent, once a person has seen what the old one did. */
  const renew = useCallback(() => void keep(key, { requestId: newId() }), [key])
  return { phase, doubt, act, renew }
}
