import { texts } from '../../app/language'
import type { Entry } from './data'

/** What was done where it is guarded like the brake, by the act's kind with a dash for its dot. */
const en = {
  'user-grant-administrator': 'Made System Administrator', 'user-enable-administrator': 'Administrator enabled', 'user-take-administrator': 'System Administrator taken away',
  'user-disable-administrator': 'Administrator disabled', 'user-delete-administrator': 'Administrator deleted', 'user-set-password': 'New password for an administrator',
  'user-add-key': 'SSH key added to an administrator', 'user-reset-mfa': 'MFA reset', 'user-replace-mfa': 'MFA replaced', 'user-recover': 'Recovered on the host: new password, new MFA',
  'user-link': 'May sign in at the OpenID provider', 'token-rearm': 'Token re-armed', 'access-group-unblock': 'Opened what a freeze or a lock closes',
}

const acts = texts('acts', en, {
  'user-grant-administrator': 'Tornou-se System Administrator', 'user-enable-administrator': 'Administrador habilitado', 'user-take-administrator': 'Deixou de ser System Administrator',
  'user-disable-administrator': 'Administrador desabilitado', 'user-delete-administrator': 'Administrador excluído', 'user-set-password': 'Nova senha para um administrador',
  'user-add-key': 'Chave SSH adicionada a um administrador', 'user-reset-mfa': 'MFA redefinido', 'user-replace-mfa': 'MFA substituído', 'user-recover': 'Recuperado no host: nova senha, novo MFA',
  'user-link': 'Pode entrar pelo provedor OpenID', 'token-rearm': 'Token rearmado', 'access-group-unblock': 'Abriu o que um congelamento ou um bloqueio fecha',
})

const known = (key: string): key is keyof typeof en => Object.hasOwn(en, key)

/** The guarded act in words; one that is too new to be known by its kind, and nothing for what is no act. */
export function useAct() {
  const t = acts.useTexts()
  return (e: Entry) => {
    const kind = e.change === 'ACT' ? (e.detail ?? '').split(' ')[0] : ''
    const key = kind.replace('.', '-')
    return known(key) ? t(key) : kind
  }
}
