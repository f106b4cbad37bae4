import { language } from './language'

type Moment = string | number | Date

const formats = new Map<string, Intl.DateTimeFormat>()

function format(name: string, options: Intl.DateTimeFormatOptions) {
  const key = `${language()} ${name}`
  let f = formats.get(key)
  if (!f) formats.set(key, (f = new Intl.DateTimeFormat(language() === 'en' ? 'en-GB' : language(), options)))
  return f
}

const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const

/** 22 Nov 2025, 05:14:05 */
export const dateTime = (at: Moment) =>
  format('dateTime', { day: '2-digit', month: 'short', year: 'numeric', second: '2-digit', ...clock }).format(new Date(at))
/** 22 Nov, 05:14 */
export const shortDateTime = (at: Moment) => format('short', { day: '2-digit', month: 'short', ...clock }).format(new Date(at))
/** 05:14:05 */
export const time = (at: Moment) => format('time', { second: '2-digit', ...clock }).format(new Date(at))
/** 05:14 */
export const shortTime = (at: Moment) => format('shortTime', clock).format(new Date(at))
/** Sat 22 */
export const day = (at: Moment) => format('day', { weekday: 'short', day: '2-digit' }).format(new Date(at)).replace(/[.,]/g, '')
/** BRT, or GMT-3 */
export const zone = (at: Moment) =>
  format('zone', { timeZoneName: 'short', hour: 'numeric' }).formatToParts(new Date(at)).find((p) => p.type === 'timeZoneName')?.value ?? ''
/** 08:14:05 UTC */
export const utc = (at: Moment) => `${new Date(at).toISOString().slice(11, 19)} UTC`

export const number = (n: number) => new Intl.NumberFormat(language()).format(n)

/** 01:59:53, or 2 d 01:59:53: what is left, rounded up to whole seconds. */
export function countdown(milliseconds: number): string {
  const s = Math.max(0, Math.ceil(milliseconds / 1000))
  const part = (n: number) => String(n).padStart(2, '0')
  const days = Math.floor(s / 86400)
  const text = `${part(Math.floor(s / 3600) % 24)}:${part(Math.floor(s / 60) % 60)}:${part(s % 60)}`
  return days ? `${days} d ${text}` : text
}

/** 2 h, 18 h 45 min, 2 d 3 h, 40 s: the two largest units. */
export function span(milliseconds: number): string {
  const s = Math.max(0, Math.round(milliseconds / 1000))
  const units: [number, string][] = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']]
  const i = Math.max(0, units.findIndex(([size]) => s >= size))
  if (s === 0) return '0 s'
  const [size, name] = units[i]
  const rest = i + 1 < units.length ? Math.floor((s % size) / units[i + 1][0]) : 0
  return `${Math.floor(s / size)} ${name}${rest ? ` ${rest} ${units[i + 1][1]}` : ''}`
}

/** "7200s" as milliseconds. */
export const durationOf = (text: string | undefined) => Number.parseFloat(text ?? '0') * 1000

/** Sat 22 Nov 2025, 05:14:05 */
export const longDateTime = (at: Moment) =>
  `${format('weekday', { weekday: 'short' }).format(new Date(at)).replace('.', '')} ${dateTime(at)}`
