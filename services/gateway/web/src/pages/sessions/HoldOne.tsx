import { useMutation, useQueryClient } from '@tanstack/react-query'
import { api, ask, Refusal } from '../../api/client'
import { newId } from '../../app/id'
import { explain } from '../../parts/reasons'
import type { Session } from './ending'
import { sessionTexts } from './text'

/** Suspends one session, or lets it go on: nothing is lost by either, so that nobody is asked again. */
export function HoldOne({ session }: { session: Session }) {
  const t = sessionTexts.useTexts()
  const client = useQueryClient()
  const held = session.state === 'SUSPENDED'
  const hold = useMutation({
    mutationFn: () => {
      const about = { params: { path: { id: session.id ?? '' } }, body: { requestId: newId() } }
      return held ? ask(api.POST('/v1/sessions/{id}:resume', about)) : ask(api.POST('/v1/sessions/{id}:suspend', about))
    },
    onSettled: () => client.invalidateQueries({ queryKey: ['sessions'] }),
  })
  if (!session.suspendable || (!held && session.state !== 'OPEN')) return null
  const said = { user: session.user, device: session.device }
  return (
    <>
      {hold.error && <span className="red" role="alert">{explain(hold.error instanceof Refusal ? hold.error : new Refusal(0, 'UNREACHABLE', ''))}</span>}
      <button type="button" className="btn sm" aria-label={t(held ? 'resumeOf' : 'suspendOf', said)} disabled={hold.isPending} onClick={() => hold.mutate()}>{t(held ? 'resume' : 'suspend')}</button>
    </>
  )
}
