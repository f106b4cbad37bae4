import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { api, ask, type Schemas } from '../../api/client'
import { administratorRole } from '../../app/me'
import type { Previewed } from './draft'

export type Hits = Schemas['PreviewResponse']

const often = 2000
const seldom = 30_000
const named = 100

/** What the request would hit now, asked again every two seconds. What was known stays while it is asked. */
export function useHits(request: Previewed | undefined) {
  return useQuery({
    queryKey: ['preview', JSON.stringify(request)],
    queryFn: ({ signal }) => ask(api.POST('/v1/emergencies:preview', { body: request ?? {}, signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]) })),
    enabled: request !== undefined,
    placeholderData: keepPreviousData,
    refetchInterval: often,
    staleTime: 0,
    retry: false,
  })
}

export function useConnectors(wanted: boolean) {
  return useQuery({ queryKey: ['connectors'], queryFn: () => ask(api.GET('/v1/connectors')), enabled: wanted, refetchInterval: often, retry: false }).data?.connectors
}

/** The sessions behind the ids of a preview, as far as the first page of them goes. */
export function useSessions(ids: string[] | undefined) {
  const { data } = useQuery({
    queryKey: ['sessions', 'preview'],
    queryFn: () => ask(api.GET('/v1/sessions', { params: { query: { pageSize: named } } })),
    enabled: ids !== undefined && ids.length > 0,
    refetchInterval: often * 2,
    retry: false,
  })
  const meant = new Set(ids)
  return (data?.sessions ?? []).filter((s) => meant.has(s.id ?? ''))
}

export function useAdministrators() {
  return useQuery({
    queryKey: ['administrators'],
    queryFn: () => ask(api.GET('/v1/users', { params: { query: { pageSize: named, filter: `roles=${administratorRole} AND disabled=false` } } })),
    refetchInterval: seldom,
    retry: false,
  }).data?.users
}
