import { useQuery } from '@tanstack/react-query'
import { api, ask, Refusal } from '../../api/client'
import { lastHere } from '../../app/forget'
import { signIn } from './text'

// What a refusal's rule says of a sign-in at the provider.
const rules = [
  'providerFlow', 'providerAnswer', 'providerDenied', 'providerRefuses', 'providerUnknown', 'providerName', 'providerNameTaken', 'providerDisabled', 'providerNone',
  'provider', 'providerPaused',
] as const

export const providerRule = (refusal: Refusal) => rules.find((rule) => rule === refusal.details.rule)

const names = /^[A-Za-z0-9][A-Za-z0-9_@.-]{0,127}$/

/** What went wrong on the way back from the provider, as the address of this page says. Only texts of ours are shown. */
export function providerProblem(search: Record<string, string | undefined>): Refusal | undefined {
  const { problem, rule, until, name } = search
  if (!problem) return undefined
  const details = {
    via: 'provider', rule: problem === 'LOCKED_OUT' ? 'providerPaused' : rule, ...(name && names.test(name) && { name }),
    ...(until && !Number.isNaN(Date.parse(until)) && { until }),
  }
  return new Refusal(0, problem, '', details)
}

/** What people call the provider; undefined where there is none. */
export function useProvider(): string | undefined {
  const { data } = useQuery({ queryKey: ['sign-in-options'], queryFn: () => ask(api.GET('/v1/sign-ins/options')), staleTime: Number.POSITIVE_INFINITY })
  return data?.provider || undefined
}

const kept = 'portcullis.to'

/** Where one wanted to go before the provider; whoever else comes back finds nothing here. */
export const keptWish = () => sessionStorage.getItem(kept) ?? undefined

/** The way in by the provider. */
export function ProviderLink({ to }: { to?: string }) {
  const t = signIn.useTexts()
  const provider = useProvider()
  if (!provider) return null
  const fresh = lastHere() === ''
  return (
    <a
      className="btn big full provider" href={`/oidc/begin${fresh && to ? `?to=${encodeURIComponent(to)}` : ''}`}
      onClick={() => (fresh || !to ? sessionStorage.removeItem(kept) : sessionStorage.setItem(kept, to))}
    >
      {t('withProvider', { name: provider })}
    </a>
  )
}
