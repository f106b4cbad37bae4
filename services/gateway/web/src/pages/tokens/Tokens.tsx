import IconLock from '@tabler/icons-react/dist/esm/icons/IconLock.mjs'
import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs'
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { dateTime } from '../../app/format'
import { useMay } from '../../app/me'
import { Confirm } from '../../parts/Confirm'
import { Head } from '../../parts/Head'
import { Choice, type Column, Disabled, Filters, List, Name, RowMenu, Search } from '../../parts/List'
import { usePages, useParam, useSearchText } from '../../parts/paging'
import { usePermissionWords } from '../../parts/permissions'
import { channels, Rename, Shown, TokenEditor } from './TokenEditor'
import { tokenTexts } from './text'

export type Token = Schemas['Token']

const size = 50

type What = 'rename' | 'disable' | 'enable' | 'remove' | 'rearm'
type Doing = { what: 'create' } | { what: 'shown' | What; token: Token }

/** The credentials of programs. */
export function Tokens() {
  const t = tokenTexts.useTexts()
  const may = useMay('System.Tokens.Manage')
  const { text, type, settled } = useSearchText('q')
  const [channel, setChannel] = useParam('channel')
  const [off, setOff] = useParam('disabled')
  const words = settled.trim().slice(0, 128).replaceAll('"', '')
  const filter = [words && `text:"${words}"`, channel && `channel=${channel}`, off && `disabled=${off}`].filter(Boolean).join(' AND ')
  const pages = usePages(filter)
  const [doing, start] = useState<Doing>()
  const query = useQuery({
    queryKey: ['tokens', filter, pages.token],
    queryFn: () => ask(api.GET('/v1/tokens', { params: { query: { pageSize: size, pageToken: pages.token || undefined, filter: filter || undefined } } })),
    placeholderData: keepPreviousData,
  })
  return (
    <>
      <Head title={t('title')} text={t('text')}>
        {may && <button type="button" className="btn pri" onClick={() => start({ what: 'create' })}><IconPlus className="i" stroke={1.8} aria-hidden />{t('create')}</button>}
      </Head>
      <Filters>
        <Search label={t('search')} text={text} type={type} />
        <Choice label={t('channel')} value={channel} change={setChannel} options={[['', t('anyChannel')], ...channels.map((c): [string, string] => [c, t(c)])]} />
        <Choice label={t('state')} value={off} change={setOff} options={[['', t('anyState')], ['false', t('enabledOnly')], ['true', t('disabledOnly')]]} />
      </Filters>
      <List
        label={t('title')}
        rows={query.data?.tokens}
        id={(k) => k.id ?? ''}
        name={(k) => k.name ?? ''}
        columns={useColumns(may ? (token) => start({ what: 'rename', token }) : undefined)}
        query={query}
        empty={filter ? t('noneSuch') : t('none')}
        pages={pages}
        size={size}
        next={query.data?.nextPageToken}
        off={(k) => k.disabled ?? false}
        actions={may ? (token) => <Actions of={token} start={(what) => start({ what, token })} /> : undefined}
      />
      {doing?.what === 'create' && <TokenEditor close={() => start(undefined)} made={(token) => start({ what: 'shown', token })} />}
      {doing?.what === 'shown' && <Shown token={doing.token} close={() => start(undefined)} />}
      {doing?.what === 'rename' && <Rename token={doing.token} close={() => start(undefined)} />}
      {doing && doing.what !== 'create' && doing.what !== 'shown' && doing.what !== 'rename' && <Asked what={doing.what} token={doing.token} close={() => start(undefined)} />}
    </>
  )
}

function useColumns(open?: (token: Token) => void): Column<Token>[] {
  const t = tokenTexts.useTexts()
  const words = usePermissionWords()
  return [
    { head: t('name'), cell: (k) => <Name name={k.name ?? ''} below={k.id} open={open && (() => open(k))} /> },
    { head: t('channel'), cell: (k) => t(k.channel ?? 'CHANNEL_UNSPECIFIED') },
    { head: t('permissions'), cell: (k) => <ul className="may">{k.permissions?.map((p) => <li key={p} title={p}>{words(p)}</li>)}</ul> },
    { head: t('by'), cell: (k) => <bdi>{k.createdBy}</bdi> },
    { head: t('since'), cell: (k) => (k.createTime ? <span className="mid">{dateTime(k.createTime)}</span> : '–'), look: 'nw' },
    { head: t('state'), cell: (k) => <State of={k} /> },
  ]
}

function State({ of }: { of: Token }) {
  const t = tokenTexts.useTexts()
  if (of.disabled) return <Disabled />
  if (of.revokedBy) return <span className="chip clos" title={t('shutWhy')}><IconLock className="i" stroke={1.8} aria-hidden />{t('shut', { id: of.revokedBy })}</span>
  return <span className="mid">{t('works')}</span>
}

function Actions({ of, start }: { of: Token; start: (what: What) => void }) {
  const t = tokenTexts.useTexts()
  const controls = useMay('System.EmergencyPanel.Control')
  return (
    <div>
      {of.revokedBy && controls && <button type="button" className="btn sm" aria-label={t('rearmOf', { name: of.name })} onClick={() => start('rearm')}>{t('rearm')}</button>}
      <RowMenu
        name={of.name ?? ''}
        acts={[
          { text: t('rename'), act: () => start('rename') },
          { text: t('disable'), act: () => start('disable'), hidden: of.disabled },
          { text: t('enable'), act: () => start('enable'), hidden: !of.disabled },
          { text: t('remove'), act: () => start('remove') },
        ]}
      />
    </div>
  )
}

function Asked({ what, token, close }: { what: Exclude<What, 'rename'>; token: Token; close: () => void }) {
  const t = tokenTexts.useTexts()
  const client = useQueryClient()
  const path = { id: token.id ?? '' }
  return (
    <Confirm
      title={t(`${what}Title`, { name: token.name })}
      text={t(`${what}Text`)}
      button={t(what)}
      purpose="token"
      guarded={what === 'rearm'}
      act={(proof) => {
        if (what === 'rearm') return ask(api.POST('/v1/tokens/{id}:rearm', { params: { path }, body: proof }))
        if (what === 'remove') return ask(api.DELETE('/v1/tokens/{id}', { params: { path } }))
        return ask(api.PATCH('/v1/tokens/{id}', { params: { path }, body: { disabled: what === 'disable', ...proof } }))
      }}
      done={() => void client.invalidateQueries({ queryKey: ['tokens'] })}
      close={close}
    />
  )
}
