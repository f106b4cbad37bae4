import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import { useMutation } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { api, ask, Refusal } from '../api/client'
import { useNow } from '../app/clock'
import { span } from '../app/format'
import { texts } from '../app/language'
import { CodeInput } from './CodeInput'
import { RefusalNote } from './Note'

/** The proof of a fresh MFA check: good once, for its own purpose, for minutes. */
export type Grant = { grant: string; expireTime: string }

const grantTexts = texts(
  'grant',
  {
    accepted: 'Code accepted.', left: 'Good once, {{left}} more.', expired: 'That code has run out. Enter a fresh one.',
    again: 'Enter the code that your app shows now.', checking: 'Checking', validate: 'Validate token', enrol: 'Enrol an MFA app in My account',
  },
  {
    accepted: 'Código aceito.', left: 'Vale uma vez, por mais {{left}}.', expired: 'Esse código venceu. Digite um novo.',
    again: 'Digite o código que o app mostra agora.', checking: 'Verificando', validate: 'Validar token', enrol: 'Cadastrar um app de MFA em Minha conta',
  },
)

/**
 * Takes the code from the MFA app and makes a grant of it; the sixth digit validates by itself. The parent holds the
 * grant, and takes it away (undefined) when it was spent. done is called once a grant is there, to move the focus on.
 */
export function GrantStep({ purpose, grant, change, done, focus }: {
  purpose: string
  grant: Grant | undefined
  change: (grant: Grant | undefined) => void
  done?: () => void
  focus?: boolean
}) {
  const t = grantTexts.useTexts()
  const now = useNow()
  const [code, setCode] = useState('')
  const [expired, setExpired] = useState(false)
  const ends = grant ? Date.parse(grant.expireTime) : 0
  const over = grant !== undefined && ends <= now
  const validate = useMutation({
    mutationFn: (code: string) => ask(api.POST('/v1/grants', { body: { code, purpose } })),
    onSuccess: (answer) => {
      setExpired(false)
      change({ grant: answer.grant ?? '', expireTime: answer.expireTime ?? '' })
      done?.()
    },
    onError: () => setCode(''),
  })
  useEffect(() => {
    if (!over) return
    setExpired(true)
    change(undefined)
  }, [over, change])
  useEffect(() => {
    if (!grant) setCode('')
  }, [grant])
  const refusal = validate.error instanceof Refusal ? validate.error : undefined
  const enrol = refusal?.reason === 'MFA_NOT_ENROLLED'
  const retry = refusal?.time('retryTime')?.getTime()
  // A refusal that names its end is over then: the pause, or the code that was used.
  const waited = retry !== undefined && retry <= now
  const paused = refusal?.reason === 'LOCKED_OUT' && !waited
  return (
    <div className="grant">
      <div className={`row g4 grant-row${grant ? ' has' : ''}`} style={{ flexWrap: 'wrap' }}>
        <CodeInput
          value={grant ? '••••••' : code}
          change={setCode}
          done={(value) => validate.mutate(value)}
          disabled={grant !== undefined || validate.isPending || paused}
          invalid={validate.isError && !waited}
          focus={focus || validate.isError}
        />
        {grant ? (
          <p className="sm row" role="status">
            <IconCheck className="i s acc" stroke={2} aria-hidden />
            <span><b className="b">{t('accepted')}</b> <span className="mid" role="timer" aria-live="off">{t('left', { left: span(ends - now) })}</span></span>
          </p>
        ) : (
          <button type="button" className="btn" disabled={code.length < 6 || validate.isPending} onClick={() => validate.mutate(code)}>
            {validate.isPending ? t('checking') : t('validate')}
          </button>
        )}
      </div>
      {expired && !grant && <p className="hint" role="status">{t('expired')}</p>}
      {waited && !grant && !validate.isPending && <p className="hint" role="status">{t('again')}</p>}
      {validate.isError && !waited && !grant && (
        <div style={{ marginTop: 10 }}>
          <RefusalNote error={validate.error} />
          {enrol && <Link to="/account" className="btn sm">{t('enrol')}</Link>}
        </div>
      )}
    </div>
  )
}
