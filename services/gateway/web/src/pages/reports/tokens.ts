import { useQuery } from '@tanstack/react-query'
import { api, ask } from '../../api/client'

const atOnce = 1000

/** The tokens of programs, as far as one page of them goes. */
export function useTokens(wanted = true) {
  return useQuery({ queryKey: ['tokens', 'names'], queryFn: () => ask(api.GET('/v1/tokens', { params: { query: { pageSize: atOnce } } })), enabled: wanted, staleTime: 30_000, retry: false }).data?.tokens
}

/** What tokens are called, of which emergencies hold the ids. */
export function useTokenNames(ids: string[]): (id: string) => string {
  const tokens = useTokens(ids.length > 0)
  return (id) => tokens?.find((t) => t.id === id)?.name || id
}
