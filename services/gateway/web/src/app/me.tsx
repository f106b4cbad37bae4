import { type QueryClient, useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect } from 'react'
import { api, ask, Refusal, refused, type Schemas, shuts } from '../api/client'
import { takeEarly } from './early'
import { arrive, forgetAnswers, hearOthers } from './forget'

export type User = Schemas['User']

export type Permission =
  | 'System.Access.Check' | 'System.Audit.Read' | 'System.Devices.Manage' | 'System.EmergencyPanel.Control' | 'System.Events.Publish'
  | 'System.Notifications.Manage' | 'System.Policy.Manage' | 'System.Read' | 'System.Sessions.Manage' | 'System.Tokens.Manage' | 'System.Users.Manage'

export const administratorRole = 'System Administrator'

const meKey = ['me']
// A token works for 15 minutes.
const refreshEvery = 4 * 60_000

/** Who is signed in: undefined while that is not known, null for nobody. */
const Me = createContext<User | null | undefined>(undefined)

function refresh() {
  const early = takeEarly('me')
  if (!early) return ask(api.POST('/v1/sign-ins/current:refresh', { body: {} }))
  return ask(early.then(async (response) => {
    const body = (await response.json()) as Schemas['SignIn']
    return response.ok ? { data: body, response } : { error: body, response }
  }))
}

const asksWho = (client: QueryClient) => ({
  queryKey: meKey,
  queryFn: async () => {
    try {
      const user = (await refresh()).user ?? null
      if (user) arrive(client, user.name ?? '')
      else if (client.getQueryData(meKey)) forgetAnswers(client)
      return user
    } catch (error) {
      if (error instanceof Refusal && (error.status === 401 || shuts(error))) return null
      throw error
    }
  },
})

/** Asks who is signed in before there is anything to show; where nobody answers, MeProvider goes on asking. */
export const askWho = (client: QueryClient) => client.prefetchQuery({ ...asksWho(client), retry: false })

/** Asks who is signed in, keeps the sign-in fresh, and forgets it when a call says that it is over. */
export function MeProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient()
  const { data } = useQuery({
    ...asksWho(client),
    refetchInterval: (q) => (q.state.data ? refreshEvery : false),
    refetchIntervalInBackground: true,
    refetchOnWindowFocus: false,
    retry: true,
    retryDelay: 1000,
  })
  useEffect(() => {
    const hear = () => {
      become(client, null)
      forgetAnswers(client)
    }
    refused.addEventListener('refusal', hear)
    return () => refused.removeEventListener('refusal', hear)
  }, [client])
  // All tabs of a browser have one sign-in: what another changed holds here too.
  useEffect(() => hearOthers((name) => {
    if (name !== (client.getQueryData<User | null>(meKey)?.name ?? '')) location.reload()
  }), [client])
  return <Me.Provider value={data}>{children}</Me.Provider>
}

/** What is on its way to somebody else, such as a refresh, no longer counts. */
function become(client: QueryClient, user: User | null) {
  void client.cancelQueries({ queryKey: meKey })
  client.setQueryData(meKey, user)
}

export function useMaybeMe() {
  return useContext(Me)
}

/** Who is signed in, on a page that nobody else sees. */
export function useMe(): User {
  const me = useContext(Me)
  if (!me) throw new Error('nobody is signed in')
  return me
}

/**
 * Sets who is signed in: after signing in or out, and after a change of one's own account. An answer that comes when
 * whoever asked has gone changes nothing.
 */
export function useSetMe() {
  const client = useQueryClient()
  const by = useContext(Me)?.name
  return (user: User | null) => {
    if (by && client.getQueryData<User | null>(meKey)?.name !== by) return
    arrive(client, user?.name ?? '')
    become(client, user)
  }
}

export function useMay(permission: Permission): boolean {
  return useContext(Me)?.permissions?.includes(permission) ?? false
}

export function useIsAdministrator(): boolean {
  return useContext(Me)?.roles?.includes(administratorRole) ?? false
}

/** Whether a lockdown lets somebody through who is no administrator: only the server knows, so it is asked. */
export function useLetThrough(asks: boolean): boolean {
  const me = useContext(Me)
  const { data } = useQuery({
    queryKey: ['through', me?.name],
    queryFn: async () => Boolean((await ask(api.POST('/v1/sign-ins/current:refresh', { body: {} }))).user),
    enabled: asks && me != null,
    gcTime: 0,
    staleTime: 0,
  })
  return asks && me != null && data === true
}
