import { keysOn } from '../../app/keys'
import { number } from '../../app/format'
import type { Page, ReportKind } from './emergency'
import { totalOf } from './Filters'
import { between, reachOf, type Search } from './search'
import { reports } from './text'

type Paging = { kind: ReportKind; search: Search; set: (change: Search) => void; of: Page; size: number; old: boolean; may: boolean }

/** Page tokens lead forward only; back goes by those that were used. */
export function Pager({ kind, search, set, of, size, old, may }: Paging) {
  const t = reports.useTexts()
  const before = search.page ? search.page.split(between) : []
  const from = before.length * size + 1
  const to = from + of.emergencies.length - 1
  const all = search.status ? (of.counts[search.status] ?? 0) : totalOf(of.counts)
  const next = old ? '' : of.next
  const reach = reachOf(search)
  const turn = (tokens: string[]) => {
    set({ page: tokens.join(between) || undefined })
    scrollTo({ top: 0 })
  }
  return (
    <nav className="row sm dim pg" aria-label={t('paging')}>
      <span className="grow" role="status">{t('shown', { from: number(from), to: number(to), all: number(Math.max(all, to)) })}{reach && `, ${t(`last${reach}`).toLowerCase()}`}</span>
      {keysOn() && (
        <span className="row keyhints" aria-hidden>
          <span><kbd>j</kbd> <kbd>k</kbd> {t('keyMove')}</span>
          <span><kbd>Enter</kbd> {t('keyDetails')}</span>
          {kind === 'FREEZE' && <span><kbd>d</kbd> {t('keyDevices')}</span>}
          {may && kind !== 'TERMINATION' && <span><kbd>Del</kbd> {t('keyCancel')}</span>}
        </span>
      )}
      <button type="button" className="btn sm" disabled={before.length === 0} onClick={() => turn(before.slice(0, -1))}>{t('previous')}</button>
      <button type="button" className="btn sm" disabled={!next} onClick={() => turn([...before, next])}>{t('next')}</button>
    </nav>
  )
}
