import { api, ask, type Schemas } from '../../api/client'

export type Entry = Schemas['AuditEntry']
export type Change = NonNullable<Entry['change']>
export type Wanted = { change?: string; actor?: string; target?: string }

export const changes = ['APPLIED', 'SCHEDULED', 'STARTED', 'ENDED', 'CANCELLED', 'SHORTENED', 'POLICY_CHANGED', 'ACT', 'APPROVAL_REQUESTED', 'APPROVAL_GRANTED', 'APPROVAL_DENIED', 'KEY_ROTATED', 'RESTORED', 'DRILL_STARTED', 'DRILL_ENDED', 'DRILL_SCHEDULE_CHANGED', 'GENESIS'] as const

export const pageSize = 50
const exportPage = 1000

/** The filter as the API reads it: key=value, joined by AND. */
export function filterOf(wanted: Wanted): string {
  return (['change', 'actor', 'target'] as const)
    .flatMap((key) => (wanted[key]?.trim() ? [`${key}=${wanted[key]?.trim()}`] : []))
    .join(' AND ')
}

/** Whether the API can be asked for this: its filter has no way to write its own joint. */
export const askable = (text: string) => !/ AND |"/.test(text) && text.length <= 100

export function entries(wanted: Wanted, pageToken: string | undefined, size = pageSize) {
  const filter = filterOf(wanted)
  return ask(api.GET('/v1/audit', { params: { query: { pageSize: size, ...(filter && { filter }), ...(pageToken && { pageToken }) } } }))
}

/** All that the filter selects, page after page; each page is told, and the signal stops it. */
export async function everything(wanted: Wanted, signal: AbortSignal, told: (count: number) => void): Promise<Entry[]> {
  const all: Entry[] = []
  let token: string | undefined
  do {
    const page = await entries(wanted, token, exportPage)
    signal.throwIfAborted()
    all.push(...(page.entries ?? []))
    token = page.nextPageToken || undefined
    told(all.length)
  } while (token)
  return all
}

const columns = ['time', 'revision', 'change', 'actor', 'address', 'target', 'detail', 'governanceCode', 'justification', 'requestId', 'hash', 'previousHash'] as const

/** One field of CSV. What a spreadsheet would run as a formula is kept from running. */
function field(value: string | undefined): string {
  const text = value ?? ''
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** With a byte order mark, so that spreadsheets read the accents. */
export const csvOf = (all: Entry[]) =>
  `\uFEFF${[columns.join(','), ...all.map((e) => columns.map((c) => field(e[c])).join(','))].join('\r\n')}\r\n`

export const jsonOf = (all: Entry[]) => `${JSON.stringify(all, null, 2)}\n`

export function save(name: string, text: string, type: string) {
  const address = URL.createObjectURL(new Blob([text], { type }))
  const link = Object.assign(document.createElement('a'), { href: address, download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}
