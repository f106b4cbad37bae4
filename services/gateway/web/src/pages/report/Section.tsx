import { type ReactNode, useState } from 'react'
import type { Schemas } from '../../api/client'
import { number } from '../../app/format'
import type { Report } from './Report'
import { after } from './text'

type Part = Schemas['ReportGap.Part']

/** A part of the report, and what is not known of it. One with nothing in it is left out, unless it is not known whether there is anything. */
export function Section({ title, text, of, part, nothing, children }: { title: string; text?: ReactNode; of: Report; part?: Part; nothing: boolean; children: ReactNode }) {
  const t = after.useTexts()
  const gaps = (of.gaps ?? []).filter((g) => g.part === part && part)
  if (nothing && gaps.length === 0) return null
  return (
    <section className="card part">
      <header><div className="grow"><h2>{title}</h2>{text && <p className="sm dim">{text}</p>}</div></header>
      {gaps.map((g) => <p key={g.why} className="gap"><i className="hx" aria-hidden />{t(g.why ?? 'WHY_UNSPECIFIED')}</p>)}
      {children}
    </section>
  )
}

const shownFirst = 15

/**
 * Rows, of which a long list shows its beginning on the screen. On paper all are there that the report has; `total` is how many
 * there are.
 */
export function Rows({ label, heads, rows, total, empty }: { label: string; heads: [key: string, text: string, right?: boolean][]; rows: { key: string; cells: ReactNode[] }[]; total?: number; empty: string }) {
  const t = after.useTexts()
  const [all, show] = useState(false)
  if (rows.length === 0) return <p className="empty">{empty}</p>
  const rest = Math.max(0, (total ?? rows.length) - rows.length)
  return (
    <>
      <div className="scroll" role="region" aria-label={label} tabIndex={0}>
        <table className={all ? 'all' : undefined}>
          <thead><tr>{heads.map(([key, text, right]) => <th key={key} scope="col" className={`c-${key}${right ? ' r' : ''}`}>{text}</th>)}</tr></thead>
          <tbody>
            {rows.map((row, i) => (
              <tr key={row.key} className={i >= shownFirst ? 'later' : undefined}>{row.cells.map((cell, j) => <td key={heads[j][0]} className={`c-${heads[j][0]}${heads[j][2] ? ' r' : ''}`}>{cell}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
      {rest > 0 && <p className="sm mid rest">{t('more', { n: number(rest) })}</p>}
      {rows.length > shownFirst && <p className="rest onscreen"><button type="button" className="btn sm" aria-expanded={all} onClick={() => show(!all)}>{all ? t('showFewer') : t('showAll', { n: number(rows.length) })}</button></p>}
    </>
  )
}

export const ms = (value: number | undefined) => (value === undefined ? '–' : value < 1000 ? `${number(value)} ms` : `${number(Math.round(value / 100) / 10)} s`)
