import IconDown from '@tabler/icons-react/dist/esm/icons/IconChevronDown.mjs'
import IconUp from '@tabler/icons-react/dist/esm/icons/IconChevronUp.mjs'
import IconShorten from '@tabler/icons-react/dist/esm/icons/IconClockMinus.mjs'
import IconTrash from '@tabler/icons-react/dist/esm/icons/IconTrash.mjs'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { initials } from '../../app/Shell'
import type { Emergency } from '../../app/posture'
import { StatusChip } from '../../parts/Chip'
import { BlocksCell, LeftCell, LockedCell, SessionsCell, WindowCell } from './Cells'
import { type Column, columnsOf } from './columns'
import { cancellable, type ReportKind, shortenable } from './emergency'
import { type Search, usualOrder } from './search'
import { reports } from './text'

export type RowActs = { details: (id: string) => void; devices: (id: string) => void }

/** The table of a report; where it is narrow, its rows become cards. */
export function Rows({ kind, of, may, acts, search, set }: { kind: ReportKind; of: Emergency[]; may: boolean; acts: RowActs; search: Search; set: (change: Search) => void }) {
  return (
    <table className={`reports ${kind.toLowerCase()}${may ? ' acting' : ''}`}>
      <thead>
        <tr>{columnsOf(kind).map((c) => <Heading key={c.key} of={c} sort={search.sort || usualOrder} set={set} />)}</tr>
      </thead>
      <tbody>{of.map((e) => <Row key={e.id} kind={kind} of={e} may={may} acts={acts} />)}</tbody>
    </table>
  )
}

// What one looks for first by times and numbers are the latest and the most.
const fallsFirst = new Set(['startTime', 'endTime', 'ended', 'blockedDevices'])

/** The head of a column, which orders by it: the other way round when it does so already. */
function Heading({ of: { key, look, order }, sort, set }: { of: Column; sort: string; set: (change: Search) => void }) {
  const t = reports.useTexts()
  if (!order) return <th scope="col" className={look}>{t(key)}</th>
  const way = sort === order ? 'ascending' : sort === `-${order}` ? 'descending' : 'none'
  const next = way === 'ascending' || (way === 'none' && fallsFirst.has(order)) ? `-${order}` : order
  const usual = fallsFirst.has(order) === (way === 'descending')
  return (
    <th scope="col" className={look} aria-sort={way}>
      <button type="button" onClick={() => set({ sort: next === usualOrder ? undefined : next, page: undefined })}>
        {t(key)}
        {way !== 'none' && (usual ? <IconDown className="i s" stroke={1.8} aria-hidden /> : <IconUp className="i s" stroke={1.8} aria-hidden />)}
      </button>
    </th>
  )
}

function Row({ kind, of, may, acts }: { kind: ReportKind; of: Emergency; may: boolean; acts: RowActs }) {
  const t = reports.useTexts()
  const cell: Record<Column['key'], ReactNode> = {
    status: <StatusChip of={of} />,
    why: <Why of={of} />,
    window: <WindowCell of={of} />,
    when: <WindowCell of={of} />,
    left: <LeftCell of={of} />,
    sessions: <SessionsCell of={of} />,
    by: (
      <span className="row">
        <span className="av xs1" aria-hidden>{initials(of.createdBy ?? '')}</span>
        <span className="cut" title={of.createdBy}><bdi>{of.createdBy}</bdi></span>
      </span>
    ),
    ticket: of.governanceCode ? <span className="mono cut" title={of.governanceCode}><bdi>{of.governanceCode}</bdi></span> : <span className="dim">{t('noTicket')}</span>,
    blocks: <BlocksCell of={of} />,
    locks: <LockedCell of={of} />,
    action: <Acts kind={kind} of={of} may={may} acts={acts} />,
  }
  const silent = new Set<Column['key']>(['status', 'why', 'action'])
  return (
    <tr data-id={of.id}>
      {columnsOf(kind).map(({ key, look }) => <td key={key} className={look} data-label={silent.has(key) ? undefined : t(key)}>{cell[key]}</td>)}
    </tr>
  )
}

function Why({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  const id = of.id ?? ''
  return (
    <>
      <div className="m cut" title={of.justification}><bdi>{of.justification || '–'}</bdi></div>
      <div className="xs"><Link to="/emergencies/$id" params={{ id }} aria-label={t('liveOf', { id })}>{id}</Link></div>
    </>
  )
}

function Acts({ kind, of, may, acts }: { kind: ReportKind; of: Emergency; may: boolean; acts: RowActs }) {
  const t = reports.useTexts()
  const id = of.id ?? ''
  return (
    <div className="row">
      <button type="button" className="btn sm" data-details aria-label={t('detailsOf', { id })} onClick={() => acts.details(id)}>{t('details')}</button>
      {kind === 'FREEZE' && (
        <button type="button" className="btn sm" aria-label={t('devicesOf', { id })} onClick={() => acts.devices(id)}>{t('devices')}</button>
      )}
      {may && cancellable(of) && (
        <>
          {shortenable(of) && (
            <Link className="icb ln" to="/emergencies/$id/shorten" params={{ id }} aria-label={t('shortenOf', { id })} title={t('shortenOf', { id })}>
              <IconShorten className="i" stroke={1.6} aria-hidden />
            </Link>
          )}
          <Link className="icb ln" to="/emergencies/$id/cancel" params={{ id }} aria-label={t('cancelOf', { id })} title={t('cancelOf', { id })}>
            <IconTrash className="i" stroke={1.6} aria-hidden />
          </Link>
        </>
      )}
    </div>
  )
}
