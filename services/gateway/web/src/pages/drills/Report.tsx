import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { api, ask, Refusal, type Schemas } from '../../api/client'
import { longDateTime, number, zone } from '../../app/format'
import { newId } from '../../app/id'
import { useMay } from '../../app/me'
import { ReceiptChip } from '../../parts/Chip'
import { Head } from '../../parts/Head'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { type Drill, DrillChip, drillsKey, kindOf } from './Drills'
import './drills.css'
import { words } from './text'

/** What one drill has shown: on the screen, and on paper. */
export function Report() {
  const t = words.useTexts()
  const { id = '' } = useParams({ strict: false })
  const { data, error, refetch } = useQuery({
    queryKey: [...drillsKey, id], queryFn: () => ask(api.GET('/v1/drills/{id}', { params: { path: { id } } })), retry: false,
    refetchInterval: (q) => (q.state.data?.status === 'RUNNING' ? 1000 : false),
  })
  if (data) return <Page of={data} />
  if (error instanceof Refusal && error.status === 404) return <Empty>{t('unknown', { id })} <Link to="/drills">{t('title')}</Link></Empty>
  return error ? <RefusalNote error={error} again={() => void refetch()} /> : <Skeleton rows={6} />
}

function Page({ of }: { of: Drill }) {
  const t = words.useTexts()
  const known = useQueryClient()
  const may = useMay('System.EmergencyPanel.Control')
  const running = of.status === 'RUNNING'
  const cancel = useMutation({
    mutationFn: () => ask(api.POST('/v1/drills/{id}:cancel', { params: { path: { id: of.id ?? '' } }, body: { requestId: newId() } })),
    onSettled: () => known.invalidateQueries({ queryKey: drillsKey }),
  })
  return (
    <div className="drill">
      <Head title={`${t('id')} ${of.id}`} crumbs={[t('title')]} text={running ? t('runs') : t('report')}>
        <div className="row acts">
          {running && may && <button type="button" className="btn" disabled={cancel.isPending} onClick={() => cancel.mutate()}>{t('cancel')}</button>}
          <button type="button" className="btn" onClick={() => print()}>{t('print')}</button>
        </div>
      </Head>
      {cancel.isError && <RefusalNote error={cancel.error} />}
      <Figures of={of.result ?? {}} />
      <div className="dgrid">
        <Doors of={of.result ?? {}} />
        <Facts of={of} />
      </div>
    </div>
  )
}

function Figures({ of: r }: { of: Schemas['DrillResult'] }) {
  const t = words.useTexts()
  const not = (r.waiting ?? 0) + (r.unreachable ?? 0)
  const figures: [ReactNode, string][] = [
    [number((r.confirmed ?? 0)), not ? t('unconfirmed', { n: number(not) }) : t('every')],
    [r.medianMs === undefined ? t('notMeasured') : t('ms', { ms: number(r.medianMs) }), t('median')],
    [r.slowestMs === undefined ? t('notMeasured') : t('ms', { ms: number(r.slowestMs) }), `${t('slowest')}${r.slowest ? `: ${r.slowest}` : ''}`],
    [number(Number(r.wouldRefuse ?? 0)), t('refused')],
    [number(r.wouldEnd ?? 0), t('ended')],
  ]
  return <dl className="card dfig" aria-live="polite">{figures.map(([n, label]) => <div key={label}><dd>{n}</dd><dt className="xs dim">{label}</dt></div>)}</dl>
}

function Doors({ of: r }: { of: Schemas['DrillResult'] }) {
  const t = words.useTexts()
  return (
    <section className="card" aria-labelledby="doors">
      <header><div className="grow"><h2 id="doors">{t('receipts')}</h2></div></header>
      <div className="scroll" role="region" aria-label={t('receipts')} tabIndex={0}>
        <table className="dt">
          <thead><tr><th>{t('door')}</th><th>{t('service')}</th><th>{t('status')}</th><th className="r">{t('held')}</th><th className="r">{t('wouldRefuse')}</th><th className="r">{t('wouldEnd')}</th></tr></thead>
          <tbody>
            {r.receipts?.map((d) => (
              <tr key={`${d.service}/${d.enforcer}`}>
                <td className="m"><bdi>{d.enforcer}</bdi></td>
                <td className="dim">{d.service}</td>
                <td><ReceiptChip state={d.state} /></td>
                <td className="r nw">{d.heldMs === undefined ? '' : t('ms', { ms: number(d.heldMs) })}</td>
                <td className="r">{d.wouldRefuse === undefined ? <span className="dim">{t('untold')}</span> : number(Number(d.wouldRefuse))}</td>
                <td className="r">{d.wouldEnd === undefined ? '' : number(d.wouldEnd)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!!r.omitted && <p className="hint inset">{t('omitted', { n: number(r.omitted) })}</p>}
      {!!r.untold && <p className="hint inset">{t('untoldNote', { n: number(r.untold) })}</p>}
    </section>
  )
}

function Facts({ of }: { of: Drill }) {
  const t = words.useTexts()
  const at = (time: string | undefined) => time && `${longDateTime(time)} ${zone(time)}`
  const rows: [string, ReactNode][] = [
    [t('status'), <DrillChip key="chip" of={of} />], [t('practised'), t(kindOf(of))], [t('began'), at(of.startTime)], [t('ends'), at(of.endTime)], [t('endedBy'), of.endedBy], [t('by'), of.createdBy],
    [t('why'), of.justification], [t('ticket'), of.governanceCode], [t('schedule'), of.schedule], [t('revision'), of.revision && <span className="mono">{of.revision}</span>],
  ]
  return (
    <section className="card start">
      <dl className="facts">{rows.filter(([, value]) => value).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{typeof value === 'string' ? <bdi>{value}</bdi> : value}</dd></div>)}</dl>
    </section>
  )
}
