import { useQuery } from '@tanstack/react-query'
import { api, ask, type Schemas } from '../../api/client'
import { serverNow } from '../../app/clock'
import { useMay } from '../../app/me'

type Token = Schemas['Token']

/** Whether a revision, <epoch>-<sequence>, comes before another. */
export function before(a = '', b = ''): boolean {
  const [ea, sa] = a.split('-').map(Number)
  const [eb, sb] = b.split('-').map(Number)
  return ea !== eb ? ea < eb : sa < sb
}

/** Answers the lockdown that has shut a token for good: one with revokeTokens that began after the token was last armed. */
export function useShut(): (token: Token) => string | undefined {
  const reads = useMay('System.Read')
  const { data } = useQuery({ queryKey: ['lockdowns', 'revoking'], queryFn: () => ask(api.GET('/v1/lockdowns', { params: { query: { pageSize: 200 } } })), enabled: reads })
  const policy = useQuery({ queryKey: ['policy'], queryFn: () => ask(api.GET('/v1/policy')), enabled: reads }).data
  const revoking = (data?.lockdowns ?? []).filter((l) => l.revokeTokens && Date.parse(l.startTime ?? '') <= serverNow() && !(l.cancelTime && Date.parse(l.cancelTime) <= Date.parse(l.startTime ?? '')))
  return (token) => revoking.find((l) => {
    const spared = [...(l.breakGlassTokens ?? []), ...(policy?.breakGlassTokens ?? [])].includes(token.id ?? '')
    return token.channel !== 'ENFORCER' && !spared && before(token.armedRevision, l.cutoffRevision)
  })?.id
}
