import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { api, ask } from '../../api/client'
import { dateTime, durationOf, number, span, utc } from '../../app/format'
import type { Emergency } from '../../app/posture'
import { at } from './emergency'
import { useTokenNames } from './tokens'
import { reports } from './text'

type Fact = [name: string, value: ReactNode]

const mono = (text: string) => <span className="mono">{text}</span>
/** In the reader's zone, and in the one that all share. */
function moment(time: string) {
  const same = new Date(time).getTimezoneOffset() === 0
  return <>{dateTime(time)} <span className="xs dim">{same ? 'UTC' : utc(time)}</span></>
}

const long = 400

/** What somebody wrote, of which a long one shows its beginning first. */
function Long({ text }: { text: string }) {
  const t = reports.useTexts()
  const [whole, show] = useState(false)
  if (text.length <= long) return <bdi>{text}</bdi>
  return (
    <>
      <bdi className={whole ? undefined : 'begins'}>{text}</bdi>
      <button type="button" className="btn quiet sm" aria-expanded={whole} onClick={() => show(!whole)}>{t(whole ? 'showLess' : 'showWhole')}</button>
    </>
  )
}

/** Who, why, ticket, when, and what proves it. */
export function Facts({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  const facts: Fact[] = [
    [t('why'), <Long key="why" text={of.justification || '–'} />],
    [t('who'), <bdi key="who">{of.createdBy}</bdi>],
    [t('ticket'), of.governanceCode ? <Checked key="ticket" code={of.governanceCode} check={of.ticketCheck} /> : t('noTicket')],
    ...useTimes(of),
    ...useReach(of),
    [t('public'), of.justificationPublic ? t('yes') : t('no')],
    ...useCancelled(of),
    [t('revision'), mono(of.revision ?? '')],
    [t('digest'), of.digest ? mono(of.digest) : t('noDigest')],
    ...(of.notCompared?.length ? [[t('notCompared'), mono(of.notCompared.join(', '))] as Fact] : []),
  ]
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function useTimes(of: Emergency): Fact[] {
  const t = reports.useTexts()
  const facts: Fact[] = []
  if (of.createTime) facts.push([t('applied'), moment(of.createTime)])
  if (of.kind === 'TERMINATION') return facts
  if (of.startTime && of.startTime !== of.createTime) facts.push([at(of.startTime) && of.status === 'PENDING' ? t('starts') : t('began'), moment(of.startTime)])
  if (of.endTime && !(of.status === 'CANCELLED' && !of.started)) {
    facts.push([of.status === 'ENDED' || of.status === 'CANCELLED' ? t('ended') : t('until'), moment(of.endTime)])
    const held = at(of.endTime) - at(of.startTime)
    const planned = durationOf(of.duration)
    facts.push([t('length'), span(held)])
    if (Math.abs(planned - held) > 1000) facts.push([t('planned'), span(planned)])
  }
  return facts
}

function useReach(of: Emergency): Fact[] {
  const t = reports.useTexts()
  const facts: Fact[] = []
  const yes = (value: boolean | undefined) => (value ? t('yes') : t('no'))
  if (of.kind === 'TERMINATION' || of.kind === 'LOCK') facts.push([t(of.kind === 'LOCK' ? 'locks' : 'whom'), <Selected key="whom" of={of} />])
  if (of.kind === 'FREEZE') {
    if (of.blockedDevices !== undefined) facts.push([t('blocks'), `${t('nDevices', { count: of.blockedDevices, n: number(of.blockedDevices) })}, ${t('nGroups', { count: of.blockedAccessGroups ?? 0 })}`])
    facts.push([t('endsLive'), yes(of.endLiveSessions)])
  }
  if (of.kind === 'LOCKDOWN') facts.push([t('through'), <Through key="through" of={of} />], [t('revokes'), yes(of.revokeTokens)])
  if (of.forcedWith) facts.push([t('forcedWith'), <bdi key="forced">{of.forcedWith}</bdi>])
  if (of.ended !== undefined) {
    facts.push([t('result'), t('resultText', { ended: number(of.ended), open: number(of.open ?? 0), unreachable: number(of.unreachable ?? 0) })])
  }
  return facts
}

function useCancelled(of: Emergency): Fact[] {
  const t = reports.useTexts()
  const approved: Fact[] = of.approvedBy ? [[t('approvedBy'), <bdi key="approved">{of.approvedBy}</bdi>]] : []
  if (!of.cancelTime) return approved
  const facts: Fact[] = [
    [t('cancelled'), <span key="cancelled"><bdi>{of.cancelledBy}</bdi>, {moment(of.cancelTime)}</span>],
    [t('cancelWhy'), <Long key="why" text={of.cancelJustification || '–'} />],
  ]
  if (of.cancelGovernanceCode) facts.push([t('cancelTicket'), <Checked key="cancelTicket" code={of.cancelGovernanceCode} check={of.cancelTicketCheck} />])
  return [...facts, ...approved]
}

/** A governance code, with what the ticket system said of it. */
function Checked({ code, check }: { code: string; check: Emergency['ticketCheck'] }) {
  const t = reports.useTexts()
  return <>{mono(code)} <bdi>{check?.title}</bdi>{check?.state === 'NOT_CHECKED' && <b>{t('notChecked', { why: check.why })}</b>}</>
}

/** Whom a lockdown lets through: its own, and while it is on or to come the policy's of now. */
function Through({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  const open = of.status === 'PENDING' || of.status === 'ONGOING'
  const { data: policy } = useQuery({ queryKey: ['policy'], queryFn: () => ask(api.GET('/v1/policy')), enabled: open, staleTime: 10_000 })
  const called = useTokenNames([...(of.breakGlassTokens ?? []), ...((open && policy?.breakGlassTokens) || [])])
  const list = (users: string[] | undefined, tokens: string[] | undefined) => [...(users ?? []), ...(tokens ?? []).map((id) => t('tokenNamed', { name: called(id) }))].map((name, i) => <span key={name}>{i > 0 && ', '}<bdi>{name}</bdi></span>)
  const own = list(of.breakGlassUsers, of.breakGlassTokens)
  const everyones = open ? list(policy?.breakGlassUsers, policy?.breakGlassTokens) : []
  return (
    <>
      <div>{own.length ? own : t('nobodyBesides')}</div>
      <div className="xs dim">{everyones.length ? <>{t('policyToo')} {everyones}</> : t('policyList')}</div>
    </>
  )
}

function Selected({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  const s = of.selector
  if (s?.all) return t('everything')
  const named = [
    [t('users'), s?.users], [t('selDevices'), s?.devices], [t('groups'), s?.accessGroups], [t('connectors'), s?.connectors], [t('protocols'), s?.protocols],
  ] as const
  return (
    <>
      {named.filter(([, names]) => names?.length).map(([what, names]) => (
        <div key={what}><span className="dim">{what}</span> <bdi>{names?.join(', ')}</bdi></div>
      ))}
    </>
  )
}
