import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { api, ask, Refusal, type Schemas } from '../../api/client'
import { newId } from '../../app/id'

export type Session = Schemas['Session']

export type Outcome = { session: Session; state?: Session['state']; refusal?: Refusal }

export type Run = { all: number; outcomes: Outcome[]; over: boolean }

const atOnce = 4

/** Ends sessions, one call each, a few at a time, and keeps what came of each. */
export function useEnding() {
  const client = useQueryClient()
  const [run, set] = useState<Run>()
  const running = useRef(false)
  const end = async (sessions: Session[], justification: string) => {
    if (running.current || sessions.length === 0) return
    running.current = true
    const queue = [...sessions]
    set({ all: sessions.length, outcomes: [], over: false })
    const worker = async () => {
      for (let s = queue.shift(); s; s = queue.shift()) {
        const outcome = await endOne(s, justification)
        set((before) => before && { ...before, outcomes: [...before.outcomes, outcome] })
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    running.current = false
    set((before) => before && { ...before, over: true })
    void client.invalidateQueries({ queryKey: ['sessions'] })
  }
  return { run, end, forget: () => set(undefined) }
}

async function endOne(session: Session, justification: string): Promise<Outcome> {
  try {
    const body = { justification: justification.trim(), requestId: newId() }
    const answer = await ask(api.POST('/v1/sessions/{id}:end', { params: { path: { id: session.id ?? '' } }, body }))
    return { session, state: answer.state }
  } catch (error) {
    return { session, refusal: error instanceof Refusal ? error : new Refusal(0, 'UNREACHABLE', '') }
  }
}
