import { texts } from '../../app/language'

export const deliveryTexts = texts(
  'delivery',
  {
    QUEUED: 'Waiting', SENT: 'Sent', DELIVERED: 'Delivered', READ: 'Read', BOUNCED: 'Bounced', FAILED: 'Failed', STATE_UNSPECIFIED: 'Unknown',
    QUEUED_text: 'It waits for its first attempt, or the next.', SENT_text: 'The server has confirmed that it took it.', DELIVERED_text: 'The recipient’s server or phone has it.', READ_text: 'It was read.', BOUNCED_text: 'It came back.', FAILED_text: 'It was given up. It can be sent again.', STATE_UNSPECIFIED_text: '',
    answer: 'The server said', error: 'Error', next: 'Tried again at {{at}}', attempts_one: '{{count, number}} attempt', attempts_other: '{{count, number}} attempts', latest: 'The latest attempts', went: 'It went well.',
    title: 'Message to {{to}}', to: 'To', method: 'Method', state: 'State', subject: 'Subject', type: 'Type', test: 'Test', account: 'By', created: 'Made', updated: 'Last change', messageId: 'Message-ID', emergency: 'Tells of', segments: 'SMS it takes', language: 'Language', body: 'Text', replies: 'Replies', noSubject: 'no subject', repeated: 'It was in flight at a crash, and may have arrived twice.',
    resend: 'Send again', resent: 'It waits to be sent again.', resendOne: 'Send again: {{to}}', search: 'In recipient or subject', anyState: 'Any state', anyMethod: 'Any method', contact: 'Contact, whole name', none: 'Nothing was sent yet.', noneSuch: 'Nothing is like that.', when: 'When', tries: 'Attempts', outbox: 'Outbox', open: 'Open', inOutbox: 'In the outbox',
  },
  {
    QUEUED: 'Aguardando', SENT: 'Enviada', DELIVERED: 'Entregue', READ: 'Lida', BOUNCED: 'Devolvida', FAILED: 'Falhou', STATE_UNSPECIFIED: 'Desconhecido',
    QUEUED_text: 'Espera a primeira tentativa, ou a próxima.', SENT_text: 'O servidor confirmou que a recebeu.', DELIVERED_text: 'O servidor ou o celular do destinatário a tem.', READ_text: 'Foi lida.', BOUNCED_text: 'Ela voltou.', FAILED_text: 'Foi abandonada. Pode ser enviada de novo.', STATE_UNSPECIFIED_text: '',
    answer: 'O servidor disse', error: 'Erro', next: 'Nova tentativa às {{at}}', attempts_one: '{{count, number}} tentativa', attempts_other: '{{count, number}} tentativas', latest: 'As últimas tentativas', went: 'Deu certo.',
    title: 'Mensagem para {{to}}', to: 'Para', method: 'Método', state: 'Estado', subject: 'Assunto', type: 'Tipo', test: 'Teste', account: 'Por', created: 'Criada', updated: 'Última mudança', messageId: 'Message-ID', emergency: 'Fala de', segments: 'SMS que ocupa', language: 'Idioma', body: 'Texto', replies: 'Respostas', noSubject: 'sem assunto', repeated: 'Estava a caminho numa queda, e pode ter chegado duas vezes.',
    resend: 'Enviar de novo', resent: 'Espera para ser enviada de novo.', resendOne: 'Enviar de novo: {{to}}', search: 'No destinatário ou assunto', anyState: 'Qualquer estado', anyMethod: 'Qualquer método', contact: 'Contato, nome inteiro', none: 'Nada foi enviado ainda.', noneSuch: 'Nada assim.', when: 'Quando', tries: 'Tentativas', outbox: 'Saída', open: 'Abrir', inOutbox: 'Na saída',
  },
)
