import type { ReactNode } from 'react'
import { number, span } from '../../app/format'
import { at } from '../reports/emergency'
import { useTokenNames } from '../reports/tokens'
import type { Report } from './Report'
import { ms } from './Section'
import { after } from './text'
import type { Zone } from './zone'

/** What one asks first, in four numbers; one that is not known says so. */
export function Figures({ of }: { of: Report }) {
  const t = after.useTexts()
  const { receipts: r, sessions: s, refusals: f, messages: m } = of
  const missing = (r?.enforcers ?? 0) - (r?.confirmed ?? 0)
  return (
    <div className="figures">
      <Figure what={t('fDoors')} value={r && t('fDoorsOf', { n: number(r.confirmed ?? 0), all: number(r.enforcers ?? 0) })}>
        {r?.medianMs !== undefined && <span>{t('fMedian', { median: ms(r.medianMs), slowest: ms(r.slowestMs) })}</span>}
        {missing > 0 && <b className="m">{t('fNot', { count: missing })}</b>}
      </Figure>
      <Figure what={t('fSessions')} value={s && number(s.total ?? 0)}>{s && Boolean(s.total) && <span>{t('fPeople', { users: number(s.users ?? 0), devices: number(s.devices ?? 0) })}</span>}</Figure>
      <Figure what={t('fRefused')} value={f && number(Number(f.total ?? 0))}>{Number(f?.others ?? 0) > 0 && <span>{t('fOthers', { n: number(Number(f?.others)) })}</span>}</Figure>
      <Figure what={t('fMessages')} value={m && number(m.total ?? 0)}>{m && Boolean(m.total) && <span>{m.failedTotal ? t('fFailed', { n: number(m.failedTotal) }) : t('fNone')}</span>}</Figure>
    </div>
  )
}

function Figure({ what, value, children }: { what: string; value: string | undefined; children: ReactNode }) {
  const t = after.useTexts()
  return (
    <div className="card figure">
      <b className={value === undefined ? 'none' : undefined}>{value ?? t('unknownFigure')}</b>
      <span className="m">{what}</span>
      <div className="xs dim">{children}</div>
    </div>
  )
}

/** Who, why, ticket, when, and what it did. */
export function Cover({ of, zone }: { of: Report; zone: Zone }) {
  const t = after.useTexts()
  const e = of.emergency ?? {}
  const names = useTokenNames(e.breakGlassTokens ?? [])
  const mono = (text: string | undefined) => <bdi className="mono">{text}</bdi>
  const through = [...(e.breakGlassUsers ?? []), ...(e.breakGlassTokens ?? []).map((id) => t('token', { name: names(id) }))]
  const facts: [string, ReactNode][] = [
    [t('why'), <bdi key="why">{e.justification || '–'}</bdi>],
    [t('ticket'), e.governanceCode ? mono(e.governanceCode) : t('noTicket')],
    [t('applied'), <bdi key="by">{t('by', { time: zone.at(e.createTime), name: e.createdBy })}</bdi>],
  ]
  if (e.kind !== 'TERMINATION') {
    facts.push([t('window'), e.endTime ? t('fromTo', { from: zone.at(e.startTime), to: zone.at(e.endTime) }) : t('endless', { from: zone.at(e.startTime) })])
    const over = e.status === 'ENDED' || e.status === 'CANCELLED'
    if (over && e.started && e.endTime) facts.push([t('held'), span(at(e.endTime) - at(e.startTime))])
  }
  if (e.selector) facts.push([t('reach'), e.selector.all ? t('everything') : <bdi key="sel">{Object.values(e.selector).flat().join(', ')}</bdi>])
  if (e.kind === 'FREEZE') {
    if (e.blockedDevices !== undefined) facts.push([t('closed'), t('closedText', { devices: number(e.blockedDevices), groups: number(e.blockedAccessGroups ?? 0) })])
    facts.push([t('endsLive'), t(e.endLiveSessions ? 'yes' : 'no')])
  }
  if (e.kind === 'LOCKDOWN') facts.push([t('through'), <bdi key="through">{through.join(', ') || t('nobody')}</bdi>], [t('tokens'), t(e.revokeTokens ? 'revoked' : 'notRevoked')])
  if (e.cancelTime) {
    facts.push([t('cancelled'), <bdi key="cancelled">{t('by', { time: zone.at(e.cancelTime), name: e.cancelledBy })}</bdi>], [t('cancelWhy'), <bdi key="cw">{e.cancelJustification || '–'}</bdi>])
    if (e.cancelGovernanceCode) facts.push([t('cancelTicket'), mono(e.cancelGovernanceCode)])
  }
  facts.push([t('revision'), mono(e.revision)])
  if (e.digest) facts.push([t('digest'), mono(e.digest)])
  return <div className="card cover"><dl className="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl></div>
}
