import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { dateTime } from '../../app/format'
import { newId } from '../../app/id'
import { useMay } from '../../app/me'
import { Confirm } from '../../parts/Confirm'
import { type Column, Disabled, Filters, List, Name, RowMenu } from '../../parts/List'
import { RefusalNote } from '../../parts/Note'
import { accountTexts } from './accounts-text'
import { channelTexts } from './channels-text'
import type { Mailbox } from './data'
import { MailboxEditor } from './MailboxEditor'
import { useShown } from './shown'
import { Standing } from './Standing'
import { words } from './text'

const all = 1000

/** What is read: bounces, read receipts and answers. */
export function Mailboxes() {
  const t = channelTexts.useTexts()
  const w = words.useTexts()
  const may = useMay('System.Notifications.Manage')
  const client = useQueryClient()
  const query = useQuery({ queryKey: ['mailboxes'], queryFn: () => ask(api.GET('/v1/mailboxes', { params: { query: { pageSize: all } } })) })
  const [id, show] = useShown('mailbox')
  const [removing, remove] = useState<Mailbox>()
  const refresh = () => void client.invalidateQueries({ queryKey: ['mailboxes'] })
  const check = useMutation({ mutationFn: (box: Mailbox) => ask(api.POST('/v1/mailboxes/{id}:check', { params: { path: { id: box.id ?? '' } }, body: { requestId: newId() } })), onSettled: refresh })
  const rows = query.data?.mailboxes
  const chosen = rows?.find((m) => m.id === id)
  return (
    <>
      <Filters>
        <p className="grow sm mid">{t('boxesText')}</p>
        {may && <button type="button" className="btn pri" onClick={() => show('new')}><IconPlus className="i" stroke={1.8} aria-hidden />{t('newBox')}</button>}
      </Filters>
      {check.error && <RefusalNote error={check.error} />}
      <List
        label={t('boxes')} rows={rows} id={(m) => m.id ?? ''} name={(m) => m.name ?? ''} columns={useColumns(may ? show : undefined)} query={query} empty={t('noBoxes')} off={(m) => !m.enabled}
        actions={may ? (m) => (
          <div>
            <button type="button" className="btn sm" aria-label={t('checkOne', { name: m.name })} disabled={check.isPending} onClick={() => check.mutate(m)}>{check.isPending && check.variables.id === m.id ? t('checking') : t('check')}</button>
            <RowMenu name={m.name ?? ''} acts={[{ text: w('edit'), act: () => show(m.id ?? '') }, { text: w('remove'), act: () => remove(m) }]} />
          </div>
        ) : undefined}
      />
      {may && (chosen || (id === 'new' && rows)) && <MailboxEditor key={id} of={chosen} close={() => show('')} />}
      {removing && <Confirm title={t('remove', { name: removing.name })} text={t('removeBox')} button={w('remove')} close={() => remove(undefined)} act={() => ask(api.DELETE('/v1/mailboxes/{id}', { params: { path: { id: removing.id ?? '' } } }))} done={refresh} />}
    </>
  )
}

function useColumns(show?: (id: string) => void): Column<Mailbox>[] {
  const t = channelTexts.useTexts()
  const d = accountTexts.useTexts()
  const w = words.useTexts()
  return [
    { head: w('name'), cell: (m) => <Name name={m.name ?? ''} below={m.username} open={show && (() => show(m.id ?? ''))} /> },
    { head: t('address'), cell: (m) => <><code className="wrap">{m.address}:{m.port}</code> <span className="dim">{m.protocol}</span></> },
    { head: t('lastCheck'), cell: (m) => (m.lastCheckTime ? <>{dateTime(m.lastCheckTime)}<div className="xs dim">{t('read', { count: Number(m.readMails ?? 0) })}, {t('matched', { count: Number(m.matchedMails ?? 0) })}</div></> : <span className="dim">{t('never')}</span>) },
    { head: d('state'), cell: (m) => (m.enabled ? <Standing of={m} /> : <Disabled />) },
  ]
}
