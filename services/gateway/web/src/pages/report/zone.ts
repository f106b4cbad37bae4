import { language } from '../../app/language'

/** Writes moments in the zone of the installation, whatever the reader's own is. */
export function useZone(zone: string | undefined) {
  const options = { day: '2-digit', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const
  const locale = language() === 'en' ? 'en-GB' : language()
  const format = (timeZone: string) => new Intl.DateTimeFormat(locale, { ...options, timeZone })
  let known = zone || 'UTC'
  let written: Intl.DateTimeFormat
  try {
    written = format(known)
  } catch {
    known = 'UTC' // a browser that doesn't know the zone says so by its name
    written = format(known)
  }
  return { zone: known, at: (time: string | undefined) => (time ? written.format(new Date(time)) : '–') }
}

export type Zone = ReturnType<typeof useZone>
