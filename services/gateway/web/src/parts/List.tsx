import { Menu } from '@mantine/core'
import IconDots from '@tabler/icons-react/dist/esm/icons/IconDots.mjs'
import IconSearch from '@tabler/icons-react/dist/esm/icons/IconSearch.mjs'
import { type ReactNode, useEffect, useRef } from 'react'
import { serverNow } from '../app/clock'
import { number, time } from '../app/format'
import { keysOn, typing } from '../app/keys'
import { Empty, RefusalNote, Skeleton } from './Note'
import { listTexts } from './list-text'
import type { Pages } from './paging'
import './list.css'

export type Column<T> = { head: string; cell: (row: T) => ReactNode; look?: string; width?: string }

type Asked = { isPending: boolean; error: unknown; refetch: () => unknown; isPlaceholderData?: boolean; dataUpdatedAt?: number }

export type Selection = { has: (id: string) => boolean; put: (ids: string[], on: boolean) => void }

// React Query notes when data came by the browser's clock.
const byServer = (at: number) => at + serverNow() - Date.now()

/** A table of the server's: what loads, failed, is empty, is marked, and the pages of it. */
export function List<T>({ label, rows, id, name, columns, query, empty, pages, size = 50, next, actions, selection, off }: {
  label: string
  rows: T[] | undefined
  id: (row: T) => string
  /** What a row is called, to name its controls. */
  name: (row: T) => string
  columns: Column<T>[]
  query: Asked
  empty: ReactNode
  pages?: Pages
  size?: number
  next?: string
  actions?: (row: T) => ReactNode
  selection?: Selection
  /** A row that is dimmed. */
  off?: (row: T) => boolean
}) {
  const t = listTexts.useTexts()
  const body = useRef<HTMLTableSectionElement>(null)
  useRowKeys(body)
  const ids = rows?.map(id) ?? []
  const all = ids.length > 0 && ids.every((one) => selection?.has(one))
  return (
    <>
      {Boolean(query.error) && <RefusalNote error={query.error} again={() => void query.refetch()} />}
      {Boolean(query.error) && rows && query.dataUpdatedAt && <p className="sm dim asof">{t('asOf', { time: time(byServer(query.dataUpdatedAt)) })}</p>}
      {(query.isPending || rows) && (
        <section className={`card list${query.isPlaceholderData || query.error ? ' old' : ''}`} aria-label={label}>
          {query.isPending ? <Skeleton rows={8} /> : rows?.length === 0 ? <Empty>{empty}</Empty> : (
            <table>
              <thead>
                <tr>
                  {selection && <th className="pick"><input type="checkbox" aria-label={t('selectAll')} checked={all} onChange={() => selection.put(ids, !all)} /></th>}
                  {columns.map((c) => <th key={c.head} scope="col" style={{ width: c.width }}>{c.head}</th>)}
                  {actions && <th className="acts"><span className="sr">{t('actions')}</span></th>}
                </tr>
              </thead>
              <tbody ref={body}>
                {rows?.map((row) => (
                  <tr key={id(row)} className={`${off?.(row) ? 'off' : ''}${selection?.has(id(row)) ? ' picked' : ''}`}>
                    {selection && <td className="pick"><input type="checkbox" aria-label={t('selectOne', { name: name(row) })} checked={selection.has(id(row))} onChange={(e) => selection.put([id(row)], e.target.checked)} /></td>}
                    {columns.map((c) => <td key={c.head} className={c.look} data-head={c.head}>{c.cell(row)}</td>)}
                    {actions && <td className="acts">{actions(row)}</td>}
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
      )}
      {pages && rows && (rows.length > 0 || pages.number > 0) && <Foot pages={pages} size={size} count={rows.length} next={next} opens={!selection} />}
    </>
  )
}

function Foot({ pages, size, count, next, opens }: { pages: Pages; size: number; count: number; next?: string; opens: boolean }) {
  const t = listTexts.useTexts()
  const from = pages.number * size
  return (
    <nav className="row sm dim pg" aria-label={t('pages')}>
      <span className="grow" role="status">{t(next ? 'follows' : 'range', { from: number(Math.min(from + 1, from + count)), to: number(from + count) })}</span>
      {keysOn() && <span className="hints" aria-hidden><kbd>j</kbd> <kbd>k</kbd> {t('move')} {opens && <><kbd>Enter</kbd> {t('open')}</>}</span>}
      {(pages.number > 0 || next) && (
        <>
          <button type="button" className="btn sm" disabled={pages.number === 0} onClick={pages.back}>{t('previous')}</button>
          <button type="button" className="btn sm" disabled={!next} onClick={() => next && pages.next(next)}>{t('next')}</button>
        </>
      )}
    </nav>
  )
}

/** j and k move the focus from row to row, to what opens it; Enter is then the button's own. */
function useRowKeys(body: React.RefObject<HTMLTableSectionElement | null>) {
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (!keysOn() || typing(e) || (e.key !== 'j' && e.key !== 'k') || document.querySelector('[role="dialog"]')) return
      const rows = [...(body.current?.rows ?? [])]
      const at = rows.findIndex((row) => row.contains(document.activeElement))
      const to = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + (e.key === 'j' ? 1 : -1)))]
      to?.querySelector<HTMLElement>('.name, input, button')?.focus()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [body])
}

/** The row of what narrows a list. */
export function Filters({ children }: { children: ReactNode }) {
  return <div className="flt" role="search">{children}</div>
}

export function Search({ label, text, type, options }: { label: string; text: string; type: (text: string) => void; options?: string[] }) {
  const field = useRef<HTMLInputElement>(null)
  return (
    <span className="in sm seek">
      <IconSearch className="i s" stroke={1.6} aria-hidden />
      <input ref={field} type="search" aria-label={label} placeholder={label} value={text} maxLength={128} spellCheck={false} autoComplete="off" list={options && 'seek'} onChange={(e) => type(e.target.value)} />
      {options && <datalist id="seek">{options.map((o) => <option key={o} value={o} />)}</datalist>}
    </span>
  )
}

export function Choice({ label, value, change, options }: { label: string; value: string; change: (value: string) => void; options: [value: string, text: string][] }) {
  return (
    <select className="in sm choice" aria-label={label} value={value} onChange={(e) => change(e.target.value)}>
      {options.map(([v, text]) => <option key={v} value={v}>{text}</option>)}
    </select>
  )
}

/** The first cell of a row: its name, which opens it, and a line below. */
export function Name({ name, below, open }: { name: string; below?: ReactNode; open?: () => void }) {
  return (
    <div className="nm">
      {open ? <button type="button" className="name m" onClick={open}><bdi>{name}</bdi></button> : <span className="m"><bdi>{name}</bdi></span>}
      {below && <div className="xs dim"><bdi>{below}</bdi></div>}
    </div>
  )
}

export type Act = { text: string; act: () => void; hidden?: boolean; disabled?: boolean }

/** What else can be done with a row. */
export function RowMenu({ name, acts }: { name: string; acts: Act[] }) {
  const t = listTexts.useTexts()
  const shown = acts.filter((a) => !a.hidden)
  if (shown.length === 0) return null
  return (
    <Menu position="bottom-end" width={230} trapFocus>
      <Menu.Target>
        <button type="button" className="icb ln" aria-label={t('actionsFor', { name })}><IconDots className="i" stroke={1.8} aria-hidden /></button>
      </Menu.Target>
      <Menu.Dropdown>
        {shown.map((a) => <Menu.Item key={a.text} disabled={a.disabled} onClick={a.act}>{a.text}</Menu.Item>)}
      </Menu.Dropdown>
    </Menu>
  )
}

/** Names as tags: the first few, and how many more there are. */
export function Tags({ of, most = 3 }: { of: string[]; most?: number }) {
  if (of.length === 0) return <span className="dim">–</span>
  return (
    <span className="tags">
      {of.slice(0, most).map((one) => <span className="tag" key={one} title={one}><bdi className="cut">{one}</bdi></span>)}
      {of.length > most && <span className="xs dim">+{number(of.length - most)}</span>}
    </span>
  )
}

export function Disabled() {
  return <span className="chip plain">{listTexts.useTexts()('disabled')}</span>
}
