import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { changes, Editor, errorOf, Field, Switch, Text, useIntent } from '../../parts/Editor'
import { accountTexts } from './accounts-text'
import { channelTexts } from './channels-text'
import type { Mailbox } from './data'
import { LastError, Warnings } from './Methods'
import { Port, Safety } from './Server'
import { Secret } from './Secret'
import { words } from './text'

const secure = (type: Mailbox['secureConnectionType']) => (type && type !== 'SECURE_CONNECTION_TYPE_UNSPECIFIED' ? type : 'SSL')

const draftOf = (of?: Mailbox) => ({
  name: of?.name ?? '', enabled: of?.enabled ?? true, keepCopyOnServer: of?.keepCopyOnServer ?? true, automaticCheck: of?.automaticCheck ?? true, address: of?.address ?? '', protocol: of?.protocol ?? ('IMAP' as const), port: of?.port ?? 0,
  secureConnection: of?.secureConnection ?? true, secureConnectionType: secure(of?.secureConnectionType), skipCertificateCheck: of?.skipCertificateCheck ?? false, username: of?.username ?? '', password: undefined as string | undefined,
})

const leads = ['address', 'protocol', 'port', 'username', 'secureConnection', 'secureConnectionType'] as const

export function MailboxEditor({ of, close }: { of?: Mailbox; close: () => void }) {
  const t = channelTexts.useTexts()
  const a = accountTexts.useTexts()
  const w = words.useTexts()
  const client = useQueryClient()
  const before = draftOf(of)
  const [draft, setDraft] = useState(before)
  const intent = useIntent()
  const set = (part: Partial<typeof draft>) => setDraft((d) => ({ ...d, ...part }))
  const save = useMutation({
    mutationFn: () => {
      if (!of) return ask(api.POST('/v1/mailboxes', { body: { ...draft, requestId: intent(draft) } }))
      const body = changes(before, draft)
      return ask(api.PATCH('/v1/mailboxes/{id}', { params: { path: { id: of.id ?? '' } }, body: { ...body, requestId: intent(body) } }))
    },
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['mailboxes'] })
      close()
    },
  })
  const dirty = JSON.stringify(draft) !== JSON.stringify(before)
  const drops = Boolean(of?.credentialSet) && (leads.some((field) => before[field] !== draft[field]) || (draft.skipCertificateCheck && !before.skipCertificateCheck))
  const ssl = draft.secureConnection && draft.secureConnectionType === 'SSL'
  const usual = draft.protocol === 'POP3' ? (ssl ? 995 : 110) : ssl ? 993 : 143
  return (
    <Editor title={of ? t('editBox', { name: of.name }) : t('newBox')} close={close} save={() => save.mutate()} busy={save.isPending} error={save.error} dirty={dirty} ready={[draft.name, draft.address, draft.username].every((one) => one.trim() !== '')}>
      {!dirty && <Warnings of={of?.warnings} />}
      {!dirty && <LastError error={of?.lastError} />}
      <Text label={w('name')} value={draft.name} length={128} error={errorOf(save.error, 'name')} change={(name) => set({ name })} focus required />
      <Switch label={w('enabled')} on={draft.enabled} change={(enabled) => set({ enabled })} />
      <Switch label={t('automatic')} hint={t('automaticHint')} on={draft.automaticCheck} change={(automaticCheck) => set({ automaticCheck })} />
      <Switch label={t('keep')} hint={t('keepHint')} on={draft.keepCopyOnServer} change={(keepCopyOnServer) => set({ keepCopyOnServer })} />
      <fieldset className="part"><legend className="b">{a('server')}</legend>
        <Field label={t('protocol')}>{(given) => <select {...given} className="in" value={draft.protocol} onChange={(e) => set({ protocol: e.target.value as 'IMAP' | 'POP3' })}><option>IMAP</option><option>POP3</option></select>}</Field>
        <div className="hostport">
          <Text label={t('address')} mono value={draft.address} length={253} error={errorOf(save.error, 'address')} change={(address) => set({ address: address.trim() })} required />
          <Port label={a('port')} value={draft.port} usual={usual} error={errorOf(save.error, 'port')} change={(port) => set({ port })} />
        </div>
        <Safety secure={draft.secureConnection} type={draft.secureConnectionType} ignore={draft.skipCertificateCheck} change={({ secure: on, type, ignore }) => set({ secureConnection: on ?? draft.secureConnection, secureConnectionType: type ?? draft.secureConnectionType, skipCertificateCheck: ignore ?? draft.skipCertificateCheck })} />
      </fieldset>
      <fieldset className="part"><legend className="b">{a('credentials')}</legend>
        <Text label={a('username')} mono value={draft.username} length={320} error={errorOf(save.error, 'username')} change={(username) => set({ username })} required />
        <Secret label={a('password')} kept={of?.credentialSet ?? false} drops={drops} value={draft.password} change={(password) => set({ password })} error={errorOf(save.error, 'password')} />
      </fieldset>
    </Editor>
  )
}
