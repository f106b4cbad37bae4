import IconPlus from '@tabler/icons-react/dist/esm/icons/IconPlus.mjs'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask } from '../../api/client'
import { useMe } from '../../app/me'
import { shell } from '../../app/text'
import { Confirm } from '../../parts/Confirm'
import { Checks, Editor, errorOf, Text, useIntent } from '../../parts/Editor'
import { List, Name } from '../../parts/List'
import { grantable, usePermissionWords } from '../../parts/permissions'
import { userTexts } from './text'

/** All roles: there are few, and the server answers them at once. */
export function useRoles() {
  return useQuery({ queryKey: ['roles'], queryFn: () => ask(api.GET('/v1/roles')) })
}

export function Roles({ may }: { may: boolean }) {
  const t = userTexts.useTexts()
  const s = shell.useTexts()
  const words = usePermissionWords()
  const query = useRoles()
  const client = useQueryClient()
  const [creating, create] = useState(false)
  const [removing, remove] = useState<string>()
  return (
    <>
      {may && <div className="flt"><span className="grow" /><button type="button" className="btn pri" onClick={() => create(true)}><IconPlus className="i" stroke={1.8} aria-hidden />{t('newRole')}</button></div>}
      <List
        label={t('tabRoles')}
        rows={query.data?.roles}
        id={(r) => r.name ?? ''}
        name={(r) => r.name ?? ''}
        query={query}
        empty={t('noRolesYet')}
        columns={[
          { head: t('role'), cell: (r) => <Name name={r.name ?? ''} /> },
          { head: t('permissions'), cell: (r) => <ul className="may">{r.permissions?.map((p) => <li key={p} title={p}>{words(p)}</li>)}</ul> },
          { head: t('kind'), cell: (r) => <span className="mid">{t(r.builtIn ? 'builtIn' : 'custom')}</span>, look: 'nw' },
        ]}
        actions={may ? (r) => !r.builtIn && <button type="button" className="btn sm" aria-label={`${s('remove')}: ${r.name}`} onClick={() => remove(r.name)}>{s('remove')}</button> : undefined}
      />
      {creating && <RoleEditor close={() => create(false)} />}
      {removing && (
        <Confirm
          title={t('removeRoleTitle', { name: removing })}
          text={t('removeRoleText')}
          button={s('remove')}
          act={() => ask(api.DELETE('/v1/roles/{name}', { params: { path: { name: removing } } }))}
          done={() => void client.invalidateQueries({ queryKey: ['roles'] })}
          close={() => remove(undefined)}
        />
      )}
    </>
  )
}

/** Makes a role of permissions that its maker holds; the panel's is not among them. */
function RoleEditor({ close }: { close: () => void }) {
  const t = userTexts.useTexts()
  const words = usePermissionWords()
  const mine = useMe().permissions ?? []
  const client = useQueryClient()
  const [name, setName] = useState('')
  const [permissions, choose] = useState<string[]>([])
  const intent = useIntent()
  const save = useMutation({
    mutationFn: () => ask(api.POST('/v1/roles', { body: { name, permissions, requestId: intent([name, permissions]) } })),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['roles'] })
      close()
    },
  })
  return (
    <Editor title={t('newRole')} close={close} save={() => save.mutate()} busy={save.isPending} error={save.error} dirty={name !== '' || permissions.length > 0} ready={name.trim() !== '' && permissions.length > 0}>
      <Text label={t('roleName')} hint={t('nameHint')} value={name} change={setName} length={128} error={errorOf(save.error, 'name')} focus />
      <Checks
        legend={t('permissions')}
        hint={t('roleHint')}
        error={errorOf(save.error, 'permissions')}
        value={permissions}
        change={choose}
        options={grantable.map((p) => ({ value: p, off: !mine.includes(p), text: <>{words(p)} <code className="dim xs">{p}</code></> }))}
      />
    </Editor>
  )
}
