import { keysOn } from '../../app/keys'
import { number } from '../../app/format'
import type { ReportKind } from './emergency'
import { between, type Search } from './search'
import { reports } from './text'

type Paging = { kind: ReportKind; search: Search; set: (change: Search) => void; count: number; size: number; next: string; may: boolean }

/** The API tells the next page only, and no total. */
export function Pager({ kind, search, set, count, size, next, may }: Paging) {
  const t = reports.useTexts()
  const before = search.page ? search.page.split(between) : []
  const from = before.length * size + 1
  const turn = (tokens: string[]) => {
    set({ page: tokens.join(between) || undefined })
    scrollTo({ top: 0 })
  }
  return (
    <nav className="row sm dim pg" aria-label={t('paging')}>
      <span className="grow" title={t('newest')}>{t('shown', { from: number(from), to: number(from + count - 1) })}</span>
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
