import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { api, ask } from '../../api/client'
import { countdown } from '../../app/format'
import { newId } from '../../app/id'
import { CodeInput } from '../../parts/CodeInput'
import { Skeleton } from '../../parts/Note'
import { Problem, usePause } from '../sign-in/Problem'
import { Field } from './Field'
import type { Enrolled } from './Scan'
import { account } from './text'

/** Asks for a new secret. Whoever replaces a working app first shows to have it, or a recovery code. */
export function Enrol({ replaces, cancel, done }: { replaces: boolean; cancel: () => void; done: (enrolled: Enrolled) => void }) {
  const t = account.useTexts()
  const [recovery, setRecovery] = useState(false)
  const enrol = useMutation({
    mutationFn: (code: string) =>
      ask(api.POST('/v1/users/{name}/mfa:enroll', { params: { path: { name: 'me' } }, body: { code: code || undefined, requestId: newId() } })),
    onSuccess: (answer) => done({ uri: answer.uri ?? '', qr: answer.qrPng ?? '' }),
  })
  const begun = useRef(false)
  useEffect(() => {
    if (replaces || begun.current) return
    begun.current = true
    enrol.mutate('')
  }, [replaces, enrol])
  if (!replaces) {
    return enrol.isError ? <><Problem error={enrol.error} id="mfa-problem" /><Buttons cancel={cancel} again={() => enrol.mutate('')} /></> : <Skeleton rows={3} />
  }
  return (
    <>
      <h3 className="b">{t('prove')}</h3>
      <p className="sm mid">{t('proveText')}</p>
      <ProofForm
        key={String(recovery)} recovery={recovery} error={enrol.error} busy={enrol.isPending} enter={(code) => enrol.mutate(code)} cancel={cancel}
        swap={() => {
          enrol.reset()
          setRecovery(!recovery)
        }}
      />
    </>
  )
}

function ProofForm({ recovery, error, busy, enter, cancel, swap }: {
  recovery: boolean
  error: unknown
  busy: boolean
  enter: (code: string) => void
  cancel: () => void
  swap: () => void
}) {
  const t = account.useTexts()
  const [code, setCode] = useState('')
  const pause = usePause(error)
  useEffect(() => {
    if (error && !recovery) setCode('')
  }, [error, recovery])
  const ready = recovery ? code.trim() !== '' : code.length === 6
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault()
        if (ready && !busy && !pause) enter(code.trim())
      }}
    >
      {recovery ? (
        <Field label={t('recovery')}>
          {(control) => <input {...control} className="in mono" autoFocus autoComplete="off" spellCheck={false} maxLength={64} placeholder="XXXX-XXXX-XXXX-XXXX" value={code} onChange={(e) => setCode(e.target.value)} />}
        </Field>
      ) : (
        <CodeInput value={code} change={setCode} done={(value) => !busy && enter(value)} disabled={busy || pause > 0} invalid={Boolean(error)} focus />
      )}
      <Problem error={error} recovery={recovery} id="mfa-problem" />
      <div className="row wrap">
        <button type="submit" className="btn pri" disabled={!ready || busy || pause > 0}>{pause > 0 ? countdown(pause) : busy ? t('checking') : t('proceed')}</button>
        <button type="button" className="btn" onClick={cancel}>{t('cancel')}</button>
        <button type="button" className="btn quiet" onClick={swap}>{recovery ? t('useCode') : t('useRecovery')}</button>
      </div>
    </form>
  )
}

function Buttons({ cancel, again }: { cancel: () => void; again: () => void }) {
  const t = account.useTexts()
  return (
    <div className="row">
      <button type="button" className="btn pri" onClick={again}>{t('setUp')}</button>
      <button type="button" className="btn" onClick={cancel}>{t('cancel')}</button>
    </div>
  )
}
