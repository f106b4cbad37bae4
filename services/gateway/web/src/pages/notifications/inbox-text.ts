import { texts } from '../../app/language'

export const inboxTexts = texts(
  'inbox',
  {
    title: 'Inbox', close: 'Close the inbox', readAll: 'Mark all as read', read: 'Mark as read', readOne: 'Mark as read: {{subject}}', unread: 'Unread', unreadOnly: 'Unread only', none: 'Nothing here yet. What you are told on the screen stays here.', noneUnread: 'Nothing unread.',
    open: 'Open {{id}}', allRead: 'All is read', count_one: '{{count, number}} unread', count_other: '{{count, number}} unread', whole: 'Whole inbox',
  },
  {
    title: 'Entrada', close: 'Fechar a entrada', readAll: 'Marcar todas como lidas', read: 'Marcar como lida', readOne: 'Marcar como lida: {{subject}}', unread: 'Não lida', unreadOnly: 'Só não lidas', none: 'Nada aqui ainda. O que for dito a você na tela fica aqui.', noneUnread: 'Nada por ler.',
    open: 'Abrir {{id}}', allRead: 'Tudo lido', count_one: '{{count, number}} não lida', count_other: '{{count, number}} não lidas', whole: 'Entrada inteira',
  },
)
