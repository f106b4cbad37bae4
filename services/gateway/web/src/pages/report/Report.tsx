import '../reports/reports.css'
import './report.css'
import IconDownload from '@tabler/icons-react/dist/esm/icons/IconDownload.mjs'
import IconPrinter from '@tabler/icons-react/dist/esm/icons/IconPrinter.mjs'
import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { useEffect } from 'react'
import { api, ask, type Refusal, type Schemas } from '../../api/client'
import { useMay } from '../../app/me'
import { shell } from '../../app/text'
import { useTitle } from '../../app/title'
import { StatusChip } from '../../parts/Chip'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { save } from '../audit/data'
import { kindOf } from '../reports/emergency'
import { paths } from '../reports/search'
import { Cover, Figures } from './Cover'
import { Doors, Ended } from './Reached'
import { Meanwhile, People, Timeline } from './Record'
import { Messages, Proof, Refused } from './Told'
import { after } from './text'
import { useZone, type Zone } from './zone'

export type Report = Schemas['Report']

/** All that is known of one emergency, on one page that prints. */
export function AfterAction() {
  const t = after.useTexts()
  const { id = '' } = useParams({ strict: false })
  const may = useMay('System.Audit.Read')
  const kind = kindOf(id)
  const report = useQuery({
    queryKey: ['report', id], enabled: may && kind !== undefined, staleTime: Infinity, retry: false,
    queryFn: () => ask(api.GET('/v1/emergencies/{id}/report', { params: { path: { id } } })),
  })
  useTitle(t('crumb'), t('title', { id }))
  if (report.data) return <Page of={report.data} again={() => void report.refetch()} asking={report.isFetching} />
  const unknown = kind === undefined || (report.error as Refusal | null)?.status === 404
  return (
    <>
      <h1>{t('title', { id })}</h1>
      {!may && <div className="card"><Empty>{t('mayNot')}</Empty></div>}
      {may && unknown && <Empty>{t('unknown', { id })} <Link to={paths[kind ?? 'FREEZE']}>{t('crumb')}</Link></Empty>}
      {may && !unknown && report.isError && <RefusalNote error={report.error} again={() => void report.refetch()} />}
      {may && !unknown && report.isPending && <><p className="mid">{t('making')}</p><Skeleton rows={6} height={60} /></>}
    </>
  )
}

function Page({ of, again, asking }: { of: Report; again: () => void; asking: boolean }) {
  const t = after.useTexts()
  const say = shell.useTexts()
  const zone = useZone(of.timeZone)
  const e = of.emergency ?? {}
  const id = e.id ?? ''
  const made = { product: of.product, id, time: zone.at(of.time), name: of.madeFor, zone: zone.zone }
  usePrintedHead(t('head', made))
  const open = e.status === 'PENDING' || e.status === 'ONGOING' || e.status === 'RUNNING'
  return (
    <article className="after">
      <div className="head">
        <div className="grow">
          <p className="xs dim onpaper">{of.product}, {t('of')}</p>
          <div className="row g3 wrap">
            <h1 className="hh">{say(e.kind === 'KIND_UNSPECIFIED' || !e.kind ? 'reports' : e.kind)} <span className="mono">{id}</span></h1>
            <StatusChip of={e} />
          </div>
          <p>{t('made', made)} {open && t('draft')}</p>
        </div>
        <div className="row acts">
          <Link className="btn" to="/emergencies/$id" params={{ id }}>{t('live')}</Link>
          <button type="button" className="btn" onClick={again} disabled={asking}>{t('again')}</button>
          <button type="button" className="btn" onClick={() => save(`portcullis-report-${id}.json`, `${JSON.stringify(of, null, 2)}\n`, 'application/json')}><IconDownload className="i" stroke={1.6} aria-hidden />{t('json')}</button>
          <button type="button" className="btn pri" onClick={() => window.print()}><IconPrinter className="i" stroke={1.6} aria-hidden />{t('print')}</button>
        </div>
      </div>
      <Figures of={of} />
      <Cover of={of} zone={zone} />
      <Sections of={of} zone={zone} />
    </article>
  )
}

function Sections({ of, zone }: { of: Report; zone: Zone }) {
  return (
    <>
      <Timeline of={of} zone={zone} />
      <People of={of} zone={zone} />
      <Doors of={of} />
      <Ended of={of} zone={zone} />
      <Refused of={of} zone={zone} />
      <Meanwhile of={of} zone={zone} />
      <Messages of={of} />
      <Proof of={of} />
    </>
  )
}

/** Puts what the report is, and for whom it was made, at the head of every printed page. */
function usePrintedHead(text: string) {
  useEffect(() => {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(`@page report { @top-left { content: ${JSON.stringify(text).replaceAll('<', '\\3c ')}; } }`)
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
    return () => { document.adoptedStyleSheets = document.adoptedStyleSheets.filter((s) => s !== sheet) }
  }, [text])
}
