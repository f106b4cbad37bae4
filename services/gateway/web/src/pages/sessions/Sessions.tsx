import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { useNow } from '../../app/clock'
import { dateTime, span } from '../../app/format'
import { useMay } from '../../app/me'
import { Head } from '../../parts/Head'
import { Choice, type Column, Filters, List, Name, Search } from '../../parts/List'
import { nameOf, usePages, useParam, useSearchText } from '../../parts/paging'
import { EndBar, Result } from './EndBar'
import { HoldOne } from './HoldOne'
import { type Session, useEnding } from './ending'
import { sessionTexts } from './text'
import './sessions.css'

const every = 2000
const size = 50
const protocols = ['SSH', 'POSTGRES', 'TCP', 'KUBERNETES']
const fields = ['user', 'device', 'connector'] as const

/** Who is connected to what, now. */
export function Sessions() {
  const t = sessionTexts.useTexts()
  const may = useMay('System.Sessions.Manage')
  const panel = useMay('System.EmergencyPanel.Control')
  const [by, setBy] = useParam('by')
  const field = fields.find((f) => f === by) ?? 'user'
  const [protocol, setProtocol] = useParam('protocol')
  const { text, type, settled } = useSearchText('q')
  const filter = [settled.trim() && `${field}=${nameOf(settled)}`, protocol && `protocol=${protocol}`].filter(Boolean).join(' AND ')
  const pages = usePages(filter)
  const query = useQuery({
    queryKey: ['sessions', filter, pages.token],
    queryFn: () => ask(api.GET('/v1/sessions', { params: { query: { pageSize: size, pageToken: pages.token || undefined, filter: filter || undefined } } })),
    refetchInterval: every,
    placeholderData: keepPreviousData,
  })
  const sessions = query.data?.sessions
  const [chosen, choose] = useState<Map<string, Session>>(new Map())
  const ending = useEnding()
  const put = (ids: string[], on: boolean) => choose((before) => {
    const next = new Map(before)
    for (const id of ids) {
      const session = sessions?.find((s) => s.id === id)
      if (on && session) next.set(id, session)
      if (!on) next.delete(id)
    }
    return next
  })
  const end = (which: Session[], why: string) => {
    put(which.map((s) => s.id ?? ''), false)
    void ending.end(which, why)
  }
  const busy = ending.run !== undefined && !ending.run.over
  const incomplete = query.data?.incompleteConnectors ?? []
  return (
    <>
      <Head title={t('title')} text={<>{t('text')} {panel && <>{t('all')} <Link to="/emergency/terminate">{t('allLink')}</Link>.</>}</>} />
      <Filters>
        <Choice label={t('by')} value={field} change={setBy} options={fields.map((f) => [f, t(f)])} />
        <Search label={t('exactly', { what: t(`what${field}`) })} text={text} type={type} options={[...new Set(sessions?.map((s) => s[field] ?? ''))]} />
        <Choice label={t('protocol')} value={protocol} change={setProtocol} options={[['', t('anyProtocol')], ...protocols.map((p): [string, string] => [p, p])]} />
      </Filters>
      {incomplete.length > 0 && <div className="note" role="status"><span className="hx" aria-hidden style={{ marginTop: 4 }} /><div>{t('incomplete', { count: incomplete.length, names: incomplete.join(', ') })}</div></div>}
      {ending.run && <Result run={ending.run} again={(which) => end(which, '')} dismiss={ending.forget} />}
      {chosen.size > 0 && <EndBar chosen={[...chosen.values()]} busy={busy} clear={() => choose(new Map())} end={(why) => end([...chosen.values()], why)} />}
      <List
        label={t('title')}
        rows={sessions}
        id={(s) => s.id ?? ''}
        name={(s) => t('on', { user: s.user, device: s.device })}
        columns={useColumns()}
        query={query}
        empty={filter ? t('noneSuch') : t('none')}
        pages={pages}
        size={size}
        next={query.data?.nextPageToken}
        selection={may ? { has: (id) => chosen.has(id), put } : undefined}
        actions={may ? (s) => <span className="row"><HoldOne session={s} /><EndOne session={s} busy={busy} end={() => end([s], '')} /></span> : undefined}
      />
    </>
  )
}

function useColumns(): Column<Session>[] {
  const t = sessionTexts.useTexts()
  return [
    { head: t('user'), cell: (s) => <Name name={s.user ?? ''} /> },
    { head: t('device'), cell: (s) => <bdi>{s.device}</bdi> },
    { head: t('protocol'), cell: (s) => s.protocol },
    { head: t('connector'), cell: (s) => <bdi>{s.connector}</bdi> },
    { head: t('since'), cell: (s) => <Since at={s.startTime} />, look: 'nw' },
    { head: t('address'), cell: (s) => <bdi className="mid">{s.address}</bdi> },
    { head: t('state'), cell: (s) => <State of={s} /> },
  ]
}

function Since({ at }: { at?: string }) {
  const now = useNow()
  return at ? <span title={dateTime(at)}>{span(now - Date.parse(at))}</span> : <>–</>
}

function State({ of }: { of: Session }) {
  const t = sessionTexts.useTexts()
  const state = of.state ?? 'STATE_UNSPECIFIED'
  if (state === 'UNREACHABLE') return <span className="chip unk" title={t('unreachableWhy')}><span className="hx" aria-hidden />{t(state)}</span>
  if (state === 'SUSPENDED') return <span className="chip pend" title={t('suspendedWhy')}>{t(state)}</span>
  if (state === 'ENDING' || state === 'OPENING') return <span className="chip pend" title={state === 'ENDING' ? t('endingWhy') : undefined}>{t(state)}</span>
  return <span className="chip plain">{t(state)}</span>
}

/** Ends one session, after asking in its place. */
function EndOne({ session, end, busy }: { session: Session; end: () => void; busy: boolean }) {
  const t = sessionTexts.useTexts()
  const [asking, ask] = useState(false)
  if (!asking) {
    return <button type="button" className="btn sm" aria-label={t('endOf', { user: session.user, device: session.device })} disabled={busy} onClick={() => ask(true)}>{t('end')}</button>
  }
  return (
    <span className="sure" role="group" aria-label={t('endOf', { user: session.user, device: session.device })} onKeyDown={(e) => e.key === 'Escape' && ask(false)}>
      <button type="button" className="btn sm shut" autoFocus onClick={() => { ask(false); end() }}>{t('sure')}</button>
      <button type="button" className="btn sm" onClick={() => ask(false)}>{t('no')}</button>
    </span>
  )
}
