import IconBack from '@tabler/icons-react/dist/esm/icons/IconArrowLeft.mjs'
import IconCheck from '@tabler/icons-react/dist/esm/icons/IconCheck.mjs'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from 'react'
import { api, ask } from '../../api/client'
import { dateTime } from '../../app/format'
import { Confirm } from '../../parts/Confirm'
import { changes, errorOf, Switch, Text, useIntent } from '../../parts/Editor'
import { RefusalNote, Skeleton } from '../../parts/Note'
import { useSingle } from '../../parts/single'
import { Contacts } from './Contacts'
import { type Method, methodIcons, methods, type Rule } from './data'
import { Unsaved, Warnings } from './Methods'
import { type Draft, draftOf } from './rule'
import { ruleTexts } from './rules-text'
import { Types } from './Types'
import { words } from './text'
import { ByEmail, ByWebhook } from './Ways'

/** One notification, or a new one, beside the list. */
export function RuleEditor({ id, may, show }: { id: string; may: boolean; show: (id: string) => void }) {
  const fresh = id === 'new'
  const query = useQuery({ queryKey: ['notification', id], queryFn: () => ask(api.GET('/v1/notifications/{id}', { params: { path: { id } } })), enabled: !fresh })
  if (query.error) return <RefusalNote error={query.error} again={() => void query.refetch()} />
  if (!fresh && !query.data) return <div className="card"><Skeleton rows={8} /></div>
  return <Form of={query.data} may={may} show={show} />
}

function useSave(of: Rule | undefined, draft: Draft, done: (saved: Rule) => void) {
  const client = useQueryClient()
  const intent = useIntent()
  return useMutation({
    mutationFn: () => {
      const after = { ...draft, name: draft.name.trim() }
      if (!of) return ask(api.POST('/v1/notifications', { body: { ...after, requestId: intent(after) } }))
      const body = changes(draftOf(of), after)
      return ask(api.PATCH('/v1/notifications/{id}', { params: { path: { id: of.id ?? '' } }, body: { ...body, requestId: intent(body) } }))
    },
    onSuccess: (saved) => {
      client.setQueryData(['notification', saved.id], saved)
      void client.invalidateQueries({ queryKey: ['notifications'] })
      done(saved)
    },
  })
}

function Form({ of, may, show }: { of?: Rule; may: boolean; show: (id: string) => void }) {
  const t = ruleTexts.useTexts()
  const [draft, setDraft] = useState(() => draftOf(of))
  const [saved, tell] = useState(false)
  const title = useRef<HTMLHeadingElement>(null)
  const dirty = useRef(false)
  dirty.current = may && JSON.stringify(draft) !== JSON.stringify(draftOf(of))
  const save = useSave(of, draft, (rule) => {
    dirty.current = false
    tell(true)
    setDraft(draftOf(rule))
    if (!of) show(rule.id ?? '')
  })
  const single = useSingle(save.isPending, save.error)
  const set = may ? (part: Partial<Draft>) => { tell(false); setDraft((before) => ({ ...before, ...part })) } : undefined
  const ready = may && draft.name.trim() !== '' && draft.methods.length > 0
  const submit = (e?: FormEvent) => {
    e?.preventDefault()
    if (ready) single(() => save.mutate())
  }
  const keys = (e: KeyboardEvent) => {
    if (!(e.ctrlKey || e.metaKey) || e.key !== 's') return
    e.preventDefault()
    submit()
  }
  useEffect(() => title.current?.focus(), [])
  return (
    <form className="card ed editor" noValidate onSubmit={submit} onKeyDown={keys} aria-labelledby="rule-title">
      <Unsaved dirty={() => dirty.current} />
      <header className="eh row">
        <button type="button" className="icb back" aria-label={t('back')} onClick={() => show('')}><IconBack className="i" stroke={1.6} aria-hidden /></button>
        <h2 className="grow cut" id="rule-title" tabIndex={-1} ref={title}><bdi>{of?.name ?? t('newOne')}</bdi></h2>
        <Switch label={words.say('enabled')} on={draft.enabled} disabled={!may} change={(enabled) => set?.({ enabled })} />
      </header>
      {!dirty.current && of?.warnings?.length ? <div className="es"><Warnings of={of.warnings} /></div> : null}
      <Parts draft={draft} set={set} error={save.error} />
      <Foot of={of} may={may} show={show} ready={ready} busy={save.isPending} error={save.error} saved={saved && !dirty.current} />
    </form>
  )
}

export type Set = ((part: Partial<Draft>) => void) | undefined

function Parts({ draft, set, error }: { draft: Draft; set: Set; error: unknown }) {
  const t = ruleTexts.useTexts()
  return (
    <>
      <div className="es"><Text label={t('name')} value={draft.name} length={128} required error={errorOf(error, 'name')} change={(name) => set?.({ name })} /></div>
      <div className="es"><Ways value={draft.methods} change={set && ((value) => set({ methods: value }))} error={errorOf(error, 'methods')} /></div>
      <div className="es"><Types choosing={{ value: draft.types, methods: draft.methods as Method[], change: set && ((types) => set({ types })), error: errorOf(error, 'types') }} /></div>
      <div className="es">
        <Contacts value={draft.contacts} change={set && ((contacts) => set({ contacts }))} error={error} />
        <label className="ck access"><input type="checkbox" checked={draft.onlyWithAccess} disabled={!set} onChange={(e) => set?.({ onlyWithAccess: e.target.checked })} /><span>{t('onlyWithAccess')}</span></label>
      </div>
      <ByWebhook draft={draft} set={set} error={error} />
      {draft.methods.includes('EMAIL') && <ByEmail draft={draft} set={set} error={error} />}
    </>
  )
}

function Ways({ value, change, error }: { value: Draft['methods']; change?: (value: Draft['methods']) => void; error?: string }) {
  const t = words.useTexts()
  const r = ruleTexts.useTexts()
  return (
    <fieldset className="checks" aria-describedby="ways-hint">
      <legend className="lab0 lab">{r('methods')}</legend>
      <div className="mts">
        {methods.map((m) => {
          const Icon = methodIcons[m]
          const on = value.includes(m)
          return (
            <label key={m} className={`mt${on ? ' on' : ''}`}>
              <input type="checkbox" className="sr" checked={on} disabled={!change} onChange={() => change?.(methods.filter((one) => (one === m ? !on : value.includes(one))))} />
              <Icon className="i s" stroke={1.6} aria-hidden />{t(m)}{on && <IconCheck className="i s" stroke={2.2} aria-hidden />}
            </label>
          )
        })}
      </div>
      <p className={`hint${error ? ' err' : ''}`} id="ways-hint">{error ?? r('methodsHint')}</p>
    </fieldset>
  )
}

function Foot({ of, may, show, ready, busy, error, saved }: { of?: Rule; may: boolean; show: (id: string) => void; ready: boolean; busy: boolean; error: unknown; saved: boolean }) {
  const t = ruleTexts.useTexts()
  const w = words.useTexts()
  const client = useQueryClient()
  const [removing, remove] = useState(false)
  return (
    <footer>
      {Boolean(error) && <RefusalNote error={error} />}
      <div className="btns">
        <span className="grow xs dim">{saved ? <span role="status" className="grn m">{t('saved')}</span> : of?.createTime && <bdi>{t('made', { by: of.createdBy, at: dateTime(of.createTime) })}</bdi>}</span>
        {!may && <span className="sm dim">{w('readOnly')}</span>}
        {may && of && <button type="button" className="btn" onClick={() => remove(true)}>{w('remove')}</button>}
        {may && <button type="submit" className="btn pri" disabled={!ready || busy}>{busy ? t('saving') : t('save')} <kbd className="ctrls" aria-hidden>Ctrl S</kbd></button>}
      </div>
      {removing && of && (
        <Confirm
          title={t('removeTitle', { name: of.name })} text={t('removeText')} button={w('remove')} close={() => remove(false)}
          act={() => ask(api.DELETE('/v1/notifications/{id}', { params: { path: { id: of.id ?? '' } } }))}
          done={() => { void client.invalidateQueries({ queryKey: ['notifications'] }); show('') }}
        />
      )}
    </footer>
  )
}
