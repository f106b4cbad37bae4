import { keepPreviousData, useMutation, useQuery } from '@tanstack/react-query'
import { useRef } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { time } from '../../app/format'
import { useMay } from '../../app/me'
import type { Emergency } from '../../app/posture'
import { newId } from '../../app/id'
import { RefusalNote } from '../../parts/Note'
import type { Enforcer, Receipt } from '../reports/emergency'
import { type Figures, over, silence, useSeldom } from './state'
import { live } from './text'

type Session = Schemas['Session']

const askEvery = 2000
const connectorsShown = 3
const sessionsShown = 6
const doorsShown = 20

/** What is not shut, and what a person can do about it. */
export function NotShut({ of: e, figures, receipts, silent }: { of: Emergency; figures: Figures; receipts: Receipt[]; silent: Enforcer[] }) {
  const t = live.useTexts()
  const off = over(e) || e.status === 'PENDING'
  const open = receipts.filter((r) => r.state !== 'UNREACHABLE' && (r.openSessions ?? 0) > 0 && !silence(r, silent))
  const sessions = useEnding(off ? [] : open)
  if (off) return null
  const rest = receipts.filter((r) => !open.includes(r) && (r.state !== 'CONFIRMED' || (r.openSessions ?? 0) > 0))
  const unknown = figures.unknown
  const count = figures.open
  if (open.length + rest.length === 0) return null
  return (
    <section className="card notshut">
      <header>
        <div className="grow">
          <h2>{t('notShut')}</h2>
          <span className="sm dim">{[count ? t('someOpen', { count }) : '', unknown ? t('someUnknown', { count: unknown }) : ''].filter(Boolean).join(', ')}</span>
        </div>
      </header>
      <ul className="op">
        {sessions.slice(0, sessionsShown).map((s) => <Ending key={s.id} of={s} />)}
        {open.filter((r) => !sessions.some((s) => s.connector === r.enforcer)).map((r) => (
          <Plain key={r.enforcer} title={t('openOn', { count: r.openSessions ?? 0, name: r.enforcer })} text={t('openOnText')} />
        ))}
        {rest.slice(0, doorsShown).map((r) => <Silent key={`${r.service}/${r.enforcer}`} receipt={r} quiet={silence(r, silent)} />)}
        {rest.length > doorsShown && <Plain title={t('moreDoors', { count: rest.length - doorsShown })} text={t('moreDoorsText')} />}
      </ul>
    </section>
  )
}

/**
 * The sessions that were told to end on these connectors and are not over: of the first connectors, and a page of each.
 * They are asked for when the counts have changed, and again for as long as the list is behind the counts.
 */
function useEnding(open: Receipt[]): Session[] {
  const first = open.slice(0, connectorsShown)
  const counts = useSeldom(first.map((r) => `${r.enforcer} ${r.openSessions}`).join('\n'), askEvery)
  const expected = Math.min(sessionsShown, first.reduce((sum, r) => sum + (r.openSessions ?? 0), 0))
  const { data } = useQuery({
    queryKey: ['live', 'ending', counts],
    enabled: counts !== '',
    placeholderData: keepPreviousData,
    refetchInterval: (q) => ((q.state.data?.length ?? 0) >= expected ? false : askEvery),
    retry: false,
    queryFn: async () => {
      const pages = await Promise.all(first.map((r) => ask(api.GET('/v1/sessions', { params: { query: { pageSize: 100, filter: `connector=${r.enforcer}` } } }))))
      return pages.flatMap((p) => p.sessions ?? []).filter((s) => s.state === 'ENDING')
    },
  })
  return first.length > 0 ? (data ?? []) : []
}

function Plain({ title, text, unknown }: { title: string; text: string; unknown?: boolean }) {
  return (
    <li className={unknown ? 'u' : undefined}>
      {unknown && <i className="hx" aria-hidden />}
      <div className="grow"><div className="sm m"><bdi>{title}</bdi></div><div className="xs mid">{text}</div></div>
    </li>
  )
}

function Silent({ receipt: r, quiet }: { receipt: Receipt; quiet: Enforcer | undefined }) {
  const t = live.useTexts()
  const name = r.enforcer ?? ''
  if (r.state === 'MISSING') return <Plain unknown title={t('lacks', { count: r.lacking ?? 1, name: `${r.service}/${name}` })} text={t('lacksText')} />
  if (r.state === 'WAITING') return <Plain title={t('waits', { name })} text={t('waitsText')} />
  const last = quiet?.lastSeenTime ? t('lastHeard', { time: time(quiet.lastSeenTime) }) : t('neverHeard')
  const left = r.openSessions || quiet?.openSessions || 0
  if (r.forgottenBy) return <Plain unknown title={t('silent', { name })} text={`${t('forgottenBy', { name: r.forgottenBy })} ${t('silentText')}`} />
  if (!left) return <Plain unknown title={t('silent', { name })} text={`${last} ${t('silentText')}`} />
  return <Plain unknown title={t('unknownOn', { count: left, name })} text={`${last} ${t('unknownText')}`} />
}

function Ending({ of: s }: { of: Session }) {
  const t = live.useTexts()
  const may = useMay('System.Sessions.Manage')
  const requestId = useRef(newId())
  const end = useMutation({
    mutationFn: () => ask(api.POST('/v1/sessions/{id}:end', { params: { path: { id: s.id ?? '' } }, body: { requestId: requestId.current } })),
    onSuccess: () => { requestId.current = newId() }, // whoever asks once more after an answer means it once more
  })
  return (
    <li>
      <div className="grow">
        <div className="sm m"><bdi>{t('session', { user: s.user, device: s.device })}</bdi></div>
        <div className="xs dim">{t('sessionText', { connector: s.connector, protocol: s.protocol, time: s.startTime ? time(s.startTime) : '–' })}</div>
        <div className="xs mid" role="status">{end.data && !end.isPending && t(end.data.state === 'ENDED' ? 'endedNow' : 'stillOpen')}</div>
        {end.isError && <RefusalNote error={end.error} />}
      </div>
      {may && (
        <button type="button" className="btn sm" aria-disabled={end.isPending} aria-label={t('endAgainOf', { user: s.user, device: s.device })} onClick={() => !end.isPending && end.mutate()}>
          {end.isPending ? t('ending') : t('endAgain')}
        </button>
      )}
    </li>
  )
}
