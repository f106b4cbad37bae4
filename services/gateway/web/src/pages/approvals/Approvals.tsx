import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { useNow } from '../../app/clock'
import { countdown, dateTime, span } from '../../app/format'
import { useMay, useMe } from '../../app/me'
import { RefusalNote } from '../../parts/Note'
import './approvals.css'
import { Decide } from './Decide'
import { words } from './text'

type Forced = { lockdown?: Schemas['ApplyLockdownRequest']; lock?: Schemas['ApplyLockRequest'] }
export type Approval = Omit<Schemas['Approval'], 'applies'> & { applies?: Forced }

const often = 3000

/** What waits for a second administrator: all of it, or what is about one emergency. Where nothing waits there is nothing to see. */
export function Approvals({ target }: { target?: string }) {
  const t = words.useTexts()
  const client = useQueryClient()
  const controls = useMay('System.EmergencyPanel.Control')
  const may = useMay('System.Read') || controls
  const [done, setDone] = useState<Approval>()
  const heading = useRef<HTMLHeadingElement>(null)
  const { data, error } = useQuery({
    queryKey: ['approvals'], queryFn: async () => (await ask(api.GET('/v1/approvals', { params: { query: { filter: 'state=PENDING' } } }))).approvals ?? [],
    enabled: may, refetchInterval: often,
  })
  const waiting = (data ?? []).filter((a) => target === undefined || a.target === target)
  if (waiting.length === 0 && !done) return error && target === undefined ? <RefusalNote error={error} /> : null
  const decided = (a: Approval) => {
    setDone(a)
    void client.invalidateQueries()
    heading.current?.focus()
  }
  return (
    <section className="card approvals" aria-labelledby="approvals">
      <header><div className="grow"><h2 id="approvals" tabIndex={-1} ref={heading}>{t(waiting.length > 0 ? 'title' : 'decided')}</h2>{waiting.length > 0 && <span className="sm dim">{t('text')}</span>}</div></header>
      <p className="sm inset" role="status" hidden={!done}>{done && t(done.state === 'DENIED' ? 'denied' : 'approved', { id: done.id })}</p>
      <ul>{waiting.map((a) => <One key={a.id} of={a} controls={controls} done={decided} here={target !== undefined} />)}</ul>
    </section>
  )
}

function One({ of, controls, done, here }: { of: Approval; controls: boolean; done: (a: Approval) => void; here: boolean }) {
  const t = words.useTexts()
  const now = useNow()
  const me = useMe().name
  const [verb, setVerb] = useState<'approve' | 'deny'>()
  const mine = of.requestedBy === me
  const against = me !== undefined && of.applies?.lock?.user === me
  const left = Date.parse(of.expireTime ?? '') - now
  const check = of.ticketCheck
  return (
    <li aria-label={of.id}>
      <div className="row g3 what">
        <b className="b"><bdi>{useAction(of)}</bdi></b>
        <span className="mono dim">{of.id}</span>
        <span className="grow" />
        <span className="sm" role="timer" aria-live="off">{t('left')} {countdown(Math.max(0, left))}</span>
      </div>
      {of.policy && <Difference of={of.policy} />}
      {of.applies && <Applies of={of.applies} />}
      <dl className="sm">
        <div><dt>{t('by')}</dt><dd><bdi>{of.requestedBy}</bdi></dd></div>
        <div><dt>{t('why')}</dt><dd><bdi>{of.justification}</bdi></dd></div>
        {of.governanceCode && <div><dt>{t('ticket')}</dt><dd><bdi className="mono">{of.governanceCode}</bdi> {check?.title && <bdi>{check.title}</bdi>}{check?.state === 'NOT_CHECKED' && <b>{t('unchecked', { why: check.why })}</b>}</dd></div>}
      </dl>
      {!here && /^[FLK]-/.test(of.target ?? '') && <Link className="sm" to="/emergencies/$id" params={{ id: of.target ?? '' }}>{of.target}</Link>}
      {!controls && !mine || against ? <p className="hint">{t(against ? 'against' : 'mayNot')}</p> : verb === undefined ? (
        <div className="row g3 arow">
          {mine ? <span className="sm mid grow">{t('mine')}</span> : <button type="button" className="btn pri" onClick={() => setVerb('approve')}>{t('approve')}</button>}
          {controls && <button type="button" className="btn" onClick={() => setVerb('deny')}>{t(mine ? 'takeBack' : 'deny')}</button>}
        </div>
      ) : <Decide of={of} verb={verb} close={() => setVerb(undefined)} done={done} mine={mine} />}
    </li>
  )
}

/** What it lets happen, in words. */
function useAction(of: Approval): string {
  const t = words.useTexts()
  if (of.act === 'cancel') return t('cancel', { target: of.target })
  if (of.act === 'apply') return of.applies?.lock ? t('applyLock', { name: of.applies.lock.user }) : t('applyLockdown')
  if (of.act === 'shorten') return t('shorten', { target: of.target, time: dateTime(of.endTime ?? '') })
  return of.act === 'policy' ? t('policy') : t('act', { detail: of.detail })
}

/** When what is forced would begin, and for how long. */
function Applies({ of }: { of: Forced }) {
  const t = words.useTexts()
  const { startTime, duration } = of.lockdown ?? of.lock ?? {}
  const through = [...(of.lockdown?.breakGlassUsers ?? []), ...(of.lockdown?.breakGlassTokens ?? [])]
  return (
    <p className="sm">
      {t(startTime ? 'startsAt' : 'startsNow', { time: dateTime(startTime ?? '') })} {duration ? t('lasts', { span: span(Number.parseFloat(duration) * 1000) }) : t('endless')}
      {' '}{through.length > 0 && <bdi>{t('through', { names: through.join(', ') })}</bdi>} {of.lockdown?.revokeTokens && t('revokes')}
    </p>
  )
}

function Difference({ of }: { of: Schemas['Policy'] }) {
  const t = words.useTexts()
  const { data: now } = useQuery({ queryKey: ['policy'], queryFn: () => ask(api.GET('/v1/policy')), staleTime: 10_000 })
  const more = [...(of.breakGlassUsers ?? []).filter((n) => !now?.breakGlassUsers?.includes(n)), ...(of.breakGlassTokens ?? []).filter((n) => !now?.breakGlassTokens?.includes(n))]
  return (
    <p className="sm">
      {now?.secondAdministrator && !of.secondAdministrator && t('policyOff')} {now?.ticketCheck === 'ON' && of.ticketCheck !== 'ON' && t('policyTickets')}
      {' '}{now && (now.governanceCode !== of.governanceCode || now.governancePattern !== of.governancePattern) && <bdi>{t(`code${of.governanceCode ?? 'OPTIONAL'}` as 'codeOPTIONAL', { pattern: of.governancePattern })}</bdi>}
      {' '}{now && more.length > 0 && <bdi>{t('policyMore', { names: more.join(', ') })}</bdi>}
    </p>
  )
}
