import '../reports/reports.css'
import './live.css'
import { Link, useParams } from '@tanstack/react-router'
import { useNow } from '../../app/clock'
import { time } from '../../app/format'
import { useTitle } from '../../app/title'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { Approvals } from '../approvals/Approvals'
import { asOf, kindOf } from '../reports/emergency'
import { Facts } from '../reports/Facts'
import { paths } from '../reports/search'
import { type Snapshot, useEmergency } from './follow'
import { Happened } from './Happened'
import { Heading } from './Heading'
import { NotShut } from './NotShut'
import { Progress } from './Progress'
import { Receipts } from './Receipts'
import { Say, useSpoken } from './Say'
import { doorsOf, figuresOf, titleOf } from './state'
import { live } from './text'

/** One emergency as it goes: is it shut, how long, what is not. */
export function Live() {
  const t = live.useTexts()
  const { id = '' } = useParams({ strict: false })
  const kind = kindOf(id)
  const { snapshot, error, again } = useEmergency(id)
  useTitle(t('crumb'), ...(kind ? [t(kind)] : []), id)
  if (snapshot) return <Page of={snapshot} stale={error !== undefined} />
  if (!kind || error?.status === 404) {
    return (
      <>
        <h1>{id}</h1>
        <Empty>{t('unknownId', { id })} <Link to={paths[kind ?? 'FREEZE']}>{t('report')}</Link></Empty>
      </>
    )
  }
  return (
    <>
      <h1>{id}</h1>
      {error ? <RefusalNote error={error} again={again} /> : <Skeleton rows={5} height={60} />}
    </>
  )
}

function Page({ of, stale }: { of: Snapshot; stale: boolean }) {
  const t = live.useTexts()
  const now = useNow()
  const e = asOf(of.emergency, now)
  const doors = doorsOf(of.summary, of.receipts)
  const figures = figuresOf(e, of.receipts, of.silent, doors)
  const title = t(titleOf(e, of.receipts, figures))
  const spoken = useSpoken(e, title, figures, now)
  return (
    <div className={`live${stale ? ' stale' : ''}`}>
      <Heading of={e} title={title} />
      <Say text={spoken} />
      {stale && <p className="note" role="status">{t('stale', { time: time(of.time) })}</p>}
      <Approvals target={e.id} />
      <Progress of={e} figures={figures} receipts={of.receipts} doors={doors} summary={of.summary} />
      <div className="grid g2">
        <div className="col">
          <Receipts of={e} receipts={of.receipts} silent={of.silent} omitted={of.omitted} />
          <section className="card factcard">
            <header><h2>{t('facts')}</h2></header>
            <div className="infacts"><Facts of={e} /></div>
          </section>
        </div>
        <div className="col">
          <NotShut of={e} figures={figures} receipts={of.receipts} silent={of.silent} />
          <Happened of={e} receipts={of.receipts} />
        </div>
      </div>
    </div>
  )
}
