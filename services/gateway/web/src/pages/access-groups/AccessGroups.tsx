import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs'
import IconSnowflake from '@tabler/icons-react/dist/esm/icons/IconSnowflake.mjs'
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask, type Schemas } from '../../api/client'
import { dateTime, number } from '../../app/format'
import { useMay } from '../../app/me'
import { shell } from '../../app/text'
import { Confirm } from '../../parts/Confirm'
import { Head } from '../../parts/Head'
import { Choice, type Column, Disabled, Filters, List, Name, RowMenu, Search } from '../../parts/List'
import { nameOf, usePages, useParam, useSearchText } from '../../parts/paging'
import { useFrozenUntil } from './freeze'
import { GroupEditor } from './GroupEditor'
import { OpenGroup } from './OpenGroup'
import { groupTexts } from './text'
import './groups.css'

export type Group = Schemas['AccessGroup']

const size = 50

type Doing = { what: 'create' } | { what: 'edit' | 'remove'; group: Group }

/** Who may open sessions on what, and what a freeze closes. */
export function AccessGroups() {
  const t = groupTexts.useTexts()
  const may = useMay('System.Devices.Manage')
  const name = useSearchText('q')
  const [blocks, setBlocks] = useParam('blocks')
  const device = useSearchText('device')
  const user = useSearchText('user')
  const filter = [
    name.settled.trim() && `name=${nameOf(name.settled)}*`, blocks && `blockDuringFreezes=${blocks}`,
    device.settled.trim() && `device=${nameOf(device.settled)}`, user.settled.trim() && `user=${nameOf(user.settled)}`,
  ].filter(Boolean).join(' AND ')
  const pages = usePages(filter)
  const [doing, start] = useState<Doing>()
  const query = useQuery({
    queryKey: ['access-groups', filter, pages.token],
    queryFn: () => ask(api.GET('/v1/access-groups', { params: { query: { pageSize: size, pageToken: pages.token || undefined, filter: filter || undefined, view: 'BASIC' } } })),
    placeholderData: keepPreviousData,
  })
  return (
    <>
      <Head title={t('title')} text={t('text')}>
        {may && <button type="button" className="btn pri" onClick={() => start({ what: 'create' })}><IconPlus className="i" stroke={1.8} aria-hidden />{t('create')}</button>}
      </Head>
      <Filters>
        <Search label={t('search')} text={name.text} type={name.type} />
        <Search label={t('user')} text={user.text} type={user.type} />
        <Search label={t('device')} text={device.text} type={device.type} />
        <Choice label={t('blocks')} value={blocks} change={setBlocks} options={[['', t('any')], ['true', t('blocking')], ['false', t('notBlocking')]]} />
      </Filters>
      <List
        label={t('title')}
        rows={query.data?.accessGroups}
        id={(g) => g.name ?? ''}
        name={(g) => g.name ?? ''}
        columns={useColumns(may ? (group) => start({ what: 'edit', group }) : undefined)}
        query={query}
        empty={filter ? t('noneSuch') : t('none')}
        pages={pages}
        size={size}
        next={query.data?.nextPageToken}
        off={(g) => g.disabled ?? false}
        actions={may ? (g) => <Actions of={g} start={start} /> : undefined}
      />
      {doing?.what === 'create' && <GroupEditor close={() => start(undefined)} />}
      {doing?.what === 'edit' && <OpenGroup name={doing.group.name ?? ''} close={() => start(undefined)} />}
      {doing?.what === 'remove' && <Remove group={doing.group} close={() => start(undefined)} />}
    </>
  )
}

function useColumns(open?: (g: Group) => void): Column<Group>[] {
  const t = groupTexts.useTexts()
  const frozen = useFrozenUntil() > 0
  return [
    { head: t('name'), cell: (g) => <Name name={g.name ?? ''} open={open && (() => open(g))} /> },
    { head: t('users'), cell: (g) => number(g.userCount ?? 0) },
    { head: t('devices'), cell: (g) => number(g.deviceCount ?? 0) },
    {
      head: t('blocks'),
      cell: (g) => (frozen && g.blockDuringFreezes && !g.disabled
        ? <span className="chip froz"><IconSnowflake className="i" stroke={1.8} aria-hidden />{t('closing')}</span>
        : g.blockDuringFreezes ? t('yes') : <span className="dim">{t('no')}</span>),
    },
    { head: t('since'), cell: (g) => (g.createTime ? <span className="mid">{dateTime(g.createTime)}</span> : '–'), look: 'nw' },
    { head: t('state'), cell: (g) => (g.disabled ? <Disabled /> : <Enabled />) },
  ]
}

function Enabled() {
  return <span className="mid">{groupTexts.useTexts()('enabled')}</span>
}

function Actions({ of, start }: { of: Group; start: (doing: Doing) => void }) {
  const t = groupTexts.useTexts()
  const s = shell.useTexts()
  return (
    <div>
      <button type="button" className="btn sm" aria-label={`${s('edit')}: ${of.name}`} onClick={() => start({ what: 'edit', group: of })}>{s('edit')}</button>
      <RowMenu name={of.name ?? ''} acts={[{ text: t('remove'), act: () => start({ what: 'remove', group: of }) }]} />
    </div>
  )
}

/** Deletes a group; while a freeze is on, one that closes devices takes a fresh code. */
function Remove({ group, close }: { group: Group; close: () => void }) {
  const t = groupTexts.useTexts()
  const client = useQueryClient()
  const until = useFrozenUntil()
  const opens = until > 0 && group.blockDuringFreezes === true && !group.disabled
  const path = { name: group.name ?? '' }
  return (
    <Confirm
      title={t('removeTitle', path)}
      text={<>{t('removeText')} {opens && <b>{t('removeOpens', { count: group.deviceCount ?? 0, until: dateTime(until) })}</b>}</>}
      button={t('remove')}
      purpose="access-group"
      guarded={opens}
      act={({ grant, justification, governanceCode }) => ask(api.DELETE('/v1/access-groups/{name}', { params: { path, query: { grant, justification, governanceCode } } }))}
      done={() => void client.invalidateQueries({ queryKey: ['access-groups'] })}
      close={close}
    />
  )
}
