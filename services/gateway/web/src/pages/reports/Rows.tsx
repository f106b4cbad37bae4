import IconTrash from '@tabler/icons-react/dist/esm/icons/IconTrash.mjs'
import { Link } from '@tanstack/react-router'
import { initials } from '../../app/Shell'
import type { Emergency } from '../../app/posture'
import { StatusChip } from '../../parts/Chip'
import { LeftCell, SessionsCell, WindowCell } from './Cells'
import { cancellable, type ReportKind } from './emergency'
import { reports } from './text'

export type RowActs = { details: (id: string) => void; devices: (id: string) => void }

/** The table of a report; where it is narrow, its rows become cards. */
export function Rows({ kind, of, may, acts }: { kind: ReportKind; of: Emergency[]; may: boolean; acts: RowActs }) {
  const t = reports.useTexts()
  const windows = kind !== 'TERMINATION'
  return (
    <table className={`reports ${kind.toLowerCase()}`}>
      <thead>
        <tr>
          <th className="c-status">{t('status')}</th>
          <th>{t('why')}</th>
          <th className="c-window">{windows ? t('window') : t('when')}</th>
          {windows && <th className="c-left">{t('left')}</th>}
          {kind !== 'FREEZE' && <th className="c-sessions">{t('sessions')}</th>}
          <th className="c-by">{t('by')}</th>
          <th className="c-ticket">{t('ticket')}</th>
          <th className="c-action">{t('action')}</th>
        </tr>
      </thead>
      <tbody>{of.map((e) => <Row key={e.id} kind={kind} of={e} may={may} acts={acts} />)}</tbody>
    </table>
  )
}

function Row({ kind, of, may, acts }: { kind: ReportKind; of: Emergency; may: boolean; acts: RowActs }) {
  const t = reports.useTexts()
  const id = of.id ?? ''
  return (
    <tr data-id={id}>
      <td className="c-status"><StatusChip of={of} /></td>
      <td className="c-why">
        <div className="m cut" title={of.justification}><bdi>{of.justification || '–'}</bdi></div>
        <div className="xs"><Link to="/emergencies/$id" params={{ id }} aria-label={t('liveOf', { id })}>{id}</Link></div>
      </td>
      <td className="c-window nw" data-label={kind === 'TERMINATION' ? t('when') : t('window')}><WindowCell of={of} /></td>
      {kind !== 'TERMINATION' && <td className="c-left" data-label={t('left')}><LeftCell of={of} /></td>}
      {kind !== 'FREEZE' && <td className="c-sessions" data-label={t('sessions')}><SessionsCell of={of} /></td>}
      <td className="c-by" data-label={t('by')}>
        <span className="row">
          <span className="av xs1" aria-hidden>{initials(of.createdBy ?? '')}</span>
          <span className="cut" title={of.createdBy}><bdi>{of.createdBy}</bdi></span>
        </span>
      </td>
      <td className="c-ticket" data-label={t('ticket')}>
        {of.governanceCode ? <span className="mono cut" title={of.governanceCode}>{of.governanceCode}</span> : <span className="dim">{t('noTicket')}</span>}
      </td>
      <td className="c-action"><Acts kind={kind} of={of} may={may} acts={acts} /></td>
    </tr>
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
        <Link className="icb ln" to="/emergencies/$id/cancel" params={{ id }} aria-label={t('cancelOf', { id })} title={t('cancelOf', { id })}>
          <IconTrash className="i" stroke={1.6} aria-hidden />
        </Link>
      )}
    </div>
  )
}
