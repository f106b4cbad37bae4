import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, ask, Refusal } from '../../api/client'
import { type Language, languages } from '../../app/language'
import { administratorRole, useMe, type User } from '../../app/me'
import { Area, changes, Checks, Editor, errorOf, Field, noProof, type Proof, ProofStep, proven, Switch, Text, useIntent } from '../../parts/Editor'
import { useRoles } from './Roles'
import { userTexts } from './text'

type Draft = { name: string; displayName: string; email: string; mobile: string; language: string; roles: string[]; sshPublicKeys: string[]; disabled: boolean }

const draftOf = (u?: User): Draft => ({
  name: u?.name ?? '', displayName: u?.displayName ?? '', email: u?.email ?? '', mobile: u?.mobile ?? '', language: u?.language || 'en',
  roles: [...(u?.roles ?? [])].sort(), sshPublicKeys: u?.sshPublicKeys ?? [], disabled: u?.disabled ?? false,
})

/** Whether the server takes a grant for it: what gives power over the brake, or takes over somebody who has it. */
function takesGrant(before: Draft | undefined, after: Draft, password: string): boolean {
  const was = before?.roles.includes(administratorRole) ?? false
  const is = after.roles.includes(administratorRole)
  if (is && !was) return true
  if (!was || !before) return false
  return (before.disabled && !after.disabled) || password !== '' || after.sshPublicKeys.some((k) => !before.sshPublicKeys.includes(k))
}

/** Makes a user, or changes one. */
export function UserEditor({ user, close }: { user?: User; close: () => void }) {
  const t = userTexts.useTexts()
  const client = useQueryClient()
  const own = useMe().name === user?.name
  const [before] = useState(() => draftOf(user))
  const [draft, set] = useState(before)
  const [keys, setKeys] = useState(before.sshPublicKeys.join('\n'))
  const [password, setPassword] = useState('')
  const [local, makeLocal] = useState(false)
  const [proof, prove] = useState<Proof>(noProof)
  const put = (part: Partial<Draft>) => set((now) => ({ ...now, ...part }))
  const after: Draft = { ...draft, roles: [...draft.roles].sort(), sshPublicKeys: keys.split('\n').map((k) => k.trim()).filter(Boolean) }
  const guarded = !own && takesGrant(user && before, after, password)
  const intent = useIntent()
  const save = useMutation({
    mutationFn: () => {
      const fields = user ? changes(before, after) : after
      // In a PATCH, null takes a value away.
      const body = { ...fields, ...(local && { provider: null as never }), ...(password && { password }), ...(guarded && { justification: proof.why.trim() }) }
      const signed = { ...body, ...(guarded && { grant: proof.grant?.grant }), requestId: intent(body) }
      return ask(user ? api.PATCH('/v1/users/{name}', { params: { path: { name: before.name } }, body: signed }) : api.POST('/v1/users', { body: signed }))
    },
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['users'] })
      close()
    },
    onError: (error) => {
      if (error instanceof Refusal && error.reason.startsWith('GRANT_')) prove((now) => ({ ...now, grant: undefined }))
    },
  })
  const dirty = Object.keys(changes(before, after)).length > 0 || password !== '' || local
  const wrong = (field: string) => errorOf(save.error, field)
  return (
    <Editor title={user ? t('edit', { name: user.name }) : t('create')} close={close} save={() => save.mutate()} busy={save.isPending} error={save.error} dirty={dirty} ready={dirty && draft.name.trim() !== '' && (!guarded || proven(proof))}>
      {!user && <Text label={t('name')} hint={t('nameHint')} value={draft.name} change={(name) => put({ name })} length={128} error={wrong('name')} focus />}
      <Text label={t('displayName')} optional value={draft.displayName} change={(displayName) => put({ displayName })} length={200} error={wrong('displayName')} />
      <div className="two">
        <Text label={t('email')} optional type="email" value={draft.email} change={(email) => put({ email: email.trim() })} length={254} error={wrong('email')} />
        <Text label={t('mobile')} optional type="tel" hint={t('mobileHint')} value={draft.mobile} change={(mobile) => put({ mobile })} length={32} error={wrong('mobile')} />
      </div>
      <Field label={t('language')} error={wrong('language')}>
        {(given) => (
          <select {...given} className="in" value={draft.language} onChange={(e) => put({ language: e.target.value })}>
            {(Object.keys(languages) as Language[]).map((l) => <option key={l} value={l}>{languages[l]}</option>)}
          </select>
        )}
      </Field>
      {user?.provider && (
        <>
          <p className="note">{t('comesFrom', { issuer: user.provider.issuer ?? '' })} {t('comesText')}</p>
          {!own && <Switch label={t('atProvider')} on={!local} change={(on) => { makeLocal(!on); setPassword('') }} />}
        </>
      )}
      {!own && (!user?.provider || local) && <Text label={t(user ? 'passwordNew' : 'password')} optional type="password" hint={<>{t('passwordHint')} {user && t('passwordAgain')}</>} value={password} change={setPassword} length={1024} error={wrong('password')} />}
      {own ? <p className="note caution">{t('ownRoles')}</p> : <RoleChecks value={draft.roles} provided={user?.provider?.roles ?? []} change={(roles) => put({ roles })} error={wrong('roles')} />}
      <Area label={t('keys')} optional mono hint={t('keysHint')} value={keys} change={setKeys} error={wrong('sshPublicKeys')} />
      {!own && <Switch label={t('enabled')} on={!draft.disabled} change={(on) => put({ disabled: !on })} />}
      {guarded && (
        <div className="part">
          <p className="sm"><b className="b">{t('guarded')}</b> {!before.roles.includes(administratorRole) && t('grantAdmin')}</p>
          <ProofStep purpose="user" proof={proof} change={prove} error={wrong('justification')} />
        </div>
      )}
    </Editor>
  )
}

function RoleChecks({ value, provided, change, error }: { value: string[]; provided: string[]; change: (roles: string[]) => void; error?: string }) {
  const t = userTexts.useTexts()
  const { data } = useRoles()
  const names = [...new Set([...(data?.roles ?? []).map((r) => r.name ?? ''), ...value])]
  return <Checks legend={t('roles')} hint={t('noRoles')} error={error} value={value} change={change} options={names.map((name) => ({ value: name, text: <><bdi>{name}</bdi>{provided.includes(name) && <span className="dim"> {t('byGroups')}</span>}</> }))} />
}
