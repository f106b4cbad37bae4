import { Refusal, type Schemas } from '../../api/client'
import { type Kind, kinds, type Step } from './kinds'

export const selectorFields = ['users', 'devices', 'accessGroups', 'connectors', 'protocols'] as const
export type SelectorField = (typeof selectorFields)[number]
export type Names = Record<SelectorField, string[]>

/** What a lock can be on. */
export const targets = ['users', 'devices', 'accessGroups'] as const
export type Target = (typeof targets)[number]

/** All that a person says on one of the pages, but the code. */
export type Draft = {
  later: boolean
  /** As a datetime-local field holds it. */
  start: string
  /** Minutes, or undefined for the exact fields. */
  preset: number | undefined
  days: number
  hours: number
  minutes: number
  /** A lock that goes on until somebody lifts it. */
  endless: boolean
  target: Target
  all: boolean
  names: Names
  justification: string
  governance: string
  open: boolean
  revokeTokens: boolean
  endLiveSessions: boolean
  /** Users, and tokens by their ids, that this lockdown lets through besides the policy's. */
  throughUsers: string[]
  throughTokens: string[]
  word: string
}

export const presets = [15, 30, 60, 120, 240, 480]
export const most = 2000
const minute = 60_000
const longest = 30 * 24 * 60 * minute
const furthest = 366 * 24 * 60 * minute

export const noNames = (): Names => ({ users: [], devices: [], accessGroups: [], connectors: [], protocols: [] })

export const newDraft = (): Draft => ({
  later: false, start: '', preset: 120, days: 0, hours: 2, minutes: 0, endless: false, target: 'users', all: true, names: noNames(), justification: '', governance: '', open: false,
  revokeTokens: false, endLiveSessions: false, throughUsers: [], throughTokens: [], word: '',
})

export const lasts = (d: Draft) => (d.preset ?? d.days * 1440 + d.hours * 60 + d.minutes) * minute
export const startOf = (d: Draft, now: number) => (d.later ? Date.parse(d.start) : now)
export const durationFits = (d: Draft) => d.endless || lasts(d) >= minute && lasts(d) <= longest
export const startFits = (d: Draft, now: number) => !d.later || (Date.parse(d.start) > now && Date.parse(d.start) < now + furthest)
export const selects = (d: Draft) => d.all || selectorFields.some((f) => d.names[f].length > 0)
export const locksOne = (d: Draft) => d.names[d.target].length === 1
export const saysWhom = (d: Draft, kind: Kind) => (kind === 'lock' ? locksOne(d) : selects(d))
export const wordFits = (d: Draft, kind: Kind) => d.word.trim().toUpperCase() === kinds[kind].word
export const length = (text: string) => Array.from(text.trim()).length
export const saysWhy = (text: string) => length(text) > 0 && length(text) <= most

export type Lack = 'code' | 'start' | 'duration' | 'whom' | 'why' | 'shorter' | 'governance' | 'word'

/** Names what Apply still lacks, in the order of the page. */
export function lacks(d: Draft, kind: Kind, now: number, grant: boolean, governance: boolean): Lack[] {
  const window = kind !== 'terminate'
  const missing: [Lack, boolean][] = [
    ['code', !grant],
    ['start', window && !startFits(d, now)],
    ['duration', window && !durationFits(d)],
    ['whom', (!window || kind === 'lock') && !saysWhom(d, kind)],
    ['why', length(d.justification) === 0],
    ['shorter', length(d.justification) > most],
    ['governance', governance && d.governance.trim() === ''],
    ['word', !wordFits(d, kind)],
  ]
  return missing.filter(([, lacking]) => lacking).map(([lack]) => lack)
}

export const stepOfLack: Record<Lack, Step> = { code: 'prove', start: 'when', duration: 'when', whom: 'whom', why: 'why', shorter: 'why', governance: 'governance', word: 'apply' }

export const selector = (d: Draft): Schemas['Selector'] =>
  d.all ? { all: true } : Object.fromEntries(selectorFields.filter((f) => d.names[f].length > 0).map((f) => [f, d.names[f]]))

const windowOf = (d: Draft) => ({
  ...(d.endless ? {} : { duration: `${Math.round(lasts(d) / 1000)}s` }),
  ...(d.later ? { startTime: new Date(d.start).toISOString() } : {}),
})

const fields = { users: 'user', devices: 'device', accessGroups: 'accessGroup' } as const
const locked = (d: Draft) => ({ [fields[d.target]]: d.names[d.target][0] })

const through = (d: Draft) => ({ breakGlassUsers: d.throughUsers, breakGlassTokens: d.throughTokens })

export type Previewed = { termination?: Schemas['ApplyTerminationRequest']; freeze?: Schemas['ApplyFreezeRequest']; lockdown?: Schemas['ApplyLockdownRequest']; lock?: Schemas['ApplyLockRequest'] }

export type Body = Schemas['ApplyTerminationRequest'] & Schemas['ApplyFreezeRequest'] & Schemas['ApplyLockdownRequest'] & Schemas['ApplyLockRequest']

/** What is sent to apply it, but the grant and the request's id. */
export function bodyOf(d: Draft, kind: Kind, digest: string | undefined): Body {
  return {
    justification: d.justification.trim(),
    governanceCode: d.governance.trim(),
    justificationPublic: d.open,
    ...(digest ? { digest } : {}),
    ...(kind === 'terminate' ? { selector: selector(d) } : windowOf(d)),
    ...(kind === 'lock' ? locked(d) : {}),
    ...(kind === 'freeze' ? { endLiveSessions: d.endLiveSessions } : {}),
    ...(kind === 'lockdown' ? { revokeTokens: d.revokeTokens, ...through(d) } : {}),
  }
}

/** What is previewed. A window that does not fit yet is shown as if it started now: what it hits is the same. */
export function previewOf(d: Draft, kind: Kind, now: number): Previewed | undefined {
  if (kind === 'terminate') return selects(d) ? { termination: { selector: selector(d) } } : undefined
  if (kind === 'lock' && !locksOne(d)) return undefined
  const window = durationFits(d) && startFits(d, now) ? windowOf(d) : { duration: '3600s' }
  if (kind === 'lock') return { lock: { ...window, ...locked(d) } }
  return kind === 'freeze' ? { freeze: { ...window, endLiveSessions: d.endLiveSessions } } : { lockdown: { ...window, revokeTokens: d.revokeTokens, ...through(d) } }
}

const reasonSteps: Record<string, Step> = {
  CODE_INVALID: 'prove', CODE_USED: 'prove', LOCKED_OUT: 'prove', DURATION_OUT_OF_RANGE: 'when', START_IN_PAST: 'when', SELECTOR_EMPTY: 'whom',
  JUSTIFICATION_REQUIRED: 'why', GOVERNANCE_CODE_REQUIRED: 'governance', GOVERNANCE_CODE_REFUSED: 'governance',
}
const fieldSteps: Record<string, Step> = {
  grant: 'prove', startTime: 'when', duration: 'when', endTime: 'when', selector: 'whom', user: 'whom', device: 'whom', accessGroup: 'whom', justification: 'why', governanceCode: 'governance', breakGlassUsers: 'through', breakGlassTokens: 'through',
}

/** Which step a refusal is about. */
export function stepOf(error: unknown): Step {
  if (!(error instanceof Refusal)) return 'apply'
  if (/^(GRANT|MFA)_/.test(error.reason)) return 'prove'
  return fieldSteps[String(error.details.field)] ?? reasonSteps[error.reason] ?? 'apply'
}
