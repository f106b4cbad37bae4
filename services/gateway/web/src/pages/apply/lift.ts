import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useCallback, useState } from 'react'
import { api, ask, Refusal } from '../../api/client'
import type { Emergency } from '../../app/posture'
import type { Grant } from '../../parts/GrantStep'
import { stepOf } from './draft'
import { recall, useKept } from './keep'
import type { Step } from './kinds'
import { useOnce } from './once'
import { enter } from './StepFrame'

/** What opens a window earlier than it said: now, or at another end. */
export type Verb = 'cancel' | 'shorten'
export type Body = { justification: string; governanceCode: string; grant?: string; endTime?: string }

const often = 2000

export const isLockdown = (id: string) => id.startsWith('L-')
export const isLock = (id: string) => id.startsWith('K-')

export function useWindow(id: string) {
  const termination = id.startsWith('T-')
  const query = useQuery({
    queryKey: ['emergency', id],
    queryFn: () => ask(isLock(id) ? api.GET('/v1/locks/{id}', { params: { path: { id } } }) : isLockdown(id) ? api.GET('/v1/lockdowns/{id}', { params: { path: { id } } }) : api.GET('/v1/freezes/{id}', { params: { path: { id } } })),
    enabled: !termination,
    refetchInterval: often,
  })
  return { query, termination, open: query.data?.status === 'PENDING' || query.data?.status === 'ONGOING' }
}

function send(verb: Verb, id: string, body: Body & { requestId: string }, signal: AbortSignal): Promise<Emergency> {
  const how = { params: { path: { id } }, body, signal }
  if (verb === 'cancel') return ask(isLock(id) ? api.POST('/v1/locks/{id}:cancel', how) : isLockdown(id) ? api.POST('/v1/lockdowns/{id}:cancel', how) : api.POST('/v1/freezes/{id}:cancel', how))
  return ask(isLockdown(id) ? api.POST('/v1/lockdowns/{id}:shorten', how) : api.POST('/v1/freezes/{id}:shorten', how))
}

/** The code, the reasons, and what came of saving them: once. */
export function useLift(verb: Verb, id: string) {
  const go = useNavigate()
  const [grant, setGrant] = useState<Grant>()
  const [why, setWhy] = useState(() => ({ justification: '', governance: '', ...recall<{ justification: string; governance: string }>(`${verb}.${id}`) }))
  useKept(`${verb}.${id}`, why)
  const [refusal, setRefusal] = useState<{ error: unknown; step: Step }>()
  const once = useOnce<Body, Emergency>(`${verb}.${id}`, (body, signal) => send(verb, id, body, signal), () => void go({ to: '/emergencies/$id', params: { id }, replace: true }), (error) => {
    // It is on record and waits there, where the others look for it.
    if (error instanceof Refusal && error.reason === 'APPROVAL_REQUIRED') return void go({ to: '/emergencies/$id', params: { id }, replace: true })
    const step = stepOf(error)
    if (step === 'prove') setGrant(undefined)
    setRefusal({ error, step })
    enter(step)
  })
  const changeGrant = useCallback((g: Grant | undefined) => setGrant(g), [])
  const forget = useCallback(() => setRefusal(undefined), [])
  const save = (more: { endTime?: string } = {}) => {
    forget()
    once.act({ ...more, justification: why.justification.trim(), governanceCode: why.governance.trim(), grant: grant?.grant })
  }
  return {
    grant, changeGrant, why, refused: refusal?.step, forget, save, phase: once.phase, busy: once.phase !== 'idle',
    setWhy: (change: Partial<typeof why>) => { setWhy((w) => ({ ...w, ...change })); forget() },
    about: (step: Step) => (refusal?.step === step ? refusal.error : undefined),
  }
}
