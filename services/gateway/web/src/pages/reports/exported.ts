import type { Emergency } from '../../app/posture'
import { fetchPage, type Page, type ReportKind } from './emergency'
import { queryOf, type Search } from './search'

const atOnce = 1000

/** All that a report shows with its filters, over all of its pages. */
export async function fetchAll(kind: ReportKind, search: Search): Promise<Emergency[]> {
  const query = { ...queryOf({ ...search, page: undefined }), pageSize: atOnce }
  const all: Emergency[] = []
  let pageToken: string | undefined
  do {
    const page: Page = await fetchPage(kind, { ...query, pageToken })
    all.push(...page.emergencies)
    pageToken = page.next || undefined
  } while (pageToken)
  return all
}

const common = [
  'id', 'kind', 'status', 'startTime', 'endTime', 'duration', 'createdBy', 'createTime', 'justification', 'justificationPublic', 'governanceCode',
  'cancelledBy', 'cancelTime', 'cancelJustification', 'cancelGovernanceCode',
] as const
const progress = ['ended', 'open', 'unreachable', 'lastEndedMs'] as const
const columns: Record<ReportKind, readonly (keyof Emergency)[]> = {
  TERMINATION: [...common, 'selector', ...progress, 'revision', 'digest'],
  FREEZE: [...common, 'blockedDevices', 'blockedAccessGroups', 'endLiveSessions', ...progress, 'revision', 'digest'],
  LOCK: [...common, 'selector', ...progress, 'revision', 'digest'],
  LOCKDOWN: [...common, 'breakGlassUsers', 'breakGlassTokens', 'revokeTokens', ...progress, 'revision', 'digest'],
}

/** One field. A spreadsheet takes what begins so for a formula: it is kept from computing what somebody wrote. */
function field(value: unknown): string {
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : Array.isArray(value) ? value.join(' ') : typeof value === 'object' ? JSON.stringify(value) : String(value)
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** RFC 4180, with the API's own names as its heads. */
export function csvOf(kind: ReportKind, all: Emergency[]): string {
  const rows = [columns[kind], ...all.map((e) => columns[kind].map((name) => e[name]))]
  return rows.map((row) => `${row.map(field).join(',')}\r\n`).join('')
}

export const jsonOf = (all: Emergency[]) => `${JSON.stringify(all, null, 2)}\n`

// Spreadsheets read UTF-8 only where they are told so.
const mark = '\uFEFF'

export function save(name: string, text: string, type: 'csv' | 'json') {
  const blob = new Blob([type === 'csv' ? mark + text : text], { type: type === 'csv' ? 'text/csv;charset=utf-8' : 'application/json' })
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = `${name}.${type}`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
