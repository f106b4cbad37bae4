import createClient from 'openapi-fetch'
import { serverNow } from '../app/clock'
import type { components, paths } from './schema'

export type Schemas = components['schemas']

/** A call that was refused, or that nobody answered (status 0). */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
    readonly details: Record<string, unknown> = {},
    readonly retryAfter = 0,
  ) {
    super(message)
  }
  /** A moment that the refusal names, such as retryTime or usableTime. */
  time(name: string): Date | undefined {
    const text = this.details[name]
    return typeof text === 'string' ? new Date(text) : undefined
  }
}

export const consoleHeaders = { 'X-Portcullis-Console': '1' }

export const api = createClient<paths>({ baseUrl: '', headers: consoleHeaders })

/** Nobody answered a call that acts: whether it was done is not known. */
class Unanswered extends Error {}
const changesNothing = /(:preview|:check|\/sign-ins[^/]*|current:refresh)$/
api.use({ onError: ({ request }) => (request.method === 'GET' || changesNothing.test(request.url) ? undefined : new Unanswered()) })

/** Whether a lockdown, or a lock on this person, refuses all that they ask. */
export const shuts = (refusal: Refusal) => refusal.reason === 'LOCKDOWN' || refusal.reason === 'LOCKED'

/** What hears that the sign-in is over, or that this person is refused. */
export const refused = new EventTarget()

export function refusalOf(status: number, body: unknown, headers?: Headers): Refusal {
  const retry = Number(headers?.get('Retry-After') ?? 0)
  const b = (body ?? {}) as { response?: { message?: string }; reason?: string; message?: string; details?: Record<string, unknown> }
  if (b.response) return new Refusal(status, 'LOCKDOWN', b.response.message ?? '', retry > 0 ? { until: new Date(serverNow() + retry * 1000).toISOString() } : {}, retry)
  return new Refusal(status, b.reason ?? 'UNAVAILABLE', b.message ?? '', b.details ?? {}, retry)
}

/** Answers what a call brought, or throws the Refusal. */
export async function ask<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  let answer: Awaited<typeof call>
  try {
    answer = await call
  } catch (error) {
    throw new Refusal(0, 'UNREACHABLE', '', error instanceof Unanswered ? { acted: 'true' } : {})
  }
  if (answer.response.ok) return answer.data as T
  const refusal = refusalOf(answer.response.status, answer.error, answer.response.headers)
  // A wrong code is 401 too, and ends no sign-in.
  if (refusal.reason === 'UNAUTHENTICATED' || shuts(refusal)) refused.dispatchEvent(new CustomEvent('refusal', { detail: refusal }))
  throw refusal
}

/** Reads a stream of newline-delimited JSON until it ends; throws its refusal, if it has one. */
export async function follow<T>(path: string, signal: AbortSignal, each: (result: T) => void): Promise<void> {
  const response = await fetch(path, { headers: consoleHeaders, signal })
  if (!response.ok || !response.body) throw refusalOf(response.status, await response.json().catch(() => null), response.headers)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines.filter(Boolean)) {
      const message = JSON.parse(line) as { result?: T; error?: unknown }
      if (message.error) throw refusalOf(503, message.error)
      if (message.result) each(message.result)
    }
  }
}
