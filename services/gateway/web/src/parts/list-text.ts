import { texts } from '../app/language'

export const listTexts = texts(
  'list',
  {
    previous: 'Previous', next: 'Next', range: '{{from}} to {{to}}', follows: '{{from}} to {{to}}, more follow', pages: 'Pages', move: 'move', open: 'open',
    actions: 'Actions', actionsFor: 'Actions for {{name}}', select: 'Select', selectAll: 'Select all on this page', selectOne: 'Select {{name}}',
    unsaved: 'There are changes that are not saved.', leave: 'Leave without saving', stay: 'Stay', saving: 'Saving', working: 'Working',
    closeEditor: 'Close, leave the editor', why: 'Justification', whyHint: 'Noted with the act, in the audit log.', ticketHint: 'The id of the change or incident ticket, where the policy requires one.', proof: 'Fresh code', proofHint: 'It takes a new code from your MFA app, good once.',
    disabled: 'Disabled', enabled: 'Enabled', refused: 'Not taken', asOf: 'As it was at {{time}}.',
  },
  {
    previous: 'Anterior', next: 'Próxima', range: '{{from}} a {{to}}', follows: '{{from}} a {{to}}, há mais', pages: 'Páginas', move: 'mover', open: 'abrir',
    actions: 'Ações', actionsFor: 'Ações para {{name}}', select: 'Selecionar', selectAll: 'Selecionar todas nesta página', selectOne: 'Selecionar {{name}}',
    unsaved: 'Há alterações que não foram salvas.', leave: 'Sair sem salvar', stay: 'Ficar', saving: 'Salvando', working: 'Em andamento',
    closeEditor: 'Fechar, sair do editor', why: 'Justificativa', whyHint: 'Registrada com o ato, na auditoria.', ticketHint: 'O número da mudança ou do incidente, se a política exigir.', proof: 'Código novo', proofHint: 'É preciso um código novo do seu app de MFA, válido uma vez.',
    disabled: 'Desativado', enabled: 'Ativado', refused: 'Não aceito', asOf: 'Como estava às {{time}}.',
  },
)
