import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { useMay } from '../../app/me'
import { Confirm } from '../../parts/Confirm'
import { type Column, Disabled, Filters, List, Name, RowMenu } from '../../parts/List'
import { accountTexts } from './accounts-text'
import { AccountEditor } from './AccountEditor'
import { type Account, useAccounts } from './data'
import { useShown } from './shown'
import { TestMail } from './TestMail'
import { Standing } from './Standing'
import { words } from './text'

type Doing = { what: 'test' | 'remove'; of: Account }

/** What e-mail goes out by. */
export function Accounts() {
  const t = accountTexts.useTexts()
  const w = words.useTexts()
  const may = useMay('System.Notifications.Manage')
  const client = useQueryClient()
  const query = useAccounts()
  const [id, show] = useShown('account')
  const [doing, start] = useState<Doing>()
  const rows = query.data?.smtpAccounts
  const chosen = rows?.find((a) => a.id === id)
  const path = { id: doing?.of.id ?? '' }
  return (
    <>
      <Filters>
        <p className="grow sm mid">{t('text')}</p>
        {may && <button type="button" className="btn pri" onClick={() => show('new')}><IconPlus className="i" stroke={1.8} aria-hidden />{t('create')}</button>}
      </Filters>
      <List
        label={t('list')} rows={rows} id={(a) => a.id ?? ''} name={(a) => a.name ?? ''} columns={useColumns(may ? show : undefined)} query={query} empty={t('none')} off={(a) => !a.enabled}
        actions={may ? (a) => (
          <div>
            <button type="button" className="btn sm" aria-label={t('testOne', { name: a.name })} onClick={() => start({ what: 'test', of: a })}>{t('test')}</button>
            <RowMenu name={a.name ?? ''} acts={[{ text: w('edit'), act: () => show(a.id ?? '') }, { text: w('remove'), act: () => start({ what: 'remove', of: a }) }]} />
          </div>
        ) : undefined}
      />
      {may && (chosen || (id === 'new' && rows)) && <AccountEditor key={id} of={chosen} usual={rows?.find((a) => a.defaultAccount)} close={(saved) => show(saved?.warnings?.length ? (saved.id ?? '') : '')} />}
      {doing?.what === 'test' && <TestMail of={doing.of} close={() => start(undefined)} />}
      {doing?.what === 'remove' && (
        <Confirm
          title={t('removeTitle', { name: doing.of.name })} text={rows?.length === 1 ? t('removeLast') : t('removeText')} button={w('remove')} close={() => start(undefined)}
          act={() => ask(api.DELETE('/v1/smtp-accounts/{id}', { params: { path } }))} done={() => void client.invalidateQueries({ queryKey: ['smtp-accounts'] })}
        />
      )}
    </>
  )
}

function useColumns(show?: (id: string) => void): Column<Account>[] {
  const t = accountTexts.useTexts()
  return [
    { head: t('name'), cell: (a) => <span className="row nmrow"><Name name={a.name ?? ''} below={a.sender} open={show && (() => show(a.id ?? ''))} />{a.defaultAccount && <span className="chip acc">{t('usual')}</span>}</span> },
    { head: t('server'), cell: (a) => <code className="wrap">{a.host}:{a.port}</code> },
    { head: t('security'), cell: (a) => (a.secureConnection ? a.secureConnectionType : <span className="dim">–</span>) },
    { head: t('state'), cell: (a) => (a.enabled ? <Standing of={a} /> : <Disabled />) },
  ]
}
