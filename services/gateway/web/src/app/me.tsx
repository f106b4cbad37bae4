import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect } from 'react'
import { api, ask, Refusal, refused, type Schemas } from '../api/client'

export type User = Schemas['User']

export type Permission =
  | 'System.Access.Check' | 'System.Audit.Read' | 'System.Devices.Manage' | 'System.EmergencyPanel.Control' | 'System.Events.Publish'
  | 'System.Policy.Manage' | 'System.Read' | 'System.Sessions.Manage' | 'System.Tokens.Manage' | 'System.Users.Manage'

export const administratorRole = 'System Administrator'

const meKey = ['me']
// A token works for 15 minutes.
const refreshEvery = 4 * 60_000

/** Who is signed in: undefined while that is not known, null for nobody. */
const Me = createContext<User | null | undefined>(undefined)

/** Asks who is signed in, keeps the sign-in fresh, and forgets it when a call says that it is over. */
export function MeProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient()
  const { data } = useQuery({
    queryKey: meKey,
    queryFn: async () => {
      try {
        return (await ask(api.POST('/v1/sign-ins/current:refresh', { body: {} }))).user ?? null
      } catch (error) {
        if (error instanceof Refusal && (error.status === 401 || error.reason === 'LOCKDOWN')) return null
        throw error
      }
    },
    refetchInterval: (q) => (q.state.data ? refreshEvery : false),
    refetchIntervalInBackground: true,
    refetchOnWindowFocus: false,
    retry: true,
    retryDelay: 1000,
  })
  useEffect(() => {
    const hear = () => client.setQueryData(meKey, null)
    refused.addEventListener('refusal', hear)
    return () => refused.removeEventListener('refusal', hear)
  }, [client])
  return <Me.Provider value={data}>{children}</Me.Provider>
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

/** Sets who is signed in: after signing in or out, and after a change of one's own account. */
export function useSetMe() {
  const client = useQueryClient()
  return (user: User | null) => client.setQueryData(meKey, user)
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
    queryFn: async () => Boolean(await ask(api.POST('/v1/sign-ins/current:refresh', { body: {} }))),
    enabled: asks && me != null,
    gcTime: 0,
    staleTime: 0,
  })
  return asks && me != null && data === true
}
