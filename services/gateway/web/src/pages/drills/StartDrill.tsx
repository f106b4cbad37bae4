import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { api, ask, Refusal } from '../../api/client'
import { useNow } from '../../app/clock'
import { span } from '../../app/format'
import { newId } from '../../app/id'
import { apply } from '../apply/text'
import { Radios } from '../apply/Radios'
import { useGovernance } from '../apply/Why'
import { type Grant, GrantStep } from '../../parts/GrantStep'
import { RefusalNote } from '../../parts/Note'
import { drillsKey } from './Drills'
import { words } from './text'

type What = 'lockdown' | 'freeze' | 'termination'
type When = 'now' | 'daily' | 'weekly'
const empty = { what: 'lockdown' as What, when: 'now' as When, minutes: 1, first: '', justification: '', governance: '' }
const intervals = { daily: '86400s', weekly: '604800s' }
const practice = (what: What) => (what === 'termination' ? { termination: { selector: { all: true } } } : what === 'freeze' ? { freeze: {} } : { lockdown: {} })

/** The form that starts a drill, or plans one. */
export function StartDrill() {
  const t = words.useTexts()
  const a = apply.useTexts()
  const now = useNow()
  const { required } = useGovernance()
  const [draft, setDraft] = useState(empty)
  const [grant, setGrant] = useState<Grant>()
  const save = useStart(draft, grant, () => setGrant(undefined))
  const why = useRef<HTMLTextAreaElement>(null)
  const act = useRef<HTMLButtonElement>(null)
  // The code's fields are shut once it counts: what is left to do takes the focus that they had.
  useEffect(() => {
    if (grant && document.activeElement === document.body) (act.current?.disabled ? why : act).current?.focus()
  }, [grant])
  const set = (change: Partial<typeof empty>) => setDraft((d) => ({ ...d, ...change }))
  const ahead = draft.when === 'now' || Date.parse(draft.first) > now
  const ready = !!grant && draft.justification.trim() !== '' && (!required || draft.governance.trim() !== '') && ahead && !save.isPending
  return (
    <section className="card start" aria-labelledby="start-drill">
      <h2 id="start-drill">{t('start')}</h2>
      <p className="lab">{t('what')}</p>
      <Radios className="pre" label={t('what')} disabled={save.isPending} options={(['lockdown', 'freeze', 'termination'] as const).map((value) => ({ value, text: t(value) }))} value={draft.what} change={(what) => set({ what })} />
      <p className="lab">{t('lasts')}</p>
      <Radios className="pre" label={t('lasts')} disabled={save.isPending} options={[1, 5, 15].map((value) => ({ value, text: span(value * 60_000) }))} value={draft.minutes} change={(minutes) => set({ minutes })} />
      <p className="lab">{t('when')}</p>
      <Radios className="pre" label={t('when')} disabled={save.isPending} options={(['now', 'daily', 'weekly'] as const).map((value) => ({ value, text: t(value) }))} value={draft.when} change={(when) => set({ when })} />
      {draft.when !== 'now' && (
        <div>
          <label className="f" htmlFor="first">{t('first')}</label>
          <input id="first" className="in" type="datetime-local" value={draft.first} aria-invalid={draft.first !== '' && !ahead} onChange={(e) => set({ first: e.target.value })} />
          {draft.first !== '' && !ahead && <p className="hint">{t('firstOff')}</p>}
        </div>
      )}
      <div>
        <label className="f" htmlFor="drill-why">{t('why')}</label>
        <textarea ref={why} id="drill-why" className="in area" rows={2} dir="auto" maxLength={2000} value={draft.justification} onChange={(e) => set({ justification: e.target.value })} />
      </div>
      <div>
        <label className="f" htmlFor="drill-ticket">{t('ticket')}{!required && <span className="dim"> ({a('optional')})</span>}</label>
        <input id="drill-ticket" className="in" value={draft.governance} onChange={(e) => set({ governance: e.target.value })} />
      </div>
      <p className="lab">{t('prove')}</p>
      <GrantStep purpose="drill" grant={grant} change={setGrant} focus={save.isError} />
      {save.isError && <RefusalNote error={save.error} />}
      <div className="row acts">
        <button ref={act} type="button" className="btn pri" disabled={!ready} onClick={() => save.mutate()}>{save.isPending ? t('acting') : t(draft.when === 'now' ? 'act' : 'plan')}</button>
      </div>
      <p className="hint">{t('hint')}</p>
    </section>
  )
}

function useStart(draft: typeof empty, grant: Grant | undefined, spent: () => void) {
  const go = useNavigate()
  const known = useQueryClient()
  const intent = useRef({ of: '', requestId: '' })
  return useMutation({
    mutationFn: async () => {
      const body = { ...practice(draft.what), duration: `${draft.minutes * 60}s`, justification: draft.justification.trim(), governanceCode: draft.governance.trim() }
      const of = JSON.stringify([body, draft.when, draft.first])
      // One id for each thing wanted: a retry of the same is the same.
      if (intent.current.of !== of) intent.current = { of, requestId: newId() }
      const proven = { ...body, grant: grant?.grant, requestId: intent.current.requestId }
      if (draft.when === 'now') return (await ask(api.POST('/v1/drills', { body: proven }))).id
      await ask(api.POST('/v1/drill-schedules', { body: { ...proven, firstTime: new Date(draft.first).toISOString(), interval: intervals[draft.when] } }))
      return undefined
    },
    onSuccess: (id) => {
      intent.current = { of: '', requestId: '' }
      spent()
      void known.invalidateQueries({ queryKey: drillsKey })
      void known.invalidateQueries({ queryKey: ['drill-schedules'] })
      if (id) void go({ to: '/drills/$id', params: { id } })
    },
    onError: (error) => {
      if (error instanceof Refusal && /^(GRANT|MFA)/.test(error.reason)) spent()
    },
  })
}
