import { useMe } from '../../app/me'
import { shell } from '../../app/text'
import type { ReportKind } from './emergency'
import type { Search } from './search'
import { reports } from './text'

const windows = ['PENDING', 'ONGOING', 'ENDED', 'CANCELLED'] as const
const cuts = ['RUNNING', 'DONE', 'PARTIAL'] as const

export const statusesOf = (kind: ReportKind): readonly string[] => (kind === 'TERMINATION' ? cuts : windows)

/** What the API can filter by: a status, and who applied it. */
export function Filters({ kind, search, set, people }: { kind: ReportKind; search: Search; set: (change: Search) => void; people: string[] }) {
  const t = reports.useTexts()
  const say = shell.useTexts()
  const me = useMe().name ?? ''
  const names = [...new Set([me, ...people, search.by ?? ''])].filter(Boolean).sort()
  const show = (status: string | undefined) => set({ status, page: undefined })
  return (
    <div className="flt">
      <div className="seg" role="group" aria-label={t('status')}>
        <button type="button" aria-pressed={!search.status} onClick={() => show(undefined)}>{t('all')}</button>
        {(kind === 'TERMINATION' ? cuts : windows).map((status) => (
          <button key={status} type="button" aria-pressed={search.status === status} onClick={() => show(status)}>{say(status)}</button>
        ))}
      </div>
      <select className="in sm whom" aria-label={t('byWhom')} value={search.by ?? ''} onChange={(e) => set({ by: e.target.value || undefined, page: undefined })}>
        <option value="">{t('anyone')}</option>
        {names.map((name) => <option key={name} value={name}>{name === me ? t('me', { name }) : name}</option>)}
      </select>
    </div>
  )
}
