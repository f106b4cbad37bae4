import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import IconChevron from '@tabler/icons-react/dist/esm/icons/IconChevronRight.mjs'
import IconKey from '@tabler/icons-react/dist/esm/icons/IconKey.mjs'
import IconUser from '@tabler/icons-react/dist/esm/icons/IconUser.mjs'
import { Link } from '@tanstack/react-router'
import { useNow } from '../../app/clock'
import { number, span, time } from '../../app/format'
import { useMe } from '../../app/me'
import { initials } from '../../app/Shell'
import { RefusalNote, Skeleton } from '../../parts/Note'
import { useTokenNames } from '../reports/tokens'
import type { Draft } from './draft'
import { Figure, Names } from './Hit'
import { type Hits, useAdministrators, useConnectors, type useHits, useSessions } from './hits'
import type { Kind } from './kinds'
import { apply } from './text'
import { usePolicy } from './Why'

type Query = ReturnType<typeof useHits>
type Props = { kind: Kind; draft: Draft; query: Query; ready: boolean }

const knows = (hits: Hits, service: string) => !hits.unreachableServices?.includes(service)

/** What it will hit, live. */
export function Preview(props: Props) {
  const t = apply.useTexts()
  return (
    <aside className="card prev" aria-labelledby="hits">
      <header>
        <div className="grow"><h2 id="hits">{t('hits')}</h2></div>
        {props.ready && <Checked query={props.query} />}
      </header>
      <Content {...props} />
    </aside>
  )
}

/** The same, closed, on top of a narrow page. */
export function NarrowPreview(props: Props) {
  const t = apply.useTexts()
  const hits = props.ready ? props.query.data : undefined
  const parts = hits && [
    props.kind === 'freeze' ? t('devicesShort', { count: hits.devices ?? 0 }) : '',
    props.kind !== 'freeze' || props.draft.endLiveSessions ? (knows(hits, 'session-broker') ? t('sessionsShort', { count: hits.sessions ?? 0 }) : `${t('sessions')}: ${t('notKnown')}`) : '',
    (props.kind === 'lockdown' || (props.kind === 'lock' && props.draft.target === 'users')) && knows(hits, 'identity') ? `${number(hits.signIns ?? 0)} ${t('nPeople', { count: hits.signIns ?? 0 })}` : '',
  ].filter(Boolean)
  return (
    <details className="card mobprev">
      <summary>
        <span className="grow">
          <b className="b">{parts ? parts.join(', ') : t('hits')}</b>
          {hits && knows(hits, 'identity') && <span className="xs dim">{t('adminsShort', { count: hits.administrators?.length ?? 0 })}</span>}
        </span>
        <span className="sm acc m">{t('whatItHits')}</span>
        <IconChevron className="i s" stroke={1.6} aria-hidden />
      </summary>
      <div className="prev"><Content {...props} /></div>
    </details>
  )
}

function Checked({ query }: { query: Query }) {
  const t = apply.useTexts()
  const at = query.data?.time
  if (!at) return null
  if (query.isError) return <span className="xs row nw"><i className="hx" />{t('notLive', { time: time(at) })}</span>
  return <span className="xs dim row nw"><i className="livedot" />{t('live', { time: time(at) })}</span>
}

function Content({ kind, draft, query, ready }: Props) {
  const t = apply.useTexts()
  const { data: hits, error } = query
  if (!ready) return <p className="empty">{t(kind === 'lock' ? 'chooseLocked' : 'chooseWhom')}</p>
  if (!hits) return error ? <div className="pd"><RefusalNote error={error} again={() => void query.refetch()} /></div> : <Skeleton rows={8} />
  return (
    <div className={query.isError ? 'stale' : undefined}>
      {error && <div className="pd"><RefusalNote error={error} again={() => void query.refetch()} /></div>}
      <Figures kind={kind} draft={draft} hits={hits} />
      {kind === 'freeze' && <Closed hits={hits} />}
      <Sessions kind={kind} draft={draft} hits={hits} />
      {(kind === 'lockdown' || kind === 'lock') && <People hits={hits} later={draft.later} />}
      <Stay kind={kind} later={draft.later} hits={hits} />
      {kind === 'lockdown' && <Through hits={hits} draft={draft} />}
      <footer className="xs dim">{t('foot')}{hits.digest && <> {t('digest')} <span className="mono">{hits.digest.slice(0, 8)}</span></>}</footer>
    </div>
  )
}

function Figures({ kind, draft, hits }: { kind: Kind; draft: Draft; hits: Hits }) {
  const t = apply.useTexts()
  const sessions = knows(hits, 'session-broker') ? (hits.sessions ?? 0) : undefined
  const people = knows(hits, 'identity')
  const row = (key: 'nSessions' | 'nPeople' | 'nTokens' | 'nAdmins' | 'nDevices' | 'nGroups', n: number | undefined) => <Figure key={key} n={n} label={t(key, { count: n ?? 2 })} />
  const administrators = row('nAdmins', people ? (hits.administrators?.length ?? 0) : undefined)
  return (
    <div className="nums">
      {kind === 'freeze' && row('nDevices', hits.devices ?? 0)}
      {kind === 'freeze' && row('nGroups', hits.accessGroups ?? 0)}
      {(kind !== 'freeze' || draft.endLiveSessions) && row('nSessions', sessions)}
      {kind === 'freeze' && !draft.endLiveSessions && <Figure key="none" n={0} label={t('nSessions', { count: 0 })} />}
      {kind === 'lock' && draft.target === 'accessGroups' && row('nDevices', hits.devices ?? 0)}
      {(kind === 'lockdown' || (kind === 'lock' && draft.target === 'users')) && row('nPeople', people ? (hits.signIns ?? 0) : undefined)}
      {(kind === 'lockdown' || (kind === 'lock' && draft.target === 'users')) && row('nTokens', hits.tokens ?? 0)}
      {administrators}
    </div>
  )
}

function Closed({ hits }: { hits: Hits }) {
  const t = apply.useTexts()
  return (
    <div className="pd">
      <h3>{t('groupsBlock')}<span /><Link to="/access-groups">{t('setGroups')}</Link></h3>
      {hits.accessGroups ? <Names names={hits.accessGroupNames ?? []} count={hits.accessGroups} first={4} /> : <p className="warn xs"><IconAlert className="i s" stroke={1.6} aria-hidden />{t('noGroups')}</p>}
      {(hits.devices ?? 0) > 0 && <h3 className="next">{t('devicesClosed')}</h3>}
      <Names names={hits.deviceNames ?? []} count={hits.devices ?? 0} first={6} />
    </div>
  )
}

function Sessions({ kind, draft, hits }: { kind: Kind; draft: Draft; hits: Hits }) {
  const t = apply.useTexts()
  const every = kind === 'lockdown' || (kind === 'terminate' && draft.all)
  const connectors = useConnectors(true)
  const sessions = useSessions(kind === 'freeze' && !draft.endLiveSessions ? undefined : hits.sessionNames)
  const rows = every
    ? (connectors ?? []).map((c) => [c.id ?? '', c.openSessions ?? 0] as const)
    : (hits.sessions ?? 0) === sessions.length ? counts(sessions.map((s) => s.connector ?? '')) : []
  const described = sessions.map((s) => t('on', { user: s.user, device: s.device }))
  if (kind === 'freeze' && !draft.endLiveSessions) return <div className="pd"><p className="sm mid">{t('goOn')}</p><Away hits={hits} connectors={connectors} /></div>
  return (
    <div className="pd">
      <h3>{rows.length ? t('byConnector') : t('sessions')}</h3>
      <Bars rows={rows} away={hits.unreachableConnectors ?? []} />
      <Away hits={hits} connectors={connectors} />
      <Names names={[...new Set(described)]} count={Math.max(new Set(described).size, (hits.sessions ?? 0) - described.length + new Set(described).size)} />
    </div>
  )
}

const counts = (names: string[]) => [...new Set(names)].map((name) => [name, names.filter((n) => n === name).length] as const)

const barsShown = 6

function Bars({ rows, away }: { rows: readonly (readonly [string, number])[]; away: string[] }) {
  const t = apply.useTexts()
  const sorted = rows.toSorted((a, b) => b[1] - a[1])
  const top = Math.max(1, ...rows.map(([, n]) => n))
  return (
    <ul className="cb">
      {sorted.slice(0, barsShown).map(([id, n]) => (
        <li key={id}>
          <span className="sm cut" title={id}><bdi>{id}</bdi></span>
          <span className="cbar" aria-hidden><i className={away.includes(id) ? 'unk' : ''} style={{ width: `${Math.max(n ? 3 : 0, (n / top) * 100)}%` }} /></span>
          <span className="sm r">{number(n)}</span>
        </li>
      ))}
      {sorted.length > barsShown && <li className="rest"><span className="xs dim">{t('more', { n: number(sorted.length - barsShown) })}</span></li>}
    </ul>
  )
}

/** What could not be asked, said so: it is not in the numbers. */
function Away({ hits, connectors }: { hits: Hits; connectors: ReturnType<typeof useConnectors> }) {
  const t = apply.useTexts()
  const now = useNow()
  const lines = [
    ...(hits.unreachableServices ?? []).map((name) => t('serviceAway', { name })),
    ...(hits.unreachableConnectors ?? []).map((name) => {
      const seen = connectors?.find((c) => c.id === name)?.lastSeenTime
      return seen ? t('lastHeard', { name, ago: span(now - Date.parse(seen)) }) : t('unreachable', { name })
    }),
  ]
  return lines.map((line) => <p key={line} className="xs mid away"><i className="hx" />{line}</p>)
}

function People({ hits, later }: { hits: Hits; later: boolean }) {
  const t = apply.useTexts()
  const me = useMe().name
  if (!hits.signIns && !hits.tokens) return null
  const people = [...new Set(hits.signInUsers)]
  return (
    <div className="pd">
      {!!hits.signIns && <><h3>{t('signedOut')}</h3><Names names={people.map((name) => (name === me && !later ? t('yourOther', { name }) : name))} count={people.length + hits.signIns - (hits.signInUsers?.length ?? 0)} /></>}
      {!!hits.tokens && <><h3 className={hits.signIns ? 'next' : undefined}>{t('tokensRefused')}</h3><Names names={hits.tokenNames ?? []} count={hits.tokens} /></>}
    </div>
  )
}

const shownAdministrators = 4

function Stay({ kind, later, hits }: { kind: Kind; later: boolean; hits: Hits }) {
  const t = apply.useTexts()
  const me = useMe().name
  const users = useAdministrators()
  if (!knows(hits, 'identity')) return null
  const names = (hits.administrators ?? []).toSorted((a, b) => Number(b === me) - Number(a === me))
  const shown = (name: string) => users?.find((u) => u.name === name)?.displayName || name
  const without = (users ?? []).filter((u) => u.mfa !== 'ACTIVE')
  const note = (name: string) => (kind !== 'lockdown' ? (name === me ? t('you') : '') : name === me && !later ? t('youStay') : t('signsIn'))
  const title = { lockdown: 'stay', lock: 'canAct', freeze: 'canAct', terminate: 'canActNow' } as const
  const warn = names.length === 0 ? t('noAdmin') : names.length === 1 && names[0] === me && kind !== 'terminate' ? t('alone') : ''
  return (
    <div className="pd">
      <h3>{t(title[kind])} <span>{t('working', { count: names.length })}</span></h3>
      <ul className="who">
        {names.slice(0, shownAdministrators).map((name) => (
          <li key={name}><span className="av" aria-hidden>{initials(shown(name))}</span><span className="grow cut"><bdi>{shown(name)}</bdi></span><span className="xs dim">{note(name)}</span></li>
        ))}
      </ul>
      <Names names={names.slice(shownAdministrators).map(shown)} count={names.length - shownAdministrators} first={0} />
      {warn && <p className="warn xs"><IconAlert className="i s" stroke={1.6} aria-hidden /><span>{warn}</span></p>}
      {kind !== 'terminate' && without.slice(0, 2).map((u) => (
        <p key={u.name} className="warn xs"><IconAlert className="i s" stroke={1.6} aria-hidden /><span>{t('without', { name: u.displayName || u.name })}</span></p>
      ))}
    </div>
  )
}

function Through({ hits, draft }: { hits: Hits; draft: Draft }) {
  const t = apply.useTexts()
  const users = hits.breakGlassUsers ?? []
  const tokens = hits.breakGlassTokens ?? []
  const { policy } = usePolicy()
  const called = useTokenNames(tokens)
  const note = (what: 'user' | 'token', name: string) => {
    const [own, everyones] = what === 'user' ? [draft.throughUsers, policy?.breakGlassUsers] : [draft.throughTokens, policy?.breakGlassTokens]
    return own.includes(name) && !everyones?.includes(name) ? t('thisOnly', { what: t(what) }) : t(what)
  }
  return (
    <div className="pd">
      <h3>{t('through')} <span>{t('breakGlass')}</span><Link to="/policy">{t('edit')}</Link></h3>
      {users.length + tokens.length === 0 && <p className="sm mid">{t('nobody')}</p>}
      <ul className="bg">
        {users.map((u) => <li key={`u${u}`}><IconUser className="i s" stroke={1.6} aria-hidden /><span className="mono cut"><bdi>{u}</bdi></span><span className="xs dim">{note('user', u)}</span></li>)}
        {tokens.map((u) => <li key={`t${u}`}><IconKey className="i s" stroke={1.6} aria-hidden /><span className="mono cut" title={u}><bdi>{called(u)}</bdi></span><span className="xs dim">{note('token', u)}</span></li>)}
      </ul>
    </div>
  )
}
