import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { api, ask, type Schemas } from '../../api/client'
import { dateTime, number } from '../../app/format'
import { useMay } from '../../app/me'
import { Head } from '../../parts/Head'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import './drills.css'
import { StartDrill } from './StartDrill'
import { words } from './text'

export type Drill = Schemas['Drill']
export const drillsKey = ['drills']
export const kinds = { LOCKDOWN: 'lockdown', FREEZE: 'freeze', TERMINATION: 'termination' } as const
export const kindOf = (of: { practice?: Schemas['Practice'] }) => kinds[of.practice?.kind as keyof typeof kinds] ?? 'lockdown'

/** What was practised, and what it showed; and the way to practise again. */
export function Drills() {
  const t = words.useTexts()
  const may = useMay('System.EmergencyPanel.Control')
  const { data, error, isPending, refetch } = useQuery({
    queryKey: drillsKey, queryFn: () => ask(api.GET('/v1/drills', { params: { query: { pageSize: 100 } } })), refetchInterval: 2000, enabled: may,
  })
  return (
    <div className="drills">
      <Head title={t('title')} text={t('text')} />
      {!may ? <p className="card empty">{t('forbidden')}</p> : (
        <div className="dgrid">
          <section className="card" aria-labelledby="drills-list">
            <header><div className="grow"><h2 id="drills-list">{t('list')}</h2></div></header>
            {error && <div className="inset"><RefusalNote error={error} again={() => void refetch()} /></div>}
            {isPending && <Skeleton rows={4} />}
            {data?.drills?.length === 0 && <Empty>{t('none')}</Empty>}
            {!!data?.drills?.length && <List of={data.drills} />}
          </section>
          <div className="col">
            <StartDrill />
            <Planned />
          </div>
        </div>
      )}
    </div>
  )
}

export function DrillChip({ of }: { of: Drill }) {
  const t = words.useTexts()
  const status = of.status as 'RUNNING' | 'DONE' | 'CANCELLED'
  return <span className={`chip ${{ RUNNING: 'acc', DONE: 'sure', CANCELLED: 'plain' }[status] ?? 'plain'}`}>{t(status)}</span>
}

const doorsOf = (r: Schemas['DrillResult'] | undefined) => (r?.confirmed ?? 0) + (r?.waiting ?? 0) + (r?.unreachable ?? 0)

function List({ of }: { of: Drill[] }) {
  const t = words.useTexts()
  return (
    <div className="scroll" role="region" aria-label={t('list')} tabIndex={0}>
      <table className="dt">
        <thead><tr><th>{t('id')}</th><th>{t('practised')}</th><th>{t('began')}</th><th>{t('status')}</th><th>{t('doors')}</th><th className="r">{t('median')}</th><th>{t('by')}</th></tr></thead>
        <tbody>
          {of.map((d) => (
            <tr key={d.id}>
              <td className="m"><Link to="/drills/$id" params={{ id: d.id ?? '' }}>{d.id}</Link></td>
              <td>{t(kindOf(d))}</td>
              <td className="nw">{dateTime(d.startTime ?? '')}</td>
              <td><DrillChip of={d} /></td>
              <td>{t('confirmed', { n: number(d.result?.confirmed ?? 0), of: number(doorsOf(d.result)) })}</td>
              <td className="r nw">{d.result?.medianMs === undefined ? '' : t('ms', { ms: number(d.result.medianMs) })}</td>
              <td><bdi>{d.createdBy}</bdi></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const plansKey = ['drill-schedules']

/** The drills that run by themselves. */
function Planned() {
  const t = words.useTexts()
  const known = useQueryClient()
  const { data } = useQuery({ queryKey: plansKey, queryFn: async () => (await ask(api.GET('/v1/drill-schedules'))).schedules ?? [], refetchInterval: 5000 })
  const drop = useMutation({
    mutationFn: (id: string) => ask(api.DELETE('/v1/drill-schedules/{id}', { params: { path: { id } } })),
    onSuccess: () => known.invalidateQueries({ queryKey: plansKey }),
  })
  return (
    <section className="card facts" aria-labelledby="planned">
      <header><div className="grow"><h2 id="planned">{t('planned')}</h2></div></header>
      {drop.isError && <div className="inset"><RefusalNote error={drop.error} /></div>}
      {data?.length === 0 && <Empty>{t('noPlan')}</Empty>}
      {data?.map((p) => (
        <div key={p.id} className="plan">
          <div className="grow sm">
            <b>{t(kindOf(p))}</b>, {t(p.interval === '86400s' ? 'daily' : p.interval === '604800s' ? 'weekly' : 'next')}: {dateTime(p.nextTime ?? '')}
            <p className="xs dim"><bdi>{t('answers', { name: p.createdBy })}</bdi>{p.lastDrill && <> · {t('lastTime')}: <Link to="/drills/$id" params={{ id: p.lastDrill }}>{p.lastDrill}</Link></>}</p>
            {p.leftOut && <p className="xs">{t('leftOut', { why: p.leftOut })}</p>}
          </div>
          <button type="button" className="btn sm" disabled={drop.isPending} onClick={() => drop.mutate(p.id ?? '')}>{t('remove')}</button>
        </div>
      ))}
    </section>
  )
}
