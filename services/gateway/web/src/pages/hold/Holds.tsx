import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { api, ask, type Schemas } from '../../api/client'
import { useNow } from '../../app/clock'
import { countdown, longDateTime } from '../../app/format'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { words } from './text'

export const holdsKey = ['holds']

/** The holds that are on, or on no record yet, and which doors have said that they hold. */
export function Holds() {
  const t = words.useTexts()
  const { data, error, refetch, isPending } = useQuery({ queryKey: holdsKey, queryFn: async () => (await ask(api.GET('/v1/holds'))).holds ?? [], refetchInterval: 2000 })
  return (
    <aside className="card facts" aria-labelledby="holds">
      <header><div className="grow"><h2 id="holds" tabIndex={-1}>{t('holds')}</h2></div></header>
      {error && <div className="inset"><RefusalNote error={error} again={() => void refetch()} /></div>}
      {isPending && <Skeleton rows={3} />}
      {data?.length === 0 && <Empty>{t('none')}</Empty>}
      {data?.map((hold) => <One key={hold.id} of={hold} />)}
    </aside>
  )
}

function One({ of }: { of: Schemas['Hold'] }) {
  const t = words.useTexts()
  const now = useNow()
  const end = Date.parse(of.endTime ?? '')
  const doors = of.doors ?? []
  const holding = doors.filter((d) => d.state === 'HELD').length
  return (
    <dl>
      <div><dt>{t('left')}</dt><dd>{end > now ? <span role="timer" aria-live="off">{countdown(end - now)}</span> : t('ended', { time: longDateTime(end) })}</dd></div>
      <div><dt>{t('by')}</dt><dd><bdi>{of.createdBy}</bdi></dd></div>
      <div><dt>{t('why')}</dt><dd><bdi>{of.justification}</bdi></dd></div>
      <div><dt>{t('record')}</dt><dd>{of.lockdown ? <Link to="/emergencies/$id" params={{ id: of.lockdown }}>{of.lockdown}</Link> : t('notYet')}</dd></div>
      <div>
        <dt>{t('doors')}</dt>
        <dd>
          <b role="status">{t('held', { count: holding, of: doors.length })}</b>
          <ul>{doors.map((d) => <li key={`${d.service} ${d.enforcer}`}><bdi className="mono">{d.enforcer}</bdi>: {d.state === 'HELD' ? `${t('HELD')}, ${t('after', { ms: d.heldMs ?? 0 })}` : t('UNREACHABLE')}</li>)}</ul>
        </dd>
      </div>
    </dl>
  )
}
