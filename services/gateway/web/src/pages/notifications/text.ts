import { language, texts } from '../../app/language'
import { inPortuguese } from './portuguese'

export const words = texts(
  'notifications',
  {
    title: 'Notifications', settings: 'Settings', onlyInbox: 'What you were told on the screen.',
    tabs: 'Parts', tab_settings: 'Settings', tab_accounts: 'E-mail accounts', tab_mailboxes: 'Mailboxes', tab_sms: 'SMS', tab_webhooks: 'Webhooks', tab_templates: 'Templates', tab_outbox: 'Outbox', tab_inbox: 'Inbox',
    EMAIL: 'E-mail', SCREEN: 'Screen', SMS: 'SMS', SLACK: 'Slack', TEAMS: 'Teams', PAGERDUTY: 'PagerDuty', WEBHOOK: 'Webhook', METHOD_UNSPECIFIED: 'Unknown',
    enabled: 'Enabled', name: 'Name', edit: 'Edit', remove: 'Delete', lastError: 'Last error', warnings: 'As it stands', readOnly: 'You may look at this, not change it.',
    types: 'Types', typesText_one: '{{count, number}} type', typesText_other: '{{count, number}} types', find: 'Filter types', categories: 'Categories', all: 'All', nothing: 'No type is called that.', category: 'Category', shown_one: '{{count, number}} type found', shown_other: '{{count, number}} types found',
    unsaved: 'There are changes that are not saved.', leave: 'Leave without saving', stay: 'Stay', unsavedTitle: 'Leave without saving?',
    loadMore: 'Show more',
  },
  {
    title: 'Notificações', settings: 'Configurações', onlyInbox: 'O que foi dito a você na tela.',
    tabs: 'Partes', tab_settings: 'Configurações', tab_accounts: 'Contas de e-mail', tab_mailboxes: 'Caixas de correio', tab_sms: 'SMS', tab_webhooks: 'Webhooks', tab_templates: 'Modelos', tab_outbox: 'Saída', tab_inbox: 'Entrada',
    EMAIL: 'E-mail', SCREEN: 'Tela', SMS: 'SMS', SLACK: 'Slack', TEAMS: 'Teams', PAGERDUTY: 'PagerDuty', WEBHOOK: 'Webhook', METHOD_UNSPECIFIED: 'Desconhecido',
    enabled: 'Ativado', name: 'Nome', edit: 'Editar', remove: 'Excluir', lastError: 'Último erro', warnings: 'Como está', readOnly: 'Você pode ver isto, mas não alterar.',
    types: 'Tipos', typesText_one: '{{count, number}} tipo', typesText_other: '{{count, number}} tipos', find: 'Filtrar tipos', categories: 'Categorias', all: 'Todas', nothing: 'Nenhum tipo com esse nome.', category: 'Categoria', shown_one: '{{count, number}} tipo encontrado', shown_other: '{{count, number}} tipos encontrados',
    unsaved: 'Há alterações que não foram salvas.', leave: 'Sair sem salvar', stay: 'Ficar', unsavedTitle: 'Sair sem salvar?',
    loadMore: 'Mostrar mais',
  },
)

/** As the server says it, or in the language of the person where it is known. */
export const said = (key: string | undefined, english?: string) => (language() === 'pt-BR' && inPortuguese[key ?? '']) || english || key || ''

// What the server warns of, in Portuguese: it speaks English only.
const warnings: [RegExp, string][] = [
  [/^It is disabled: nobody is told\.$/, 'Está desativada: ninguém é avisado.'],
  [/^It fires on nothing/, 'Não dispara em nada: escolha em que ela dispara.'],
  [/^It has no contacts/, 'Não tem contatos: ninguém é avisado por e-mail, na tela ou por SMS.'],
  [/^SMS is not set up/, 'O SMS não está configurado, ou está desativado: nenhum SMS sai.'],
  [/^It has no enabled webhook for (\w+)/, 'Não tem webhook ativado para $1: nada sai por ele.'],
  [/^There is no SMTP account/, 'Não há conta SMTP: nenhum e-mail sai.'],
  [/^The SMTP account (.*) that its e-mail goes out by is disabled.*$/, 'A conta SMTP $1, por onde sai o e-mail dela, está desativada: o e-mail espera.'],
  [/^Its SMTP account is gone: its e-mail goes out by the default account, (.*)\.$/, 'A conta SMTP dela não existe mais: o e-mail sai pela conta padrão, $1.'],
  [/^(.*) can't go by (\w+)\.$/, '$1 não pode ir por $2.'],
  [/^It has no password: enter one.*$/, 'Não tem senha: digite uma. Uma senha guardada é esquecida quando muda o servidor, o usuário ou a segurança.'],
  [/^It is the default account, and disabled.*$/, 'É a conta padrão e está desativada: o e-mail que sai por ela espera.'],
]

export function warned(text: string): string {
  if (language() !== 'pt-BR') return text
  const found = warnings.find(([of]) => of.test(text))
  return found ? text.replace(found[0], found[1]).replace(/(\.)[^.]*$/, '$1') : text
}
