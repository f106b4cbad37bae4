import { Refusal } from '../api/client'
import { dateTime } from '../app/format'
import { i18n, language } from '../app/language'
import { permissionTexts } from './permissions'
import { fieldTexts } from './fields'
import { known, type ReasonText, reasonTexts } from './reasons-text'

/** The field of a form that a refusal is about: the last name of its path, without its place in a list. */
export function fieldOf(error: unknown): string | undefined {
  const path = error instanceof Refusal ? error.details.field : undefined
  return typeof path === 'string' && path !== '' ? path.split('.').at(-1)?.replace(/\[.*$/, '') : undefined
}

/** What the forms call that field, in the reader's language. */
export function labelOf(field: string | undefined): string | undefined {
  return field && i18n.exists(field, { ns: 'fields' }) ? fieldTexts.say(field as 'name') : undefined
}

// What the answer says of them may be of any script: it must not turn the sentence around.
const isolated = (text: string) => `\u2068${text}\u2069`

function words(refusal: Refusal): Record<string, string> {
  const details = Object.entries(refusal.details).filter((d): d is [string, string] => typeof d[1] === 'string')
  return Object.fromEntries(details.map(([key, value]) => [key, key === 'permission' ? permission(value) : key === 'until' || key === 'expireTime' ? dateTime(value) : isolated(value)]))
}

function permission(name: string): string {
  const key = name.replace(/^System\./, '').replaceAll('.', '-')
  return i18n.exists(key, { ns: 'permissions' }) ? permissionTexts.say(key as 'Read') : name
}

/** The most exact text that there is for a refusal. */
function textOf({ reason, details }: Refusal, field?: string): string | undefined {
  const of = (key: string) => (typeof details[key] === 'string' && details[key] !== '' ? key : undefined)
  const ways = [details.rule, details.cause, of('names'), of('pattern'), field, details.status, of('permission'), of('name') && 'called', of('approval'), details.state, of('requestId'), of('until'), of('acted')]
  const key = ways.map((way) => `${reason}-${way}`).find((one) => known.has(one))
  return key ?? (known.has(reason) ? reason : undefined)
}

// Where there is nothing more exact than these, the server's own words tell more, to those who read English.
const vague = ['PERMISSION_DENIED', 'NOT_FOUND', 'ALREADY_EXISTS', 'INVALID_ARGUMENT', 'ABORTED', 'UNAVAILABLE', 'UNAUTHENTICATED', 'RESOURCE_EXHAUSTED', 'UNIMPLEMENTED', 'NOT_CANCELLABLE', 'JOURNAL_UNAVAILABLE']

/** A refusal as a sentence in the reader's language. */
export function explain(error: unknown): string {
  const refusal = error instanceof Refusal ? error : new Refusal(0, 'UNREACHABLE', '')
  const key = textOf(refusal, fieldOf(refusal))
  const own = refusal.message.replace(/^\w+: /, '')
  if (own && language() === 'en' && (!key || vague.includes(key))) return /[.?]$/.test(own) ? own : `${own}.`
  return reasonTexts.say((key ?? 'unknown') as ReasonText, words(refusal))
}

/** What is wrong with one field, and nothing about the others. */
export const errorOf = (error: unknown, field: string) => (fieldOf(error) === field ? explain(error) : undefined)
