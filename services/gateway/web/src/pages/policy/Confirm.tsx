import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { api, ask, Refusal } from '../../api/client'
import { shell } from '../../app/text'
import { newId } from '../../app/id'
import { type Grant, GrantStep } from '../../parts/GrantStep'
import { RefusalNote } from '../../parts/Note'
import { useSingle } from '../../parts/single'
import { useTokens } from './BreakGlass'
import { added, type Draft, type Lists, mostText, type Policy } from './draft'
import { driftDefault } from './Drift'
import { write } from './Expected'
import { words } from './text'

/** What is about to change, why, and the proof: the policy is guarded like the panel itself. */
export function Confirm({ policy, difference, done, discard, refuse }: {
  policy: Policy
  difference: Draft
  done: (now: Policy) => void
  discard: () => void
  /** Told of a refusal, which may be about a field. */
  refuse: (error: unknown) => void
}) {
  const t = words.useTexts()
  const say = shell.useTexts()
  const [why, setWhy] = useState('')
  const [grant, setGrant] = useState<Grant>()
  const box = useRef<HTMLElement>(null)
  const { items } = useTokens()
  const names = new Map(items.map((i) => [i.value, i.label]))
  const ready = complete(policy, difference)
  const save = useSave({ policy: difference, why, grant, done, refuse, spent: () => setGrant(undefined) })
  const single = useSingle(save.isPending, save.error)
  const send = () => {
    if (!ready) return
    if (grant) single(() => save.mutate())
    else box.current?.querySelector<HTMLInputElement>('.code input')?.focus()
  }
  useCtrlS(send)
  return (
    <section className="card box confirm" aria-labelledby="changes" ref={box}>
      <h2 id="changes">{t('changes')}</h2>
      <ul className="sm">{linesOf(policy, difference, t, names).map((line) => <li key={line}><bdi>{line}</bdi></li>)}</ul>
      <div className="two">
        <div>
          <label className="f" htmlFor="why">{t('why')} <span className="dim">{say('optional')}</span></label>
          <textarea id="why" className="in area" rows={2} value={why} maxLength={mostText} aria-describedby="why-hint" onChange={(e) => setWhy(e.target.value)} />
          <p className="hint" id="why-hint">{t('whyText')}</p>
        </div>
        <div>
          <p className="lab">{t('proof')}</p>
          <GrantStep purpose="policy" grant={grant} change={setGrant} />
          <p className="hint">{t('proofText')}</p>
        </div>
      </div>
      {save.isError && <RefusalNote error={save.error} />}
      <div className="row acts">
        <button type="button" className="btn" onClick={discard}>{t('discard')}</button>
        <button type="button" className="btn pri" disabled={!ready || !grant || save.isPending} onClick={send}>
          {save.isPending ? t('saving') : t('save')} <kbd aria-hidden>Ctrl S</kbd>
        </button>
      </div>
    </section>
  )
}

/** A pattern is needed where one must be matched. */
const complete = (policy: Policy, d: Draft) => ({ ...policy, ...d }).governanceCode !== 'PATTERN' || ({ ...policy, ...d }).governancePattern !== ''

function useSave({ policy, why, grant, done, refuse, spent }: { policy: Draft; why: string; grant?: Grant; done: (now: Policy) => void; refuse: (error: unknown) => void; spent: () => void }) {
  const intent = useRef({ of: '', requestId: '' })
  return useMutation({
    mutationFn: () => {
      const body = { ...policy, ...(why.trim() && { justification: why.trim() }) }
      const of = JSON.stringify(body)
      // One id for each thing wanted: a retry of the same change is the same change.
      if (intent.current.of !== of) intent.current = { of, requestId: newId() }
      return ask(api.PATCH('/v1/policy', { body: { ...body, grant: grant?.grant, requestId: intent.current.requestId } }))
    },
    onSuccess: done,
    onError: (error) => {
      if (!(error instanceof Refusal)) return
      if (/^(GRANT|MFA|APPROVAL)/.test(error.reason)) spent()
      if (error.reason === 'APPROVAL_REQUIRED') intent.current = { of: '', requestId: '' }
      refuse(error)
    },
  })
}

function useCtrlS(save: () => void) {
  const latest = useRef(save)
  latest.current = save
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (!(e.ctrlKey || e.metaKey) || e.key.toLowerCase() !== 's') return
      e.preventDefault()
      latest.current()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
}

function linesOf(policy: Policy, d: Draft, t: ReturnType<typeof words.useTexts>, names: Map<string, string>): string[] {
  const named = (list: Lists, name: string) => (list === 'breakGlassTokens' && names.get(name)) || name
  const lists: Lists[] = ['breakGlassUsers', 'breakGlassTokens']
  const lines = lists.flatMap((list) => (d[list]
    ? [...added(policy[list], d[list]).map((name) => t('add', { name: named(list, name) })), ...added(d[list], policy[list]).map((name) => t('drop', { name: named(list, name) }))]
    : []))
  if (d.expectedEnforcers) {
    const written = (of: Policy['expectedEnforcers']) => write(of).split('\n').filter(Boolean).join(', ') || t('nobody')
    lines.push(t('fromTo', { name: t('expected'), from: written(policy.expectedEnforcers), to: written(d.expectedEnforcers) }))
  }
  if (d.governancePattern !== undefined) lines.unshift(t('fromTo', { name: t('pattern'), from: policy.governancePattern || t('emptyPattern'), to: d.governancePattern || t('emptyPattern') }))
  if (d.governanceCode) lines.unshift(t('fromTo', { name: t('governance'), from: t(policy.governanceCode ?? 'OPTIONAL'), to: t(d.governanceCode) }))
  if (d.ticketCheck) lines.push(t('fromTo', { name: t('ticketCheck'), from: t(policy.ticketCheck === 'ON' ? 'on' : 'off'), to: t(d.ticketCheck === 'ON' ? 'on' : 'off') }))
  if (d.secondAdministrator !== undefined) lines.push(t('fromTo', { name: t('secondAdministrator'), from: t(policy.secondAdministrator ? 'on' : 'off'), to: t(d.secondAdministrator ? 'on' : 'off') }))
  if (d.driftPercent !== undefined) lines.push(t('fromTo', { name: t('driftPercent'), from: policy.driftPercent ?? driftDefault, to: d.driftPercent }))
  return lines
}
