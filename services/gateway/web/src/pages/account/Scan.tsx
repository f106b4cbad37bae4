import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { countdown } from '../../app/format'
import { useMe, useSetMe } from '../../app/me'
import { newId } from '../../app/id'
import { CodeInput } from '../../parts/CodeInput'
import { Problem, usePause } from '../sign-in/Problem'
import { bidFarewell } from './farewell'
import { CopyButton } from './RecoveryCodes'
import { account } from './text'

/** A secret that waits for its first code. It is in this page's memory only. */
export type Enrolled = { uri: string; qr: string }

const secretOf = (uri: string) => /[?&]secret=([A-Z2-7]+)/i.exec(uri)?.[1] ?? ''

/** Shows the secret to an app, and takes the first code of it. */
export function Scan({ enrolled, replaces, cancel, done }: { enrolled: Enrolled; replaces: boolean; cancel: () => void; done: (codes: string[], usable?: string) => void }) {
  const t = account.useTexts()
  const secret = secretOf(enrolled.uri)
  return (
    <>
      <div className="scan">
        <img src={`data:image/png;base64,${enrolled.qr}`} width={200} height={200} alt={t('qr')} />
        <div>
          <h3 className="b">{t('scan')}</h3>
          <p className="sm mid">{t('scanText')}</p>
          <p className="lab sec">{t('secret')}</p>
          <p className="mono secret">{secret.match(/.{1,4}/g)?.join(' ')}</p>
          <div className="row wrap">
            <CopyButton text={secret} />
            <a className="sm" href={enrolled.uri}>{t('open')}</a>
          </div>
        </div>
      </div>
      <FirstCode replaces={replaces} cancel={cancel} done={done} />
    </>
  )
}

function useActivate(replaces: boolean, done: (codes: string[], usable?: string) => void) {
  const me = useMe()
  const set = useSetMe()
  return useMutation({
    mutationFn: (code: string) => ask(api.POST('/v1/users/{name}/mfa:activate', { params: { path: { name: 'me' } }, body: { code, requestId: newId() } })),
    onSuccess: (answer) => {
      const codes = answer.recoveryCodes ?? []
      if (replaces) {
        // The sign-in was made with the old app, and is over: the sign-in page shows the codes.
        bidFarewell({ why: 'factor', user: me.name ?? '', codes, usable: answer.usableTime })
        return set(null)
      }
      done(codes, answer.usableTime)
      if (answer.user) set(answer.user)
    },
  })
}

function FirstCode({ replaces, cancel, done }: { replaces: boolean; cancel: () => void; done: (codes: string[], usable?: string) => void }) {
  const t = account.useTexts()
  const [code, setCode] = useState('')
  const activate = useActivate(replaces, done)
  const pause = usePause(activate.error)
  const enter = (value: string) => {
    if (activate.isPending || pause) return
    activate.mutate(value, { onError: () => setCode('') })
  }
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault()
        if (code.length === 6) enter(code)
      }}
    >
      <h3 className="b">{t('then')}</h3>
      <CodeInput value={code} change={setCode} done={enter} disabled={activate.isPending || pause > 0} invalid={activate.isError} focus />
      <Problem error={activate.error} id="mfa-problem" />
      <div className="row">
        <button type="submit" className="btn pri" disabled={code.length < 6 || activate.isPending || pause > 0}>
          {pause > 0 ? countdown(pause) : activate.isPending ? t('checking') : t('activate')}
        </button>
        <button type="button" className="btn" onClick={cancel}>{t('cancel')}</button>
      </div>
    </form>
  )
}
