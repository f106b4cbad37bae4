import type { ReactNode } from 'react'
import { Link } from '@tanstack/react-router'
import { useNow } from '../../app/clock'
import { countdown, dateTime, number, span, time, zone } from '../../app/format'
import { useIsAdministrator } from '../../app/me'
import { type Emergency, ongoing, type Posture, usePosture } from '../../app/posture'
import { StatusChip } from '../../parts/Chip'
import { type Bar, Gate } from '../../parts/Gate'
import { Skeleton } from '../../parts/Note'
import { sequenceOf, type Sums, useEnforcers, useReceipts } from './data'
import { more } from './Enforcers'
import { words } from './text'

const end = (e: Emergency) => Date.parse(e.endTime ?? '')
const start = (e: Emergency) => Date.parse(e.startTime ?? '')

/** The posture sentence, or the emergency that is on. */
export function Hero() {
  const { posture } = usePosture()
  const now = useNow()
  const lockdowns = ongoing(posture, 'LOCKDOWN', now)
  const freezes = ongoing(posture, 'FREEZE', now).sort((a, b) => end(b) - end(a))
  const locks = ongoing(posture, 'LOCK', now)
  const [on, ...others] = [...lockdowns, ...freezes]
  if (!posture) return <section className="card"><Skeleton rows={3} /></section>
  return on ? <Emergency_ on={on} others={[...others, ...locks]} now={now} posture={posture} /> : <Calm posture={posture} now={now} locks={locks} />
}

function GateBox({ bars, label, children }: { bars: Bar[]; label: string; children: ReactNode }) {
  return (
    <div className="gatebox">
      <Gate bars={bars} label={label} />
      <p className="xs dim gcap" aria-hidden>{children}</p>
    </div>
  )
}

function Calm({ posture, now, locks }: { posture: Posture; now: number; locks: Emergency[] }) {
  const t = words.useTexts()
  const { list, sums, may } = useEnforcers()
  const behind = sums ? sums.all - sums.current : 0
  const silent = sums?.stale ?? 0
  const bars = sums?.omitted ? t('gateSome', { count: list?.length, more: more(sums, t) }) : t('gate', { count: list?.length })
  const caption = list && `${bars} ${silent ? t('silent', { count: silent }) : t('raised')}`
  return (
    <section className={`card hero${may ? '' : ' alone'}`}>
      <div>
        <h1 className="hh">{locks.length > 0 ? t('someLocked', { count: locks.length }) : t('allOpen')}</h1>
        <p className="mid hp">
          {t('none')}{' '}
          {list && list.length > 0 && (behind ? t('behind', { count: behind, of: sums?.all }) : t('same', { revision: number(sequenceOf(posture.revision)) }))}
        </p>
        {locks.length > 0 && <Others of={locks} now={now} />}
        <Facts posture={posture} now={now} sums={sums} may={may} />
      </div>
      {list && list.length > 0 && (
        <GateBox bars={list.map((e) => (e.stand === 'stale' ? 'unknown' : 'open'))} label={caption ?? ''}>{caption}</GateBox>
      )}
    </section>
  )
}

/** Numbers before prose. A number that is not known is not shown as one. */
function Facts({ posture, now, sums, may }: { posture: Posture; now: number; sums?: Sums; may: boolean }) {
  const t = words.useTexts()
  const next = (posture.emergencies ?? []).filter((e) => start(e) > now).sort((a, b) => start(a) - start(b))[0]
  const unheard = sums?.unheard ?? 0
  return (
    <dl className="facts">
      {may && (
        <Fact name={t('sessionsFact')} small={unheard > 0 && t('unheard', { count: unheard })}>{sums ? number(sums.sessions) : '…'}</Fact>
      )}
      {may && <Fact name={t('enforcersFact')} small={sums && t('of', { count: sums.all })}>{sums ? number(sums.current) : '…'}</Fact>}
      {next ? (
        <Fact name={t('next')} small={t(`next_${(next.kind ?? 'FREEZE') as 'FREEZE'}`, { id: next.id })}>{span(start(next) - now)}</Fact>
      ) : (
        <Fact name={t('next')}><span className="plain">{t('nextNone')}</span></Fact>
      )}
    </dl>
  )
}

function Fact({ name, small, children }: { name: string; small?: ReactNode; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}{small && <> <small>{small}</small></>}</dd>
    </div>
  )
}

const barOf = { CONFIRMED: 'confirmed', WAITING: 'waiting', UNREACHABLE: 'unknown', MISSING: 'unknown', STATE_UNSPECIFIED: 'unknown' } as const

function Emergency_({ on, others, now, posture }: { on: Emergency; others: Emergency[]; now: number; posture: Posture }) {
  const t = words.useTexts()
  const { sums, may } = useEnforcers()
  const { data: receipts } = useReceipts(on.id)
  const { told = [], all: of = 0, confirmed = 0, waiting = 0, omitted = 0, omittedNot: not = 0 } = receipts ?? {}
  const unreachable = of - confirmed - waiting
  const all = of > 0 && confirmed === of
  const locked = on.kind === 'LOCKDOWN'
  const caption = [
    t('confirmed', { count: confirmed, of }),
    waiting > 0 && t('waiting', { count: waiting }),
    unreachable > 0 && t('unreachable', { count: unreachable }),
    omitted > 0 && t('barsOf', { count: told.length, more: not ? t('moreNotConfirmed', { count: omitted, not }) : t('moreConfirmed', { count: omitted }) }),
  ].filter(Boolean).join(', ')
  return (
    <section className={`card hero ${locked ? 'shut' : 'froze'}${of ? '' : ' alone'}`}>
      <div>
        <div className="row g3 wrap"><h1 className="hh">{t(!locked ? 'frozen' : all ? 'lockedDownAll' : 'lockedDown')}</h1><StatusChip of={on} /></div>
        <About on={on} />
        <Ends on={on} now={now} />
        {others.length > 0 && <Others of={others} now={now} />}
        <Facts posture={posture} now={now} sums={sums} may={may} />
      </div>
      {of > 0 && <GateBox bars={told.map((r) => barOf[r.state ?? 'STATE_UNSPECIFIED'])} label={caption}>{caption}</GateBox>}
    </section>
  )
}

function About({ on }: { on: Emergency }) {
  const t = words.useTexts()
  const text = on.kind === 'LOCKDOWN' ? t('lockdownFor') : on.endLiveSessions ? t('freezeEnds') : t('freezeFor')
  return (
    <>
      <p className="mid hp">
        {t('by')} <bdi>{on.createdBy}</bdi>{on.governanceCode && <>, <bdi className="mono">{on.governanceCode}</bdi></>}. {text}
      </p>
      {on.justification && <p className="why"><bdi>{on.justification}</bdi></p>}
    </>
  )
}

function Ends({ on, now }: { on: Emergency; now: number }) {
  const t = words.useTexts()
  const left = end(on) - now
  const administrator = useIsAdministrator()
  const near = left < 20 * 3600_000
  return (
    <div className="ends">
      <div>
        <p className="xs dim">{t('lifts', { time: `${near ? time(end(on)) : dateTime(end(on))} ${zone(end(on))}` })}</p>
        <p className="big" role="timer">{countdown(left)}</p>
      </div>
      <Link to="/emergencies/$id" params={{ id: on.id ?? '' }} className={`btn big${administrator ? ' pri' : ''}`}>{t('open', { id: on.id })}</Link>
    </div>
  )
}

function Others({ of, now }: { of: Emergency[]; now: number }) {
  const t = words.useTexts()
  return (
    <ul className="others sm" aria-label={t('alsoOn', { count: of.length })}>
      {of.slice(0, 4).map((e) => (
        <li key={e.id} className="row">
          <StatusChip of={e} />
          <Link to="/emergencies/$id" params={{ id: e.id ?? '' }}>{e.id}</Link>
          <bdi className="cut mid">{e.justification}</bdi>
          <span className="nw mid">{e.endTime ? countdown(end(e) - now) : t('untilLifted')}</span>
        </li>
      ))}
    </ul>
  )
}
