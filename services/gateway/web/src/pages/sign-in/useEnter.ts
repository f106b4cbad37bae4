import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { api, ask, Refusal } from '../../api/client'
import { useSetMe, type User } from '../../app/me'
import { newId } from '../../app/id'
import { bidFarewell } from '../account/farewell'

export type Proof = { username: string; password: string; code?: string; recovery?: boolean }

export const wantsCode = (error: unknown) => error instanceof Refusal && error.details.codeRequired === 'true'

/** Where somebody should look first: who has no factor, or has just spent a recovery code. */
function calls(user: User, proof: Proof): string | undefined {
  const controls = user.permissions?.includes('System.EmergencyPanel.Control')
  if (user.mfa !== 'ACTIVE') return controls ? '/account?enroll=1' : undefined
  return proof.recovery ? '/account?enroll=recovery' : undefined
}

/** Signs in. Nothing that the person before was shown is kept for the next. */
export function useEnter(codeRequired: () => void) {
  const set = useSetMe()
  const go = useNavigate()
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ username, password, code }: Proof) =>
      ask(api.POST('/v1/sign-ins', { body: { username, password, code, requestId: newId() } })),
    onSuccess: async (answer, proof) => {
      const user = answer.user
      if (!user) return
      client.removeQueries({ predicate: (q) => q.queryKey[0] !== 'me' })
      bidFarewell(undefined)
      const first = calls(user, proof)
      if (first) await go({ to: '/sign-in', search: { to: first }, replace: true })
      set(user)
    },
    onError: (error) => {
      if (wantsCode(error)) codeRequired()
    },
  })
}
