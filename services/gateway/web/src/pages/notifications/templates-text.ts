import { texts } from '../../app/language'

export const templateTexts = texts(
  'templates',
  {
    list: 'Templates', text: 'What notifications say, by type and language. Each has a text to begin with.', search: 'Filter types', both: 'Both languages', any: 'Changed or not', changedOnly: 'Changed only', changed: 'Changed', builtIn: 'Built in', type: 'Type', language: 'Language', subject: 'Subject', state: 'Text', by: 'By {{by}}, {{at}}', none: 'No text is like that.', open: '{{type}}, {{language}}',
    body: 'Text', bodyHint: 'Plain text. The HTML of the mail is made from it.', short: 'Short text', shortHint: 'One or two sentences: for SMS, the screen and chats.', facts: 'Facts to insert', factsHint: 'They go where the caret is. A line whose fact is missing is left out.', insert: 'Insert {{fact}}, for instance {{value}}', preview: 'Preview', previewText: 'With the facts of an example.', mail: 'Mail', plain: 'Plain text', sms_one: '{{count, number}} SMS', sms_other: '{{count, number}} SMS', reset: 'Back to the built-in text', resetTitle: 'Back to the built-in text?', resetText: 'What was written here is forgotten.',
  },
  {
    list: 'Modelos', text: 'O que as notificações dizem, por tipo e idioma. Cada uma tem um texto de início.', search: 'Filtrar tipos', both: 'Os dois idiomas', any: 'Alterados ou não', changedOnly: 'Só alterados', changed: 'Alterado', builtIn: 'Embutido', type: 'Tipo', language: 'Idioma', subject: 'Assunto', state: 'Texto', by: 'Por {{by}}, {{at}}', none: 'Nenhum texto assim.', open: '{{type}}, {{language}}',
    body: 'Texto', bodyHint: 'Texto puro. O HTML do e-mail é feito dele.', short: 'Texto curto', shortHint: 'Uma ou duas frases: para SMS, a tela e chats.', facts: 'Fatos para inserir', factsHint: 'Entram onde está o cursor. Uma linha cujo fato falta é omitida.', insert: 'Inserir {{fact}}, por exemplo {{value}}', preview: 'Prévia', previewText: 'Com os fatos de um exemplo.', mail: 'E-mail', plain: 'Texto puro', sms_one: '{{count, number}} SMS', sms_other: '{{count, number}} SMS', reset: 'Voltar ao texto embutido', resetTitle: 'Voltar ao texto embutido?', resetText: 'O que foi escrito aqui é esquecido.',
  },
)
