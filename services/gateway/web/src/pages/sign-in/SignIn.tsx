import './sign-in.css'
import IconLock from '@tabler/icons-react/dist/esm/icons/IconLock.mjs'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { useNow } from '../../app/clock'
import { countdown, dateTime, time } from '../../app/format'
import { lockdownUntil, usePosture } from '../../app/posture'
import { Brand } from '../../app/Shell'
import { shell } from '../../app/text'
import { useTitle } from '../../app/title'
import { useFarewell } from '../account/farewell'
import { RecoveryCodes } from '../account/RecoveryCodes'
import { CodeStep } from './CodeStep'
import { Corner } from './Corner'
import { NameStep } from './NameStep'
import { ProviderLink, providerProblem, useProvider } from './Provider'
import { signIn } from './text'
import { useEnter } from './useEnter'

/** The way in: the password first, the code when it takes one. Open in a lockdown too, to administrators. */
export function SignIn() {
  const t = signIn.useTexts()
  useTitle(t('title'))
  return (
    <div className="si">
      <LockedBanner />
      <header className="row"><span className="grow" /><Corner /></header>
      <main>
        <div className="sform">
          <div className="brand"><Brand />Portcullis</div>
          <Farewell />
          <Steps />
        </div>
      </main>
    </div>
  )
}

function Steps() {
  const search = useSearch({ strict: false }) as Record<string, string | undefined>
  return search.via === 'code' ? <ProviderCode /> : <Password search={search} />
}

/** The code that follows the provider's word. */
function ProviderCode() {
  const t = signIn.useTexts()
  const go = useNavigate()
  const provider = useProvider()
  const enter = useEnter(() => {})
  return (
    <CodeStep
      name={provider ?? ''} lead={t('providerLead')} error={enter.error} busy={enter.isPending} back={() => void go({ to: '/sign-in', search: {}, replace: true })} forget={enter.reset}
      enter={(code, recovery) => enter.mutate({ code, recovery })}
    />
  )
}

function Password({ search }: { search: Record<string, string | undefined> }) {
  const t = signIn.useTexts()
  const [brought, forgetBrought] = useState(() => providerProblem(search))
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [asked, setAsked] = useState(false)
  const enter = useEnter(() => setAsked(true))
  const { error } = enter
  if (asked) {
    const back = () => {
      enter.reset()
      setPassword('')
      setAsked(false)
    }
    return (
      <CodeStep
        name={name} lead={t('codeLead')} error={error} busy={enter.isPending} back={back} forget={enter.reset}
        enter={(code, recovery) => enter.mutate({ username: name, password, code, recovery })}
      />
    )
  }
  const change = <T,>(set: (value: T) => void) => (value: T) => {
    if (enter.isError) enter.reset()
    forgetBrought(undefined)
    set(value)
  }
  return (
    <NameStep
      name={name} password={password} setName={change(setName)} setPassword={change(setPassword)}
      error={error ?? brought} busy={enter.isPending} other={<ProviderLink to={search.to} />}
      enter={() => {
        forgetBrought(undefined)
        enter.mutate({ username: name, password })
      }}
    />
  )
}

/** What was so before one types: a lockdown, and for how long. */
function LockedBanner() {
  const t = signIn.useTexts()
  const lost = shell.useTexts()
  const now = useNow()
  const { posture, lostSince } = usePosture()
  const until = lockdownUntil(posture, now)
  if (!until) return null
  const today = until - now < 12 * 3600_000
  return (
    <div className="bnr" role="status">
      <IconLock className="i" stroke={1.6} aria-hidden />
      <div className="grow">
        <b>{t('lockedUntil', { time: today ? time(until) : dateTime(until) })}</b> {t('lockedWho')}
        {lostSince && <> {lost('notLive', { time: time(lostSince) })}</>}
      </div>
      <b className="tm" role="timer" aria-live="off">{countdown(until - now)}</b>
    </div>
  )
}

/** Why one is here again, when a change of one's own account ended the sign-in. */
function Farewell() {
  const t = signIn.useTexts()
  const farewell = useFarewell()
  if (!farewell) return null
  return (
    <>
      <div className="note" role="status">{farewell.why === 'password' ? t('passwordChanged') : t('factorReplaced')}</div>
      {farewell.why === 'factor' && <div className="card kept"><RecoveryCodes user={farewell.user} codes={farewell.codes} usable={farewell.usable} /></div>}
    </>
  )
}
