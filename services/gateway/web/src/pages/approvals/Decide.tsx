import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { api, ask, Refusal } from '../../api/client'
import { newId } from '../../app/id'
import { type Grant, GrantStep } from '../../parts/GrantStep'
import { RefusalNote } from '../../parts/Note'
import { useSingle } from '../../parts/single'
import type { Approval } from './Approvals'
import { words } from './text'

/** A second administrator's own code, and why not where it is no. */
export function Decide({ of, verb, mine, close, done }: { of: Approval; verb: 'approve' | 'deny'; mine: boolean; close: () => void; done: (a: Approval) => void }) {
  const t = words.useTexts()
  const [grant, setGrant] = useState<Grant>()
  const [why, setWhy] = useState('')
  const requestId = useRef(newId())
  const send = useMutation({
    mutationFn: () => ask(api.POST('/v1/emergencies/{id}:approve', {
      params: { path: { id: of.id ?? '' } }, body: { grant: grant?.grant, requestId: requestId.current, deny: verb === 'deny', justification: why.trim() },
    })),
    onSuccess: (answer) => done(answer.approval ?? of),
    onError: (error) => {
      if (error instanceof Refusal && /^(GRANT|MFA)/.test(error.reason)) setGrant(undefined)
    },
  })
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (grant) button.current?.focus()
  }, [grant])
  const single = useSingle(send.isPending, send.error)
  const lacksWhy = verb === 'deny' && why.trim() === ''
  const later = of.act !== 'cancel' && of.act !== 'shorten' && of.act !== 'apply' && of.act !== 'policy'
  const field = `why-${of.id}`
  return (
    <div className="decide">
      <p className="sm mid">{verb === 'deny' ? (mine ? '' : t('denyText', { name: of.requestedBy })) : t(later ? 'approveAct' : 'approveText', { name: of.requestedBy })}</p>
      {verb === 'deny' && (
        <div>
          <label className="f" htmlFor={field}>{t('whyNot')}</label>
          <textarea id={field} className="in area" rows={2} dir="auto" value={why} maxLength={2000} required onChange={(e) => setWhy(e.target.value)} />
        </div>
      )}
      <GrantStep purpose="approve" grant={grant} change={setGrant} focus={verb === 'approve'} />
      {send.isError && <RefusalNote error={send.error} />}
      <div className="row g3 arow">
        <button type="button" ref={button} className="btn pri" disabled={!grant || lacksWhy || send.isPending} onClick={() => single(() => send.mutate())}>
          {send.isPending ? t('sending') : t(verb === 'approve' ? 'approve' : mine ? 'takeBack' : 'deny')}
        </button>
        <button type="button" className="btn" disabled={send.isPending} onClick={close}>{t('keep')}</button>
      </div>
    </div>
  )
}
