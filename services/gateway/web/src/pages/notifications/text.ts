import { texts } from '../../app/language'

export const words = texts(
  'notifications',
  {
    title: 'Notifications', settings: 'Settings',
    tabs: 'Parts', tab_settings: 'Settings', tab_accounts: 'E-mail accounts', tab_mailboxes: 'Mailboxes', tab_sms: 'SMS', tab_outbox: 'Outbox', tab_inbox: 'Inbox',
    none_settings: 'This server does not send notifications yet. These are the types that they will fire on.',
    none_accounts: 'This server does not offer e-mail accounts yet.', none_mailboxes: 'This server does not offer mailboxes yet.', none_sms: 'This server does not offer SMS yet.',
    none_outbox: 'This server does not keep an outbox yet.', none_inbox: 'This server does not offer an inbox yet.',
    offered: 'This server offers it; this console does not show it yet. The API does:', docs: 'API reference',
    types: 'Types', typesText_one: '{{count, number}} type', typesText_other: '{{count, number}} types', find: 'Filter types', categories: 'Categories', all: 'All', nothing: 'No type is called that.', category: 'Category', shown_one: '{{count, number}} type found', shown_other: '{{count, number}} types found',
  },
  {
    title: 'Notificações', settings: 'Configurações',
    tabs: 'Partes', tab_settings: 'Configurações', tab_accounts: 'Contas de e-mail', tab_mailboxes: 'Caixas de correio', tab_sms: 'SMS', tab_outbox: 'Saída', tab_inbox: 'Entrada',
    none_settings: 'Este servidor ainda não envia notificações. Estes são os tipos em que elas vão disparar.',
    none_accounts: 'Este servidor ainda não oferece contas de e-mail.', none_mailboxes: 'Este servidor ainda não oferece caixas de correio.', none_sms: 'Este servidor ainda não oferece SMS.',
    none_outbox: 'Este servidor ainda não mantém uma caixa de saída.', none_inbox: 'Este servidor ainda não oferece uma caixa de entrada.',
    offered: 'Este servidor oferece isto; este console ainda não mostra. A API mostra:', docs: 'Referência da API',
    types: 'Tipos', typesText_one: '{{count, number}} tipo', typesText_other: '{{count, number}} tipos', find: 'Filtrar tipos', categories: 'Categorias', all: 'Todas', nothing: 'Nenhum tipo com esse nome.', category: 'Categoria', shown_one: '{{count, number}} tipo encontrado', shown_other: '{{count, number}} tipos encontrados',
  },
)

/** The server's catalogue speaks English; what is known of it here speaks Portuguese too. */
export const inPortuguese: Record<string, string> = {
  'Emergency panel': 'Painel de emergência',
  'emergency.session.terminated': 'Sessões foram encerradas',
  'emergency.freeze.scheduled': 'Um congelamento foi agendado',
  'emergency.freeze.started': 'Um congelamento começou',
  'emergency.freeze.ended': 'Um congelamento terminou',
  'emergency.freeze.cancelled': 'Um congelamento foi cancelado',
  'emergency.lockdown.scheduled': 'Um lockdown foi agendado',
  'emergency.lockdown.started': 'Um lockdown começou',
  'emergency.lockdown.ended': 'Um lockdown terminou',
  'emergency.lockdown.cancelled': 'Um lockdown foi cancelado',
  'emergency.attempt.refused': 'Alguém foi recusado durante um congelamento ou lockdown',
  'emergency.approval.requested': 'Uma aprovação foi pedida',
  'emergency.approval.granted': 'Uma aprovação foi dada',
  'emergency.approval.denied': 'Uma aprovação foi negada',
  'emergency.role.changed': 'System Administrator foi concedido ou retirado',
  'emergency.mfa.changed': 'O MFA de alguém foi redefinido',
  'emergency.policy.changed': 'A política, ou o que um congelamento bloqueia, mudou',
}
