import { dateTime } from '../../app/format'
import { shell } from '../../app/text'
import { useAct } from './acts-text'
import type { Entry } from './data'
import { words } from './text'

const kinds = { T: 'TERMINATION', F: 'FREEZE', K: 'LOCK', L: 'LOCKDOWN' } as const

/** What happened, with the kind of emergency that it happened to. */
export function useWhat() {
  const t = words.useTexts()
  const say = shell.useTexts()
  return (e: Entry) => {
    const what = t(e.change ?? 'CHANGE_UNSPECIFIED')
    const kind = /^[TFKL]-\d+$/.test(e.target ?? '') && kinds[e.target?.[0] as keyof typeof kinds]
    return kind ? `${say(kind)}, ${what.toLowerCase()}` : what
  }
}

export function EntryTable({ rows, open }: { rows: Entry[]; open: (entry: Entry) => void }) {
  const t = words.useTexts()
  const heads = ['time', 'actor', 'what', 'target', 'ticket', 'justification', 'revision'] as const
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={t('table')}>
      <table>
        <thead><tr>{heads.map((h) => <th key={h} scope="col" className={h}>{t(h)}</th>)}</tr></thead>
        <tbody>{rows.map((e) => <Row key={e.revision} of={e} open={() => open(e)} />)}</tbody>
      </table>
    </div>
  )
}

function Row({ of, open }: { of: Entry; open: () => void }) {
  const t = words.useTexts()
  const what = useWhat()(of)
  const act = useAct()(of)
  return (
    <tr className="go" onClick={open}>
      <td className="nw time">
        <button type="button" className="entry" aria-haspopup="dialog" aria-label={`${dateTime(of.time ?? '')}. ${t('openEntry', { revision: of.revision, what })}`} onClick={(e) => { e.stopPropagation(); open() }}>
          {dateTime(of.time ?? '')}
        </button>
      </td>
      <td className="actor"><bdi>{of.actor}</bdi></td>
      <td className="what"><span className="m">{what}</span>{act && <span className="xs dim kind">{act}</span>}</td>
      <td className="target"><bdi>{of.target}</bdi></td>
      <td className="ticket mono"><bdi>{of.governanceCode}</bdi>{of.ticketCheck?.state === 'NOT_CHECKED' && <b className="xs block">{t('unchecked')}</b>}</td>
      <td className="justification"><bdi>{of.justification}</bdi></td>
      <td className="revision mono dim nw">{of.revision}</td>
    </tr>
  )
}
