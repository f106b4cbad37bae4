import { Modal } from '@mantine/core'
import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { api, ask } from '../../api/client'
import { newId } from '../../app/id'
import { useMay } from '../../app/me'
import { Confirm } from '../../parts/Confirm'
import { Area, Editor, errorOf } from '../../parts/Editor'
import { type Column, Disabled, Filters, List, Name, RowMenu } from '../../parts/List'
import { accountTexts } from './accounts-text'
import { channelTexts } from './channels-text'
import { Copy } from './Copy'
import { type Method, useWebhooks, type Webhook } from './data'
import { Result } from './Delivery'
import { MethodName } from './Methods'
import { useShown } from './shown'
import { Standing } from './Standing'
import { words } from './text'
import { WebhookEditor } from './WebhookEditor'

type Doing = { what: 'test' | 'remove' | 'made'; of: Webhook }

/** Where Slack, Teams, PagerDuty and signed webhooks go. */
export function Webhooks() {
  const t = channelTexts.useTexts()
  const w = words.useTexts()
  const may = useMay('System.Notifications.Manage')
  const client = useQueryClient()
  const query = useWebhooks()
  const [id, show] = useShown('webhook')
  const [doing, start] = useState<Doing>()
  const rows = query.data?.webhooks
  const chosen = rows?.find((one) => one.id === id)
  const of = doing?.of
  return (
    <>
      <Filters>
        <p className="grow sm mid">{t('hooksText')}</p>
        {may && <button type="button" className="btn pri" onClick={() => show('new')}><IconPlus className="i" stroke={1.8} aria-hidden />{t('newHook')}</button>}
      </Filters>
      <List
        label={t('hooks')} rows={rows} id={(h) => h.id ?? ''} name={(h) => h.name ?? ''} columns={useColumns(may ? show : undefined)} query={query} empty={t('noHooks')} off={(h) => !h.enabled}
        actions={may ? (h) => (
          <div>
            <button type="button" className="btn sm" aria-label={t('testHook', { name: h.name })} onClick={() => start({ what: 'test', of: h })}>{t('test')}</button>
            <RowMenu name={h.name ?? ''} acts={[{ text: w('edit'), act: () => show(h.id ?? '') }, { text: w('remove'), act: () => start({ what: 'remove', of: h }) }]} />
          </div>
        ) : undefined}
      />
      {may && (chosen || (id === 'new' && rows)) && <WebhookEditor key={id} of={chosen} close={(saved) => { show(''); if (saved?.madeSecret) start({ what: 'made', of: saved }) }} />}
      {of && doing.what === 'test' && <Test of={of} close={() => start(undefined)} />}
      {of && doing.what === 'made' && (
        <Modal opened onClose={() => start(undefined)} withCloseButton={false} closeOnEscape={false} closeOnClickOutside={false} title={<bdi className="b">{t('made', { name: of.name })}</bdi>}>
          <div className="confirm"><p className="mid">{t('madeText')}</p><Copy text={of.madeSecret ?? ''} focus /><div className="btns"><button type="button" className="btn pri" onClick={() => start(undefined)}>{t('keptIt')}</button></div></div>
        </Modal>
      )}
      {of && doing.what === 'remove' && <Confirm title={t('remove', { name: of.name })} text={t('removeHook')} button={w('remove')} close={() => start(undefined)} act={() => ask(api.DELETE('/v1/webhooks/{id}', { params: { path: { id: of.id ?? '' } } }))} done={() => void client.invalidateQueries({ queryKey: ['webhooks'] })} />}
    </>
  )
}

function useColumns(show?: (id: string) => void): Column<Webhook>[] {
  const t = channelTexts.useTexts()
  const d = accountTexts.useTexts()
  const w = words.useTexts()
  return [
    { head: w('name'), cell: (h) => <Name name={h.name ?? ''} open={show && (() => show(h.id ?? ''))} /> },
    { head: t('kind'), cell: (h) => <MethodName of={h.method as Method} /> },
    { head: t('to'), cell: (h) => (h.urlShown ? <code className="wrap">{h.urlShown}</code> : <span className="dim">–</span>) },
    { head: t('language'), cell: (h) => h.language },
    { head: d('state'), cell: (h) => (h.enabled ? <Standing of={h} /> : <Disabled />) },
  ]
}

function Test({ of, close }: { of: Webhook; close: () => void }) {
  const t = channelTexts.useTexts()
  const client = useQueryClient()
  const [body, say] = useState(t('testBody'))
  const id = useRef(newId())
  const send = useMutation({
    mutationFn: () => ask(api.POST('/v1/webhooks/{id}:test', { params: { path: { id: of.id ?? '' } }, body: { body, requestId: id.current } })),
    onSuccess: () => {
      id.current = newId()
      void client.invalidateQueries({ queryKey: ['webhooks'] })
    },
  })
  return (
    <Editor title={t('testHook', { name: of.name })} close={close} save={() => send.mutate()} text={t('send')} busyText={t('sending')} busy={send.isPending} error={send.error}>
      <p className="sm mid">{t('testSmsText')}</p>
      <Area label={t('text')} value={body} length={1000} change={(text) => { id.current = newId(); say(text) }} error={errorOf(send.error, 'body')} />
      {send.data && <Result key={send.data.id} of={send.data} />}
    </Editor>
  )
}
