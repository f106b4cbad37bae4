import { texts } from './language'

export const bellTexts = texts(
  'bell',
  {
    inbox: 'Inbox', unread_one: 'Inbox, {{count, number}} unread', unread_other: 'Inbox, {{count, number}} unread', came: 'New message: {{subject}}',
    waiting_one: '{{count, number}} unread message', waiting_other: '{{count, number}} unread messages',
  },
  {
    inbox: 'Entrada', unread_one: 'Entrada, {{count, number}} não lida', unread_other: 'Entrada, {{count, number}} não lidas', came: 'Nova mensagem: {{subject}}',
    waiting_one: '{{count, number}} mensagem não lida', waiting_other: '{{count, number}} mensagens não lidas',
  },
)
