import IconAlert from '@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs'
import IconShield from '@tabler/icons-react/dist/esm/icons/IconShieldLock.mjs'
import IconSnowflake from '@tabler/icons-react/dist/esm/icons/IconSnowflake.mjs'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useNow } from './clock'
import { moreClocks, stuck, useDoors, wrongClocks } from './doors'
import { countdown, span, time } from './format'
import { useIsAdministrator, useMay, useMe } from './me'
import { ongoing, usePosture } from './posture'
import { shell } from './text'

const journals = { FULL: 'journalFull', UNREACHABLE: 'journalAway', BROKEN: 'journalBroken' } as const

/** Tells a person which of their devices a freeze closes, on whatever page they are (C3). */
export function FrozenNote() {
  const t = shell.useTexts()
  const now = useNow()
  const { posture } = usePosture()
  const administrator = useIsAdministrator()
  const frozen = posture?.frozenDevices ?? []
  const until = Math.max(0, ...ongoing(posture, 'FREEZE', now).map((e) => Date.parse(e.endTime ?? '')))
  if (administrator || !until || frozen.length === 0) return null
  return (
    <div className="note frozen" role="status">
      <IconSnowflake className="i" stroke={1.6} aria-hidden />
      <div>
        <b>{t('frozenTitle', { count: frozen.length, until: time(until) })}</b> {t('frozenText')} <bdi>{frozen.slice(0, 8).join(', ')}</bdi>
        {frozen.length > 8 && ` ${t('andMore', { count: frozen.length - 8 })}`}
      </div>
      <span className="left" role="timer" aria-live="off">{countdown(until - now)}</span>
    </div>
  )
}

const askAgain = 5000

/** Tells who may use the panel that nothing new can be put on record, why, and what can be done all the same (H7, E9). */
export function TroubleNote({ at }: { at: string }) {
  const t = shell.useTexts()
  const controls = useMay('System.EmergencyPanel.Control')
  const { data } = useDoors(controls, askAgain)
  const journal = stuck(data)
  const clocks = wrongClocks(data)
  const more = moreClocks(data)
  if (!controls || !(journal || clocks.length)) return null
  const say = ({ name, ahead }: { name: string; ahead: number }) => t(ahead > 0 ? 'clockFast' : 'clockSlow', { name: `\u2068${name}\u2069`, span: span(Math.abs(ahead)) })
  return (
    <div className="note refusal" role="alert">
      <IconAlert className="i" stroke={1.6} aria-hidden />
      <div>
        <b>{journal ? t(journals[journal]) : t('clocksTitle')}</b>{' '}
        {journal ? t(journal === 'BROKEN' ? 'journalBrokenText' : 'journalText') : <>{[...clocks.map(say), ...(more ? [t('andMore', { count: more })] : [])].join(', ')}. {t('clocksText')}</>}
      </div>
      {at !== '/emergency/hold' && <Link to="/emergency/hold" className="btn sm">{t('hold')}</Link>}
    </div>
  )
}

const put = 'portcullis.mfa-note' // aside, until the tab or the sign-in ends

/** Tells who may use the panel, before they need it, that it takes an MFA (A2). */
export function MfaNote({ at }: { at: string }) {
  const t = shell.useTexts()
  const administrator = useIsAdministrator()
  const controls = useMay('System.EmergencyPanel.Control')
  const lacks = useMe().mfa !== 'ACTIVE'
  const [aside, setAside] = useState(() => sessionStorage.getItem(put) !== null)
  // There the page itself says it.
  const there = at === '/account' || at.startsWith('/emergency/')
  if (!lacks || aside || there || !(administrator || controls)) return null
  return (
    <div className="note" role="status">
      <IconShield className="i acc" stroke={1.6} aria-hidden />
      <div><b>{t('mfaTitle')}</b> {t('mfaText')} <Link to="/account" search={{ enroll: '1' }}>{t('mfaEnrol')}</Link></div>
      <button
        type="button" className="btn sm quiet"
        onClick={() => {
          sessionStorage.setItem(put, '1')
          setAside(true)
          document.getElementById('main')?.focus()
        }}
      >
        {t('mfaLater')}
      </button>
    </div>
  )
}
