import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { changes, Editor, errorOf, Field, Switch, Text, useIntent } from '../../parts/Editor'
import { type Draft, draftOf, drops, usualPort } from './account'
import { accountTexts } from './accounts-text'
import type { Account } from './data'
import { LastError, Warnings } from './Methods'
import { Port, Safety } from './Server'
import { Secret } from './Secret'

type Set = (part: Partial<Draft>) => void
type Given = { draft: Draft; set: Set; error: unknown }

/** An account that e-mail goes out by. usual is the one that is the default now. */
export function AccountEditor({ of, usual, close }: { of?: Account; usual?: Account; close: (saved?: Account) => void }) {
  const t = accountTexts.useTexts()
  const client = useQueryClient()
  const [draft, setDraft] = useState(() => draftOf(of))
  const intent = useIntent()
  const set: Set = (part) => setDraft((before) => ({ ...before, ...part }))
  const save = useMutation({
    mutationFn: () => {
      if (!of) return ask(api.POST('/v1/smtp-accounts', { body: { ...draft, requestId: intent(draft) } }))
      const body = changes(draftOf(of), draft)
      return ask(api.PATCH('/v1/smtp-accounts/{id}', { params: { path: { id: of.id ?? '' } }, body: { ...body, requestId: intent(body) } }))
    },
    onSuccess: (account) => {
      void client.invalidateQueries({ queryKey: ['smtp-accounts'] })
      close(account)
    },
  })
  const dirty = JSON.stringify(draft) !== JSON.stringify(draftOf(of))
  const given = { draft, set, error: save.error }
  return (
    <Editor title={of ? t('edit', { name: of.name }) : t('create')} close={() => close()} save={() => save.mutate()} busy={save.isPending} error={save.error} dirty={dirty} ready={draft.name.trim() !== '' && draft.sender.trim() !== '' && draft.host.trim() !== ''}>
      {!dirty && <Warnings of={of?.warnings} />}
      {!dirty && <LastError error={of?.lastError} at={of?.lastErrorTime} />}
      <Text label={t('name')} hint={t('nameHint')} value={draft.name} length={128} error={errorOf(save.error, 'name')} change={(name) => set({ name })} focus required />
      <Switch label={t('enabled')} on={draft.enabled} change={(enabled) => set({ enabled })} />
      <Switch label={t('defaultAccount')} hint={!usual ? t('defaultFirst') : of?.defaultAccount ? t('defaultIs') : t('defaultMoves', { name: usual.name })} on={!usual || draft.defaultAccount} disabled={!usual || of?.defaultAccount} change={(defaultAccount) => set({ defaultAccount })} />
      <From {...given} />
      <fieldset className="part"><legend className="b">{t('server')}</legend>
        <div className="hostport">
          <Text label={t('host')} mono value={draft.host} length={253} error={errorOf(save.error, 'host')} change={(host) => set({ host: host.trim() })} required />
          <Port label={t('port')} value={draft.port} usual={usualPort(draft)} error={errorOf(save.error, 'port')} change={(port) => set({ port })} />
        </div>
        <Text label={t('rate')} hint={t('rateHint')} value={String(draft.ratePerMinute)} length={7} error={errorOf(save.error, 'ratePerMinute')} change={(text) => set({ ratePerMinute: Number(text.replace(/\D/g, '')) })} />
      </fieldset>
      <fieldset className="part"><legend className="b">{t('security')}</legend>
        <Safety secure={draft.secureConnection} type={draft.secureConnectionType} ignore={draft.ignoreCertificateErrors} change={({ secure, type, ignore }) => set({ secureConnection: secure ?? draft.secureConnection, secureConnectionType: type ?? draft.secureConnectionType, ignoreCertificateErrors: ignore ?? draft.ignoreCertificateErrors })} />
      </fieldset>
      <Credentials of={of} {...given} />
    </Editor>
  )
}

function From({ draft, set, error }: Given) {
  const t = accountTexts.useTexts()
  return (
    <fieldset className="part"><legend className="b">{t('who')}</legend>
      <Text label={t('sender')} hint={t('senderHint')} value={draft.sender} length={512} error={errorOf(error, 'sender')} change={(sender) => set({ sender })} required />
      <Text label={t('replyTo')} hint={t('replyToHint')} optional value={draft.replyTo} length={320} error={errorOf(error, 'replyTo')} change={(replyTo) => set({ replyTo })} />
      <Text label={t('returnPath')} hint={t('returnPathHint')} optional value={draft.returnPath} length={320} error={errorOf(error, 'returnPath')} change={(returnPath) => set({ returnPath })} />
      {draft.returnPath && <Switch label={t('plainReturnPath')} hint={t('plainReturnPathHint')} on={draft.plainReturnPath} change={(plainReturnPath) => set({ plainReturnPath })} />}
      <Text label={t('confirmationAddress')} hint={t('confirmationHint')} optional value={draft.confirmationAddress} length={320} error={errorOf(error, 'confirmationAddress')} change={(confirmationAddress) => set({ confirmationAddress })} />
      <Switch label={t('sendReadReceipt')} on={draft.sendReadReceipt} change={(sendReadReceipt) => set({ sendReadReceipt })} />
      <Switch label={t('forceSettings')} hint={t('forceHint')} on={draft.forceSettings} change={(forceSettings) => set({ forceSettings })} />
      <Switch label={t('footnote')} on={draft.footnote} change={(footnote) => set({ footnote })} />
    </fieldset>
  )
}

const ways = ['AUTHENTICATION_METHOD_UNSPECIFIED', 'PLAIN', 'LOGIN', 'CRAM_MD5', 'XOAUTH2'] as const

function Credentials({ of, draft, set, error }: Given & { of?: Account }) {
  const t = accountTexts.useTexts()
  return (
    <fieldset className="part"><legend className="b">{t('credentials')}</legend>
      <Switch label={t('authentication')} on={draft.authentication} change={(authentication) => set({ authentication })} />
      {draft.authentication && (
        <>
          <Field label={t('authMethod')}>
            {(given) => <select {...given} className="in" value={draft.authenticationMethod} onChange={(e) => set({ authenticationMethod: e.target.value as Draft['authenticationMethod'] })}>{ways.map((m) => <option key={m} value={m}>{t(m)}</option>)}</select>}
          </Field>
          <Text label={t('username')} mono value={draft.username} length={320} error={errorOf(error, 'username')} change={(username) => set({ username })} />
          <Secret label={t('password')} kept={of?.credentialSet ?? false} drops={drops(of, draft)} value={draft.password} change={(password) => set({ password })} error={errorOf(error, 'password')} />
        </>
      )}
    </fieldset>
  )
}
