import type { ReactNode } from 'react'
import { dateTime, durationOf, number, span, utc } from '../../app/format'
import type { Emergency } from '../../app/posture'
import { at } from './emergency'
import { reports } from './text'

type Fact = [name: string, value: ReactNode]

const mono = (text: string) => <span className="mono">{text}</span>
/** In the reader's zone, and in the one that all share. */
function moment(time: string) {
  const same = new Date(time).getTimezoneOffset() === 0
  return <>{dateTime(time)} <span className="xs dim">{same ? 'UTC' : utc(time)}</span></>
}

/** Who, why, ticket, when, and what proves it. */
export function Facts({ of }: { of: Emergency }) {
  const t = reports.useTexts()
  const facts: Fact[] = [
    [t('why'), <bdi key="why">{of.justification || '–'}</bdi>],
    [t('who'), <bdi key="who">{of.createdBy}</bdi>],
    [t('ticket'), of.governanceCode ? mono(of.governanceCode) : t('noTicket')],
    ...useTimes(of),
    ...useReach(of),
    [t('public'), of.justificationPublic ? t('yes') : t('no')],
    ...useCancelled(of),
    [t('revision'), mono(of.revision ?? '')],
    [t('digest'), of.digest ? mono(of.digest) : t('noDigest')],
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
  if (of.kind === 'TERMINATION') facts.push([t('whom'), <Selected key="whom" of={of} />])
  if (of.kind === 'FREEZE') facts.push([t('endsLive'), yes(of.endLiveSessions)])
  if (of.kind === 'LOCKDOWN') {
    facts.push([t('letsThrough'), <bdi key="users">{of.breakGlassUsers?.join(', ') || t('noTicket')}</bdi>])
    facts.push([t('letsTokens'), <bdi key="tokens">{of.breakGlassTokens?.join(', ') || t('noTicket')}</bdi>])
    facts.push([t('revokes'), yes(of.revokeTokens)])
  }
  if (of.ended !== undefined) {
    facts.push([t('result'), t('resultText', { ended: number(of.ended), open: number(of.open ?? 0), unreachable: number(of.unreachable ?? 0) })])
  }
  return facts
}

function useCancelled(of: Emergency): Fact[] {
  const t = reports.useTexts()
  if (!of.cancelTime) return []
  const facts: Fact[] = [
    [t('cancelled'), <span key="cancelled"><bdi>{of.cancelledBy}</bdi>, {moment(of.cancelTime)}</span>],
    [t('cancelWhy'), <bdi key="why">{of.cancelJustification || '–'}</bdi>],
  ]
  if (of.cancelGovernanceCode) facts.push([t('cancelTicket'), mono(of.cancelGovernanceCode)])
  return facts
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
