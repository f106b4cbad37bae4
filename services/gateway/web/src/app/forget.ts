import type { QueryClient } from '@tanstack/react-query'

const prefix = 'portcullis.'
const kept = `${prefix}who`
const channel = new BroadcastChannel('portcullis')

/** Who was here in this tab last; it outlives a sign-in that ran out, for its drafts do. */
export const lastHere = () => sessionStorage.getItem(kept) ?? ''

/** Forgets what the service told, and what was asked of it. */
export function forgetAnswers(client: QueryClient) {
  client.removeQueries({ predicate: (q) => q.queryKey[0] !== 'me' })
  client.getMutationCache().clear()
}

/**
 * Makes a tab somebody's, or nobody's (''). Nothing that another person was shown or wrote before is left, and the
 * other tabs, which share the sign-in, are told.
 */
export function arrive(client: QueryClient, name: string) {
  if (name !== '' && name === lastHere()) return
  forgetAnswers(client)
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(prefix)) sessionStorage.removeItem(key)
  if (name !== '') sessionStorage.setItem(kept, name)
  channel.postMessage(name)
}

/** Hears who signed in, or that somebody signed out (''), in another tab. */
export function hearOthers(hear: (name: string) => void): () => void {
  const listen = (e: MessageEvent<string>) => hear(e.data)
  channel.addEventListener('message', listen)
  return () => channel.removeEventListener('message', listen)
}
