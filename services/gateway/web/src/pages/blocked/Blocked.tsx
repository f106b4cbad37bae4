import './blocked.css'
import IconInfo from '@tabler/icons-react/dist/esm/icons/IconInfoCircle.mjs'
import { Link } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { useNow } from '../../app/clock'
import { longDateTime, time, utc, zone } from '../../app/format'
import { type Emergency, ongoing, usePosture } from '../../app/posture'
import { Brand } from '../../app/Shell'
import { shell } from '../../app/text'
import { useTitle } from '../../app/title'
import { Corner } from '../sign-in/Corner'
import { Left } from './Left'
import { blocked } from './text'

/** What everybody but administrators sees during a lockdown. It goes by itself when the lockdown does. */
export function Blocked({ until }: { until: number }) {
  const t = blocked.useTexts()
  const of = useLockdown()
  const heading = useRef<HTMLHeadingElement>(null)
  useTitle(t('title'))
  // The page that one was on has gone: who listens to the screen is told by the heading.
  useEffect(() => heading.current?.focus(), [])
  return (
    <div className="lk">
      <header className="ltop">
        <div className="brand"><Brand />Portcullis</div>
        <Corner />
      </header>
      <main className="lbody">
        <ShutGate />
        <h1 ref={heading} tabIndex={-1}>{t('title')}</h1>
        <p>{of ? t('closedAt', { time: time(of.startTime ?? '') }) : t('closed')} {t('ended')} {t('fault')}</p>
        <Left until={until} />
        <Until until={until} />
        <div className="lnote row"><IconInfo className="i acc" stroke={1.6} aria-hidden /><span>{t('then')}</span></div>
        <Why of={of} />
        <Lost />
      </main>
      <footer className="lft xs dim">
        <span>{of?.id && t('emergency', { id: of.id })}</span>
        <Link to="/sign-in">{t('administrators')}</Link>
      </footer>
    </div>
  )
}

/** The lockdown that is on, as far as this person ever heard of it: who is signed out is told no more than its end. */
function useLockdown(): Emergency | undefined {
  const { posture } = usePosture()
  const heard = useRef<Emergency>(undefined)
  const now = useNow()
  heard.current = ongoing(posture, 'LOCKDOWN', now)[0] ?? heard.current
  return heard.current
}

function Until({ until }: { until: number }) {
  const t = blocked.useTexts()
  const here = zone(until)
  return (
    <p className="un">
      {t('until')} <b>{longDateTime(until)}</b> {here === 'UTC' ? here : t('zones', { zone: here, utc: utc(until) })}
    </p>
  )
}

function Why({ of }: { of: Emergency | undefined }) {
  const t = blocked.useTexts()
  if (!of?.justificationPublic || !of.justification) return null
  return <p className="lwhy"><span className="dim">{t('why')}:</span> <bdi>{of.justification}</bdi></p>
}

function Lost() {
  const t = shell.useTexts()
  const { lostSince } = usePosture()
  return lostSince ? <p className="xs" role="status">{t('notLive', { time: time(lostSince) })}</p> : null
}

const bars = Array.from({ length: 9 }, (_, i) => 26.2 + i * 24.45)

/** A picture, not a count: which doors confirmed is not for those whom they shut out. */
function ShutGate() {
  return (
    <svg className="lgate" viewBox="0 0 248 116" aria-hidden="true">
      <path d="M8 108.5H240" stroke="var(--pc-line-strong)" strokeWidth="1.5" />
      {bars.map((x) => <path key={x} d={`M${x - 3} 12V101l3 5l3 -5V12z`} fill="var(--pc-closed-solid)" />)}
      <path d="M9 12V108M239 12V108" stroke="var(--pc-line-strong)" strokeWidth="3" />
      <path d="M12 46.6H236M12 75.4H236" stroke="var(--pc-closed-solid)" strokeWidth="4" />
      <rect x="6" y="4" width="236" height="10" rx="3" fill="var(--pc-ink)" />
    </svg>
  )
}
