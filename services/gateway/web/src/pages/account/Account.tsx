import './account.css'
import IconLogout from '@tabler/icons-react/dist/esm/icons/IconLogout.mjs'
import { useMutation } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { api, ask } from '../../api/client'
import { useMe, useSetMe } from '../../app/me'
import { dateTime } from '../../app/format'
import { Head } from '../../parts/Head'
import { RefusalNote } from '../../parts/Note'
import { Here } from './Here'
import { Mfa } from './Mfa'
import { Password } from './Password'
import { Profile } from './Profile'
import { SshKeys } from './SshKeys'
import { account } from './text'

/** One's own account: who one is, how one proves it, and how this browser behaves. */
export function Account() {
  const t = account.useTexts()
  const out = useSignOut()
  const me = useMe()
  return (
    <>
      <Head title={t('title')}>
        <button type="button" className="btn" disabled={out.isPending} onClick={() => out.mutate()}>
          <IconLogout className="i s" stroke={1.6} aria-hidden />
          {t('signOut')}
        </button>
      </Head>
      {out.isError && <RefusalNote error={out.error} again={() => out.mutate()} />}
      <div className="acct">
        <div className="grid">
          <WhoIAm />
          <Profile />
        </div>
        <div className="grid">
          <Mfa />
          {!me.provider && <Password />}
          <SshKeys />
          <Here />
        </div>
      </div>
    </>
  )
}

function useSignOut() {
  const set = useSetMe()
  const me = useMe()
  const go = useNavigate()
  return useMutation({
    mutationFn: () => ask(api.DELETE('/v1/sign-ins/current')),
    onSuccess: async () => {
      // Whoever signs in next begins at the beginning.
      await go({ to: '/', ignoreBlocker: true })
      set(null)
      if (me.provider) location.assign('/oidc/leave')
    },
  })
}

function WhoIAm() {
  const t = account.useTexts()
  const me = useMe()
  const permissions = me.permissions ?? []
  return (
    <section className="card" aria-labelledby="acct-who">
      <header><h2 id="acct-who">{t('who')}</h2></header>
      <dl className="facts">
        <dt>{t('userName')}</dt>
        <dd><bdi>{me.name}</bdi></dd>
        {me.provider && <><dt>{t('provider')}</dt><dd><bdi>{me.provider.issuer}</bdi></dd></>}
        <dt>{t('roles')}</dt>
        <dd>
          {me.roles?.length ? me.roles.map((role) => <span key={role} className="tag"><bdi>{role}</bdi></span>) : t('noRoles')}
          {permissions.length > 0 && (
            <details className="sm">
              <summary>{t('permissions', { count: permissions.length })}</summary>
              <ul className="mono mid">{permissions.map((p) => <li key={p}>{p}</li>)}</ul>
            </details>
          )}
          <p className="hint">{t('roleHint')}</p>
        </dd>
        {me.createTime && <><dt>{t('since')}</dt><dd>{dateTime(me.createTime)}</dd></>}
      </dl>
    </section>
  )
}
