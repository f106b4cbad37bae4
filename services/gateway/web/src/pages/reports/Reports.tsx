import './reports.css'
import IconSnowflake from '@tabler/icons-react/dist/esm/icons/IconSnowflake.mjs'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useCallback, useEffect } from 'react'
import { serverNow, useNow } from '../../app/clock'
import { time, zone } from '../../app/format'
import { useMay } from '../../app/me'
import { usePosture } from '../../app/posture'
import { kindIcons } from '../../parts/Chip'
import { Head } from '../../parts/Head'
import { Empty, RefusalNote, Skeleton } from '../../parts/Note'
import { DetailsDrawer, DevicesDrawer } from './Drawers'
import { asOf, cancellable, fetchPage, type Page, type ReportKind } from './emergency'
import { Export, useExport } from './Export'
import { Filters } from './Filters'
import { useRowKeys } from './keys'
import { Pager } from './Pager'
import { Rows } from './Rows'
import { everything, queryOf, type Search, useReportSearch } from './search'
import { reports } from './text'

export const Terminations = () => <Report key="T" kind="TERMINATION" />
export const Freezes = () => <Report key="F" kind="FREEZE" />
export const Locks = () => <Report key="K" kind="LOCK" />
export const Lockdowns = () => <Report key="L" kind="LOCKDOWN" />

const pageSize = 20
const movingEvery = 1000
const restingEvery = 5000
const newPaths = { TERMINATION: '/emergency/terminate', FREEZE: '/emergency/freeze', LOCK: '/emergency/lock', LOCKDOWN: '/emergency/lockdown' } as const

function useReport(kind: ReportKind, search: Search) {
  const { posture } = usePosture()
  const { details: _, devices: __, ...shown } = search
  const query = useQuery({
    queryKey: ['report', kind, JSON.stringify(shown)],
    queryFn: async (): Promise<Page & { time: number }> => ({ ...(await fetchPage(kind, { ...queryOf(search), pageSize })), time: serverNow() }),
    placeholderData: keepPreviousData,
    refetchInterval: (q) => (q.state.data?.emergencies.some((e) => e.status === 'RUNNING') ? movingEvery : restingEvery),
  })
  const { refetch } = query
  const on = (posture?.emergencies ?? []).map((e) => e.revision).join()
  useEffect(() => {
    if (on !== undefined) void refetch()
  }, [on, refetch])
  return query
}

function Report({ kind }: { kind: ReportKind }) {
  const t = reports.useTexts()
  const now = useNow()
  const go = useNavigate()
  const may = useMay('System.EmergencyPanel.Control')
  const [search, set] = useReportSearch(kind)
  const query = useReport(kind, search)
  const rows = (query.data?.emergencies ?? []).map((e) => asOf(e, now))
  const saving = useExport(kind, search)
  const open = search.details ?? search.devices
  const close = () => set({ details: undefined, devices: undefined })
  useRowKeys({
    devices: (id) => kind === 'FREEZE' && set({ devices: id }),
    cancel: (id) => may && rows.some((e) => e.id === id && cancellable(e)) && void go({ to: '/emergencies/$id/cancel', params: { id } }),
  }, open !== undefined)
  const details = useCallback(() => search.details && set({ details: undefined, devices: search.details }), [search, set])
  const known = query.data && !(query.isError && query.isPlaceholderData)
  return (
    <>
      <Head title={t(kind)} crumbs={[t('crumb')]} text={t(`text${kind}`, { zone: zone(now) })}>
        <div className="row acts">
          <Export of={saving} />
          {may && <New kind={kind} />}
        </div>
      </Head>
      <Filters kind={kind} search={search} set={set} people={query.data?.people ?? []} counts={query.data?.counts} />
      {saving.isError && <RefusalNote error={saving.error} again={() => saving.mutate(saving.variables)} />}
      {query.isError && (known
        ? <p className="note" role="status">{t('stale', { time: time(query.data.time) })}</p>
        : <RefusalNote error={query.error} again={() => void query.refetch()} />)}
      <section className="card report" aria-label={t(kind)} aria-busy={query.isPlaceholderData || undefined}>
        {query.isPending && <Skeleton rows={6} height={42} />}
        {known && rows.length === 0 && <None kind={kind} search={search} set={set} may={may} />}
        {known && rows.length > 0 && (
          <Rows kind={kind} of={rows} may={may} search={search} set={set} acts={{ details: (id) => set({ details: id }), devices: (id) => set({ devices: id }) }} />
        )}
      </section>
      {known && rows.length > 0 && <Pager kind={kind} search={search} set={set} of={query.data} size={pageSize} old={query.isPlaceholderData} may={may} />}
      <DetailsDrawer id={search.details} close={close} devices={kind === 'FREEZE' ? () => void details() : undefined} />
      {kind === 'FREEZE' && <DevicesDrawer id={search.devices} close={close} />}
    </>
  )
}

function New({ kind, quiet }: { kind: ReportKind; quiet?: boolean }) {
  const t = reports.useTexts()
  const Icon = kindIcons[kind] ?? IconSnowflake
  if (quiet) return <Link to={newPaths[kind]}>{t(`new${kind}`)}</Link>
  return (
    <Link className="btn pri" to={newPaths[kind]}>
      <Icon className="i" stroke={1.6} aria-hidden />
      {t(`new${kind}`)}
    </Link>
  )
}

function None({ kind, search, set, may }: { kind: ReportKind; search: Search; set: (change: Search) => void; may: boolean }) {
  const t = reports.useTexts()
  const filtered = (Object.keys(everything) as (keyof Search)[]).some((name) => search[name])
  if (!filtered) return <Empty>{t(`none${kind}`)} {may && <New kind={kind} quiet />}</Empty>
  return (
    <Empty>
      {t('noneFiltered')}{' '}
      <button type="button" className="btn quiet" onClick={() => set(everything)}>{t('showAll')}</button>
    </Empty>
  )
}
