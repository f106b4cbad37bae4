import type { Schemas } from '../../api/client'

export type Policy = Schemas['Policy']
export type Draft = Partial<Pick<Policy, 'governanceCode' | 'governancePattern' | 'breakGlassUsers' | 'breakGlassTokens' | 'secondAdministrator' | 'ticketCheck' | 'expectedEnforcers' | 'driftPercent'>>
export type Lists = 'breakGlassUsers' | 'breakGlassTokens'

export const mostNames = 50
export const mostText = 2000

const same = (a: unknown, b: unknown) => JSON.stringify(a ?? '') === JSON.stringify(b ?? '')

/** Only what differs from the policy in force: a save leaves alone what somebody else changed meanwhile. */
export function changed(policy: Policy, draft: Draft): Draft {
  return Object.fromEntries(Object.entries(draft).filter(([key, value]) => {
    const before = policy[key as keyof Draft]
    if (key === 'expectedEnforcers') return !same(value, before ?? [])
    return Array.isArray(value) ? !same([...(value as string[])].sort(), [...((before as string[]) ?? [])].sort()) : !same(value, before)
  }))
}

export const added = (before: string[] = [], after: string[] = []) => after.filter((name) => !before.includes(name))

/** Whether a whole code matches; undefined where this browser's dialect can't say. RE2's flags stand in front. */
export function fits(pattern: string, code: string): boolean | undefined {
  const [, flags = '', rest = pattern] = /^\(\?([ims]+)\)([\s\S]*)$/.exec(pattern) ?? []
  try {
    return new RegExp(`^(?:${rest})$`, `u${flags}`).test(code)
  } catch {
    return undefined
  }
}
