import { useMutation } from '@tanstack/react-query'
import { useRef } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { useSetMe, type User } from '../../app/me'
import { newId } from '../../app/id'

/** Changes one's own account, and shows the change everywhere. What is sent again unchanged after it failed is the same request. */
export function useUpdateMe(done?: (user: User) => void) {
  const set = useSetMe()
  const last = useRef({ body: '', id: '' })
  return useMutation({
    mutationFn: (body: Schemas['User']) => {
      const text = JSON.stringify(body)
      if (last.current.body !== text) last.current = { body: text, id: newId() }
      return ask(api.PATCH('/v1/users/{name}', { params: { path: { name: 'me' } }, body: { ...body, requestId: last.current.id } }))
    },
    onSuccess: (user) => {
      last.current = { body: '', id: '' }
      if (done) done(user)
      else set(user)
    },
  })
}
