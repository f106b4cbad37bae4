import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type RefObject, useEffect, useRef, useState } from 'react'
import { api, ask } from '../../api/client'
import { newId } from '../../app/id'
import { Confirm } from '../../parts/Confirm'
import { Area, changes, Editor, errorOf, Text, useIntent } from '../../parts/Editor'
import { RefusalNote, Skeleton } from '../../parts/Note'
import { nameOfLanguage, type Template } from './Templates'
import { templateTexts } from './templates-text'
import { said } from './text'

type Given = { type: string; language: string; may: boolean; close: () => void }

/** One text, with what it becomes beside it as it is written. */
export function TemplateEditor(given: Given) {
  const { type, language } = given
  const query = useQuery({ queryKey: ['template', type, language], queryFn: () => ask(api.GET('/v1/templates/{type}/{language}', { params: { path: { type, language } } })) })
  if (query.error) return <RefusalNote error={query.error} again={() => void query.refetch()} />
  return query.data ? <Form {...given} of={query.data} /> : <Skeleton />
}

const draftOf = (of: Template) => ({ subject: of.subject ?? '', body: of.body ?? '', short: of.short ?? '' })
type Draft = ReturnType<typeof draftOf>

function Form({ type, language, may, close, of }: Given & { of: Template }) {
  const t = templateTexts.useTexts()
  const client = useQueryClient()
  const [draft, setDraft] = useState(() => draftOf(of))
  const [resetting, reset] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const intent = useIntent()
  const done = () => {
    void client.invalidateQueries({ queryKey: ['templates'] })
    void client.invalidateQueries({ queryKey: ['template', type, language] })
    close()
  }
  const save = useMutation({
    mutationFn: () => {
      const body = changes(draftOf(of), draft)
      return ask(api.PATCH('/v1/templates/{type}/{language}', { params: { path: { type, language } }, body: { ...body, requestId: intent(body) } }))
    },
    onSuccess: done,
  })
  const set = (part: Partial<Draft>) => may && setDraft((before) => ({ ...before, ...part }))
  const dirty = JSON.stringify(draft) !== JSON.stringify(draftOf(of))
  return (
    <Editor title={t('open', { type: said(type), language: nameOfLanguage(language) })} close={close} save={may ? () => save.mutate() : undefined} busy={save.isPending} error={save.error} dirty={dirty} ready={dirty}>
      <div ref={box} className="tmpl" lang={language}>
        <Text label={t('subject')} value={draft.subject} length={256} change={(subject) => set({ subject })} error={errorOf(save.error, 'subject')} />
        <Area label={t('body')} hint={t('bodyHint')} value={draft.body} length={10000} change={(body) => set({ body })} error={errorOf(save.error, 'body')} />
        <Area label={t('short')} hint={t('shortHint')} value={draft.short} length={1000} change={(short) => set({ short })} error={errorOf(save.error, 'short')} />
      </div>
      <Preview type={type} language={language} draft={draft} insert={may ? (fact) => insertInto(box, fact, set) : undefined} box={box} />
      {may && of.changed && <p><button type="button" className="btn sm" onClick={() => reset(true)}>{t('reset')}</button></p>}
      {resetting && <Confirm title={t('resetTitle')} text={t('resetText')} button={t('reset')} close={() => reset(false)} act={() => ask(api.DELETE('/v1/templates/{type}/{language}', { params: { path: { type, language } } }))} done={done} />}
    </Editor>
  )
}

const fields = ['subject', 'body', 'short'] as const
let last: (HTMLInputElement | HTMLTextAreaElement) | undefined // where the caret was last

function insertInto(box: RefObject<HTMLDivElement | null>, fact: string, set: (part: Partial<Draft>) => void) {
  const all = [...(box.current?.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>('input, textarea') ?? [])]
  const field = last && all.includes(last) ? last : all[1]
  if (!field) return
  const at = field.selectionStart ?? field.value.length
  const word = `{{${fact}}}`
  set({ [fields[all.indexOf(field)]]: field.value.slice(0, at) + word + field.value.slice(field.selectionEnd ?? at) })
  field.focus()
  requestAnimationFrame(() => field.setSelectionRange(at + word.length, at + word.length))
}

const pause = 300 // in milliseconds, of typing

function useSettled<T>(value: T): T {
  const [settled, settle] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => settle(value), pause)
    return () => clearTimeout(timer)
  }, [value])
  return settled
}

function Preview({ type, language, draft, insert, box }: { type: string; language: string; draft: Draft; insert?: (fact: string) => void; box: RefObject<HTMLDivElement | null> }) {
  const t = templateTexts.useTexts()
  const settled = useSettled(draft)
  useEffect(() => {
    const keep = (e: FocusEvent) => { if (box.current?.contains(e.target as Node)) last = e.target as HTMLInputElement }
    document.addEventListener('focusin', keep)
    return () => document.removeEventListener('focusin', keep)
  }, [box])
  const { data, error } = useQuery({
    queryKey: ['preview', type, language, settled],
    queryFn: () => ask(api.POST('/v1/templates:preview', { body: { template: { type, language, ...settled }, requestId: newId() } })),
    placeholderData: keepPreviousData, staleTime: 60_000, retry: false,
  })
  return (
    <>
      {insert && data?.facts && (
        <div>
          <h3 className="lab" id="facts">{t('facts')}</h3>
          <ul className="fcts" aria-labelledby="facts">{Object.entries(data.facts).sort().map(([fact, value]) => <li key={fact}><button type="button" className="tag mono" title={value} aria-label={t('insert', { fact, value })} onClick={() => insert(fact)}>{fact}</button></li>)}</ul>
          <p className="hint">{t('factsHint')}</p>
        </div>
      )}
      <section className="part" aria-labelledby="preview">
        <h3 className="lab" id="preview">{t('preview')} <span className="dim">{t('previewText')}</span></h3>
        {Boolean(error) && <RefusalNote error={error} />}
        {data && (
          <>
            <p className="sm b" lang={language}><bdi>{data.subject}</bdi></p>
            {/* Without a word in sandbox nothing in it runs, posts or leads anywhere. */}
            <iframe className="mailed" sandbox="" title={t('mail')} srcDoc={data.html} tabIndex={0} />
            <details><summary className="sm m">{t('plain')}</summary><pre className="said-in" lang={language} dir="auto">{data.text}</pre></details>
            <p className="sm said" lang={language}><span className="chip plain">{t('sms', { count: data.smsSegments ?? 0 })}</span> <bdi>{data.short}</bdi></p>
          </>
        )}
      </section>
    </>
  )
}
