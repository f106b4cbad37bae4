import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import IconClock from '@tabler/icons-react/dist/esm/icons/IconClock.mjs'
import { useQuery } from '@tanstack/react-query'
import { useLocation, useNavigate } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { api, ask } from '../../api/client'
import { dateTime } from '../../app/format'
import { useMay, useMe } from '../../app/me'
import { Enrol } from './Enrol'
import { type Enrolled, Scan } from './Scan'
import { RecoveryCodes } from './RecoveryCodes'
import { account } from './text'

type Step = { at: 'rest' } | { at: 'prove' } | { at: 'scan'; enrolled: Enrolled; replaces: boolean } | { at: 'codes'; codes: string[]; usable?: string }

/** One's own MFA: how it stands, and the way to a new app. */
export function Mfa() {
  const t = account.useTexts()
  const me = useMe()
  const [step, setStep] = useState<Step>({ at: 'rest' })
  const rest = () => setStep({ at: 'rest' })
  const active = me.mfa === 'ACTIVE'
  return (
    <section className="card" id="mfa" aria-labelledby="acct-mfa">
      <header><h2 className="grow" id="acct-mfa">{t('mfa')}</h2><State /></header>
      <div className="body">
        {step.at === 'rest' && <Rest start={() => setStep({ at: 'prove' })} />}
        {step.at === 'prove' && <Enrol replaces={active} cancel={rest} done={(enrolled) => setStep({ at: 'scan', enrolled, replaces: active })} />}
        {step.at === 'scan' && <Scan {...step} cancel={rest} done={(codes, usable) => setStep({ at: 'codes', codes, usable })} />}
        {step.at === 'codes' && <RecoveryCodes user={me.name ?? ''} codes={step.codes} usable={step.usable} done={rest} />}
      </div>
    </section>
  )
}

function State() {
  const t = account.useTexts()
  const { mfa } = useMe()
  if (mfa === 'ACTIVE') return <span className="chip acc"><IconCheck className="i" stroke={1.8} aria-hidden />{t('active')}</span>
  if (mfa === 'PENDING') return <span className="chip pend"><IconClock className="i" stroke={1.8} aria-hidden />{t('pending')}</span>
  return <span className="chip plain">{t('none')}</span>
}

function Rest({ start }: { start: () => void }) {
  const t = account.useTexts()
  const me = useMe()
  const controls = useMay('System.EmergencyPanel.Control')
  const active = me.mfa === 'ACTIVE'
  const button = useRef<HTMLButtonElement>(null)
  const { data } = useQuery({
    queryKey: ['account', 'codes', me.mfaTime],
    queryFn: () => ask(api.GET('/v1/users/{name}', { params: { path: { name: 'me' } } })),
    enabled: active,
  })
  const left = data?.recoveryCodesLeft
  return (
    <>
      <Offer active={active} focus={() => button.current?.focus()} />
      {active ? (
        <p className="sm">
          {me.mfaTime && t('activeSince', { time: dateTime(me.mfaTime) })}
          {left !== undefined && <span className="mid"> · {t('left', { count: left })}. {t('leftHint')}</span>}
        </p>
      ) : (
        <p className="sm mid">{t('noneText')} {controls && t('panelText')}</p>
      )}
      <div><button ref={button} type="button" className={active ? 'btn' : 'btn pri'} onClick={start}>{active ? t('replace') : t('setUp')}</button></div>
    </>
  )
}

/** What the sign-in led here for. It is offered: one may go on without. */
function Offer({ active, focus }: { active: boolean; focus: () => void }) {
  const t = account.useTexts()
  const go = useNavigate()
  const enroll = (useLocation().search as { enroll?: unknown }).enroll
  const why = enroll === 'recovery' && active ? 'lost' : enroll !== undefined && !active ? 'offer' : undefined
  useEffect(() => {
    if (why) focus()
    // Once, on arrival.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [why])
  if (!why) return null
  return (
    <div className="note offer" role="status">
      <div><b>{t(why === 'lost' ? 'lostTitle' : 'offerTitle')}</b> {t(why === 'lost' ? 'lostText' : 'offerText')}</div>
      <button type="button" className="btn sm quiet" onClick={() => void go({ to: '/account', search: {}, replace: true })}>{t('later')}</button>
    </div>
  )
}
