import { texts } from '../../app/language'

export const words = texts(
  'approvals',
  {
    title: 'Waiting for a second administrator', decided: 'Nothing waits any more', text: 'Nothing is done until somebody else approves it.',
    cancel: 'Cancel {{target}}', shorten: 'Let {{target}} end at {{time}}', policy: 'Loosen the policy', applyLockdown: 'Apply a lockdown that no administrator could lift', applyLock: 'Lock {{name}}, which leaves no administrator',
    startsNow: 'It starts once it is approved', startsAt: 'It starts at {{time}}, or once it is approved,', lasts: 'and lasts {{span}}.', endless: 'and goes on until somebody lifts it.', revokes: 'Program tokens stay shut after it.',
    policyTickets: 'Tickets are not looked up any more.', codeOPTIONAL: 'The governance code is optional.', codeREQUIRED: 'Any governance code will do.', codePATTERN: 'The governance code has to match {{pattern}}.', act: 'Open what is closed: {{detail}}',
    by: 'Asked by', why: 'Justification', ticket: 'Ticket', left: 'Time left', policyOff: 'Opening early takes one administrator again.', policyMore: 'More get through every lockdown: {{names}}.', through: 'Let through: {{names}}.',
    approve: 'Approve', deny: 'Deny', takeBack: 'Take back', keep: 'Not now', sending: 'Sending',
    mine: 'You have asked for this. Another administrator has to approve it.', mayNot: 'A System Administrator decides.', against: 'It would lock your own user. Another administrator decides.',
    approveText: 'With a fresh code of your own MFA app. It is done at once.', approveAct: 'With a fresh code of your own MFA app. {{name}} then does it, by sending the same again.',
    denyText: 'Nothing changes, and {{name}} is told why.', whyNot: 'Why', approved: '{{id}} is approved.', denied: '{{id}} is denied.',
    unchecked: 'not looked up: {{why}}',
  },
  {
    title: 'À espera de mais um administrador', decided: 'Nada mais espera', text: 'Nada é feito até que outra pessoa aprove.',
    cancel: 'Cancelar {{target}}', shorten: 'Fazer {{target}} terminar em {{time}}', policy: 'Afrouxar a política', applyLockdown: 'Aplicar um lockdown que nenhum administrador poderia suspender', applyLock: 'Bloquear {{name}}, o que não deixa nenhum administrador',
    startsNow: 'Começa assim que for aprovado', startsAt: 'Começa em {{time}}, ou assim que for aprovado,', lasts: 'e dura {{span}}.', endless: 'e segue até alguém suspender.', revokes: 'Tokens de programas continuam fechados depois.',
    policyTickets: 'Chamados não são mais consultados.', codeOPTIONAL: 'O código de governança é opcional.', codeREQUIRED: 'Qualquer código de governança serve.', codePATTERN: 'O código de governança precisa seguir {{pattern}}.', act: 'Abrir o que está fechado: {{detail}}',
    by: 'Pedido por', why: 'Justificativa', ticket: 'Chamado', left: 'Tempo restante', policyOff: 'Abrir antes da hora volta a exigir um só administrador.', policyMore: 'Mais acessos passam por todo lockdown: {{names}}.', through: 'Passam por ele: {{names}}.',
    approve: 'Aprovar', deny: 'Negar', takeBack: 'Retirar', keep: 'Agora não', sending: 'Enviando',
    mine: 'Você pediu isto. Outro administrador precisa aprovar.', mayNot: 'Um System Administrator decide.', against: 'Bloquearia o seu próprio usuário. Quem decide é outro administrador.',
    approveText: 'Com um código novo do seu próprio app de MFA. É feito na hora.', approveAct: 'Com um código novo do seu próprio app de MFA. Depois {{name}} executa, enviando o mesmo de novo.',
    denyText: 'Nada muda, e {{name}} fica sabendo por quê.', whyNot: 'Por quê', approved: '{{id}} foi aprovado.', denied: '{{id}} foi negado.',
    unchecked: 'não consultado: {{why}}',
  },
)
