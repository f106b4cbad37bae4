import { useMutation } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { api, ask } from '../../api/client'
import { lastHere } from '../../app/forget'
import { newId } from '../../app/id'
import { useSetMe, type User } from '../../app/me'
import { bidFarewell } from '../account/farewell'

/** What one is let in with; without a user name, the code that follows the provider's word. */
export type Proof = { username?: string; password?: string; code?: string; recovery?: boolean }

/** Where somebody should look first: who has no factor, or has just spent a recovery code. */
export function calls(user: User, proof: Proof): string | undefined {
  const controls = user.permissions?.includes('System.EmergencyPanel.Control')
  if (user.mfa !== 'ACTIVE') return controls ? '/account?enroll=1' : undefined
  if (proof.recovery) return '/account?enroll=recovery'
  // Where somebody else was when their sign-in ran out is not told to the next.
  return lastHere() !== '' && lastHere() !== user.name ? '/' : undefined
}

/** Signs in. Nothing that the person before was shown is kept for the next. */
export function useEnter(codeRequired: () => void) {
  const set = useSetMe()
  const go = useNavigate()
  return useMutation({
    mutationFn: ({ username, password, code }: Proof) =>
      ask(username === undefined
        ? api.POST('/v1/sign-ins/provider:complete', { body: { code, requestId: newId() } })
        : api.POST('/v1/sign-ins', { body: { username, password, code, inTwoSteps: true, requestId: newId() } })),
    onSuccess: async (answer, proof) => {
      if (answer.codeRequired) codeRequired()
      const user = answer.user
      if (!user) return
      bidFarewell(undefined)
      const first = calls(user, proof)
      if (first) await go({ to: '/sign-in', search: { to: first }, replace: true })
      set(user)
    },
  })
}
