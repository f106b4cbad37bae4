import type { Permission } from '../app/me'
import { texts } from '../app/language'

export const permissionTexts = texts(
  'permissions',
  {
    'Access-Check': 'Ask whether somebody else may open a session', 'Audit-Read': 'Read the audit log', 'Devices-Manage': 'Change devices and access groups', 'EmergencyPanel-Control': 'Open the emergency panel',
    'Events-Publish': 'Publish events for notifications', 'Notifications-Manage': 'Change notifications, and what they go out by', 'Policy-Manage': 'Change the policy', Read: 'Read everything but the audit log', 'Sessions-Manage': 'End, suspend and lock sessions', 'Tokens-Manage': 'Change API tokens', 'Users-Manage': 'Change users and roles',
  },
  {
    'Access-Check': 'Perguntar se outra pessoa pode abrir uma sessão', 'Audit-Read': 'Ler a auditoria', 'Devices-Manage': 'Alterar dispositivos e grupos de acesso', 'EmergencyPanel-Control': 'Abrir o painel de emergência',
    'Events-Publish': 'Publicar eventos para notificações', 'Notifications-Manage': 'Alterar notificações e por onde elas saem', 'Policy-Manage': 'Alterar a política', Read: 'Ler tudo, menos a auditoria', 'Sessions-Manage': 'Encerrar, suspender e travar sessões', 'Tokens-Manage': 'Alterar tokens de API', 'Users-Manage': 'Alterar usuários e papéis',
  },
)

/** What a custom role or a token can hold: all but the panel, which belongs to administrators. */
export const grantable = [
  'System.Read', 'System.Audit.Read', 'System.Sessions.Manage', 'System.Devices.Manage', 'System.Users.Manage', 'System.Tokens.Manage', 'System.Policy.Manage', 'System.Access.Check', 'System.Events.Publish', 'System.Notifications.Manage',
] as const satisfies Permission[]

/** A permission in words; one that this console does not know, by its name. */
export function usePermissionWords(): (permission: string) => string {
  const t = permissionTexts.useTexts()
  return (permission) => {
    const key = permission.replace(/^System\./, '').replaceAll('.', '-')
    const words = t(key as 'Read')
    return words === key ? permission : words
  }
}
