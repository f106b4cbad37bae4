import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs'
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { administratorRole, useMay, useMe, type User } from '../../app/me'
import { shell } from '../../app/text'
import { Confirm } from '../../parts/Confirm'
import { Choice, type Column, Disabled, Filters, List, Name, RowMenu, Search, Tags } from '../../parts/List'
import { nameOf, usePages, useParam, useSearchText } from '../../parts/paging'
import { useRoles } from './Roles'
import { userTexts } from './text'
import { UserEditor } from './UserEditor'

const size = 50
const factors = ['NONE', 'PENDING', 'ACTIVE'] as const

type What = 'edit' | 'disable' | 'enable' | 'remove' | 'reset'
type Doing = { what: 'create' } | { what: What; user: User }

export function People({ may }: { may: boolean }) {
  const t = userTexts.useTexts()
  const { text, type, settled } = useSearchText('q')
  const [role, setRole] = useParam('role')
  const [mfa, setMfa] = useParam('mfa')
  const [off, setOff] = useParam('disabled')
  const filter = [settled.trim() && `name:${nameOf(settled)}`, role && `roles=${role}`, mfa && `mfa=${mfa}`, off && `disabled=${off}`].filter(Boolean).join(' AND ')
  const pages = usePages(filter)
  const [doing, start] = useState<Doing>()
  const roles = useRoles().data?.roles ?? []
  const query = useQuery({
    queryKey: ['users', filter, pages.token],
    queryFn: () => ask(api.GET('/v1/users', { params: { query: { pageSize: size, pageToken: pages.token || undefined, filter: filter || undefined } } })),
    placeholderData: keepPreviousData,
  })
  return (
    <>
      <Filters>
        <Search label={t('search')} text={text} type={type} />
        <Choice label={t('roles')} value={role} change={setRole} options={[['', t('anyRole')], ...roles.map((r): [string, string] => [r.name ?? '', r.name ?? ''])]} />
        <Choice label={t('mfa')} value={mfa} change={setMfa} options={[['', t('anyMfa')], ...factors.map((f): [string, string] => [f, `MFA: ${t(f)}`])]} />
        <Choice label={t('state')} value={off} change={setOff} options={[['', t('anyState')], ['false', t('enabledOnly')], ['true', t('disabledOnly')]]} />
        <span className="grow" />
        {may && <button type="button" className="btn pri" onClick={() => start({ what: 'create' })}><IconPlus className="i" stroke={1.8} aria-hidden />{t('create')}</button>}
      </Filters>
      <List
        label={t('tabUsers')}
        rows={query.data?.users}
        id={(u) => u.name ?? ''}
        name={(u) => u.name ?? ''}
        columns={useColumns(may ? (user) => start({ what: 'edit', user }) : undefined)}
        query={query}
        empty={filter ? t('noneSuch') : t('none')}
        pages={pages}
        size={size}
        next={query.data?.nextPageToken}
        off={(u) => u.disabled ?? false}
        actions={may ? (user) => <Actions of={user} start={(what) => start({ what, user })} /> : undefined}
      />
      {doing?.what === 'create' && <UserEditor close={() => start(undefined)} />}
      {doing?.what === 'edit' && <UserEditor user={doing.user} close={() => start(undefined)} />}
      {doing && doing.what !== 'create' && doing.what !== 'edit' && <Asked what={doing.what} user={doing.user} close={() => start(undefined)} />}
    </>
  )
}

function useColumns(open?: (u: User) => void): Column<User>[] {
  const t = userTexts.useTexts()
  const me = useMe()
  return [
    { head: t('name'), cell: (u) => <Name name={u.name ?? ''} below={[u.displayName, u.name === me.name && t('you'), u.provider && t('comesFrom', { issuer: u.provider.issuer ?? '' })].filter(Boolean).join(', ')} open={open && (() => open(u))} /> },
    { head: t('email'), cell: (u) => (u.email ? <bdi>{u.email}</bdi> : <span className="dim">–</span>) },
    { head: t('roles'), cell: (u) => <Tags of={u.roles ?? []} /> },
    { head: t('mfa'), cell: (u) => (u.mfa === 'ACTIVE' ? t('ACTIVE') : <span className="dim">{t(u.mfa ?? 'NONE')}</span>) },
    { head: t('keys'), cell: (u) => u.sshPublicKeys?.length ?? 0 },
    { head: t('state'), cell: (u) => (u.disabled ? <Disabled /> : <span className="mid">{t('enabled')}</span>) },
  ]
}

function Actions({ of, start }: { of: User; start: (what: What) => void }) {
  const t = userTexts.useTexts()
  const s = shell.useTexts()
  const own = useMe().name === of.name
  return (
    <div>
      <button type="button" className="btn sm" aria-label={`${s('edit')}: ${of.name}`} onClick={() => start('edit')}>{s('edit')}</button>
      <RowMenu
        name={of.name ?? ''}
        acts={[
          { text: t('reset'), act: () => start('reset'), hidden: own || of.mfa === 'NONE' },
          { text: t('disable'), act: () => start('disable'), hidden: own || of.disabled },
          { text: t('enable'), act: () => start('enable'), hidden: own || !of.disabled },
          { text: t('remove'), act: () => start('remove'), hidden: own },
        ]}
      />
      {own && <span className="icb ln gone" aria-hidden />}
    </div>
  )
}

function Asked({ what, user, close }: { what: Exclude<What, 'edit'>; user: User; close: () => void }) {
  const t = userTexts.useTexts()
  const client = useQueryClient()
  const path = { name: user.name ?? '' }
  const guarded = what === 'reset' || (what === 'enable' && user.roles?.includes(administratorRole))
  const controls = useMay('System.EmergencyPanel.Control')
  return (
    <Confirm
      title={t(`${what}Title`, path)}
      text={<>{t(`${what}Text`)} {guarded && controls && what === 'enable' && t('guarded')}</>}
      button={t(what)}
      purpose="user"
      guarded={guarded === true}
      act={(proof) => {
        if (what === 'remove') return ask(api.DELETE('/v1/users/{name}', { params: { path } }))
        if (what === 'reset') return ask(api.POST('/v1/users/{name}/mfa:reset', { params: { path }, body: proof }))
        return ask(api.PATCH('/v1/users/{name}', { params: { path }, body: { disabled: what === 'disable', ...proof } }))
      }}
      done={() => void client.invalidateQueries({ queryKey: ['users'] })}
      close={close}
    />
  )
}
