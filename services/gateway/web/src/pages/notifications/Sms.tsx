import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useRef, useState } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { newId } from '../../app/id'
import { useMay, useMe } from '../../app/me'
import { Area, changes, Editor, errorOf, Field, Switch, Text, useIntent } from '../../parts/Editor'
import { RefusalNote, Skeleton } from '../../parts/Note'
import { useSingle } from '../../parts/single'
import { accountTexts } from './accounts-text'
import { channelTexts } from './channels-text'
import { Copy } from './Copy'
import { Result } from './Delivery'
import { LastError, Unsaved, Warnings } from './Methods'
import { Secret } from './Secret'
import { words } from './text'

type Settings = Schemas['SmsSettings']
const key = ['sms-settings']

/** The one provider that SMS go out by. */
export function Sms() {
  const { data, error, refetch } = useQuery({ queryKey: key, queryFn: () => ask(api.GET('/v1/sms-settings')) })
  if (error) return <RefusalNote error={error} again={() => void refetch()} />
  return data ? <Form of={data} /> : <Skeleton />
}

const draftOf = (of: Settings) => ({
  enabled: of.enabled ?? false, provider: of.provider === 'TWILIO' ? ('TWILIO' as const) : ('ZENVIA' as const), sender: of.sender ?? '', username: of.username ?? '', defaultRegion: of.defaultRegion ?? '',
  keepAccents: of.keepAccents ?? false, endpoint: of.endpoint ?? '', ratePerMinute: of.ratePerMinute ?? 0, password: undefined as string | undefined,
})

function Form({ of }: { of: Settings }) {
  const t = channelTexts.useTexts()
  const a = accountTexts.useTexts()
  const w = words.useTexts()
  const may = useMay('System.Notifications.Manage')
  const client = useQueryClient()
  const [draft, setDraft] = useState(() => draftOf(of))
  const [saved, tell] = useState(false)
  const [testing, test] = useState(false)
  const intent = useIntent()
  const set = (part: Partial<typeof draft>) => { tell(false); setDraft((before) => ({ ...before, ...part })) }
  const dirty = JSON.stringify(draft) !== JSON.stringify(draftOf(of))
  const save = useMutation({
    mutationFn: () => {
      const body = changes(draftOf(of), draft)
      return ask(api.PATCH('/v1/sms-settings', { body: { ...body, requestId: intent(body) } }))
    },
    onSuccess: (now) => {
      client.setQueryData(key, now)
      setDraft(draftOf(now))
      tell(true)
    },
  })
  const single = useSingle(save.isPending, save.error)
  const twilio = draft.provider === 'TWILIO'
  const before = draftOf(of)
  const drops = Boolean(of.credentialSet) && (['provider', 'endpoint', 'username'] as const).some((field) => before[field] !== draft[field])
  const error = (field: string) => errorOf(save.error, field)
  return (
    <form className="card sms editor" noValidate onSubmit={(e: FormEvent) => { e.preventDefault(); single(() => save.mutate()) }}>
      <Unsaved dirty={() => may && dirty} />
      <fieldset className="fields" disabled={!may}>
        <p className="sm mid">{t('smsText')}</p>
        {!dirty && <Warnings of={of.warnings} />}
        {!dirty && <LastError error={of.lastError} at={of.lastErrorTime} />}
        <Switch label={w('enabled')} on={draft.enabled} disabled={!may} change={(enabled) => set({ enabled })} />
        <div className="two">
          <Field label={t('provider')}>{(given) => <select {...given} className="in" value={draft.provider} onChange={(e) => set({ provider: e.target.value as 'ZENVIA' | 'TWILIO' })}><option value="ZENVIA">{t('ZENVIA')}</option><option value="TWILIO">{t('TWILIO')}</option></select>}</Field>
          <Text label={t('sender')} hint={t(twilio ? 'senderTwilio' : 'senderZenvia')} value={draft.sender} length={64} error={error('sender')} change={(sender) => set({ sender })} />
        </div>
        <Text label={t(twilio ? 'userTwilio' : 'user')} mono value={draft.username} length={128} error={error('username')} change={(username) => set({ username })} />
        <Secret key={String(saved)} label={twilio ? t('secretTwilio') : a('password')} kept={of.credentialSet ?? false} drops={drops} value={draft.password} change={(password) => set({ password })} error={error('password')} />
        <div className="two">
          <Text label={t('region')} hint={t('regionHint')} optional value={draft.defaultRegion} length={2} error={error('defaultRegion')} change={(text) => set({ defaultRegion: text.toUpperCase() })} />
          <Text label={t('rate')} hint={a('rateHint')} value={String(draft.ratePerMinute)} length={7} error={error('ratePerMinute')} change={(text) => set({ ratePerMinute: Number(text.replace(/\D/g, '')) })} />
        </div>
        <Switch label={t('accents')} hint={t('accentsHint')} on={draft.keepAccents} disabled={!may} change={(keepAccents) => set({ keepAccents })} />
        <Text label={t('endpoint')} hint={t('endpointHint')} optional mono value={draft.endpoint} length={256} error={error('endpoint')} change={(endpoint) => set({ endpoint })} />
        {of.callbackPath && <div><p className="lab">{t('callback')}</p><Copy text={location.origin + of.callbackPath} /><p className="hint">{t('callbackHint')}</p></div>}
      </fieldset>
      <footer>
        {save.error && <RefusalNote error={save.error} />}
        <div className="btns">
          <span className="grow sm grn m" role="status">{saved && !dirty && t('saved')}</span>
          {may ? <><button type="button" className="btn" onClick={() => test(true)}>{t('testSms')}</button><button type="submit" className="btn pri" disabled={!dirty || save.isPending}>{t('save')}</button></> : <span className="sm dim">{w('readOnly')}</span>}
        </div>
      </footer>
      {testing && <TestSms close={() => test(false)} />}
    </form>
  )
}

function TestSms({ close }: { close: () => void }) {
  const t = channelTexts.useTexts()
  const client = useQueryClient()
  const [recipient, to] = useState(useMe().mobile ?? '')
  const [body, say] = useState(t('testBody'))
  const id = useRef(newId())
  const send = useMutation({
    mutationFn: () => ask(api.POST('/v1/sms-settings:test', { body: { recipient: recipient.trim(), body, requestId: id.current } })),
    onSuccess: () => {
      id.current = newId()
      void client.invalidateQueries({ queryKey: key })
    },
  })
  const change = (set: (text: string) => void) => (text: string) => { id.current = newId(); set(text) }
  return (
    <Editor title={t('testSms')} close={close} save={() => send.mutate()} text={t('send')} busyText={t('sending')} busy={send.isPending} error={send.error} ready={recipient.trim() !== ''}>
      <p className="sm mid">{t('testSmsText')}</p>
      <Text label={t('recipient')} type="tel" value={recipient} length={32} change={change(to)} error={errorOf(send.error, 'recipient')} focus required />
      <Area label={t('text')} value={body} length={1000} change={change(say)} error={errorOf(send.error, 'body')} />
      {send.data && <Result key={send.data.id} of={send.data} />}
    </Editor>
  )
}
