import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { languages } from '../../app/language'
import { changes, Editor, errorOf, Field, Switch, Text, useIntent } from '../../parts/Editor'
import { accountTexts } from './accounts-text'
import { channelTexts } from './channels-text'
import { hooked, type Webhook } from './data'
import { LastError } from './Methods'
import { Secret } from './Secret'
import { words } from './text'

const draftOf = (of?: Webhook) => ({
  name: of?.name ?? '', enabled: of?.enabled ?? true, method: of?.method ?? ('SLACK' as const), language: of?.language || 'en', ratePerMinute: of?.ratePerMinute ?? 0, url: undefined as string | undefined, secret: undefined as string | undefined,
})

export function WebhookEditor({ of, close }: { of?: Webhook; close: (saved?: Webhook) => void }) {
  const t = channelTexts.useTexts()
  const w = words.useTexts()
  const a = accountTexts.useTexts()
  const client = useQueryClient()
  const before = draftOf(of)
  const [draft, setDraft] = useState(before)
  const intent = useIntent()
  const set = (part: Partial<typeof draft>) => setDraft((d) => ({ ...d, ...part }))
  const save = useMutation({
    mutationFn: () => {
      if (!of) return ask(api.POST('/v1/webhooks', { body: { ...draft, requestId: intent(draft) } }))
      const body = changes(before, draft)
      return ask(api.PATCH('/v1/webhooks/{id}', { params: { path: { id: of.id ?? '' } }, body: { ...body, requestId: intent(body) } }))
    },
    onSuccess: (hook) => {
      void client.invalidateQueries({ queryKey: ['webhooks'] })
      close(hook)
    },
  })
  const error = (field: string) => errorOf(save.error, field)
  const dirty = JSON.stringify(draft) !== JSON.stringify(before)
  return (
    <Editor title={of ? t('editHook', { name: of.name }) : t('newHook')} close={() => close()} save={() => save.mutate()} busy={save.isPending} error={save.error} dirty={dirty} ready={draft.name.trim() !== ''}>
      <LastError error={of?.lastError} at={of?.lastErrorTime} />
      <Text label={w('name')} value={draft.name} length={128} error={error('name')} change={(name) => set({ name })} focus required />
      <Switch label={w('enabled')} on={draft.enabled} change={(enabled) => set({ enabled })} />
      <Field label={t('kind')} hint={of && t('kindStays')} error={error('method')}>
        {(given) => <select {...given} className="in" value={draft.method} disabled={Boolean(of)} onChange={(e) => set({ method: e.target.value as 'SLACK', url: undefined, secret: undefined })}>{hooked.map((m) => <option key={m} value={m}>{w(m)}</option>)}</select>}
      </Field>
      {draft.method !== 'PAGERDUTY' && <Secret mono label={t('url')} hint={t('urlHint')} kept={Boolean(of?.urlShown)} value={draft.url} change={(url) => set({ url })} error={error('url')} />}
      {draft.method === 'PAGERDUTY' && <Secret mono label={t('key')} hint={t('keyHint')} kept={of?.secretSet ?? false} value={draft.secret} change={(secret) => set({ secret })} error={error('secret')} />}
      {draft.method === 'WEBHOOK' && <Secret mono label={t('signing')} hint={t('signingHint')} kept={of?.secretSet ?? false} value={draft.secret} change={(secret) => set({ secret })} error={error('secret')} />}
      <Field label={t('language')}>{(given) => <select {...given} className="in" value={draft.language} onChange={(e) => set({ language: e.target.value })}>{Object.entries(languages).map(([tag, name]) => <option key={tag} value={tag}>{name}</option>)}</select>}</Field>
      <Text label={t('rate')} hint={a('rateHint')} value={String(draft.ratePerMinute)} length={7} error={error('ratePerMinute')} change={(text) => set({ ratePerMinute: Number(text.replace(/\D/g, '')) })} />
    </Editor>
  )
}
