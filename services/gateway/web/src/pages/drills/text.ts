import { texts } from '../../app/language'

export const words = texts(
  'drills',
  {
    title: 'Drills', text: 'Practises an emergency: the same record, the same way to every door and back. Nobody is refused, and no session ends.',
    start: 'Start a drill', what: 'What to practise', lockdown: 'Lockdown', freeze: 'Freeze', termination: 'Termination of all sessions', lasts: 'How long', when: 'When', now: 'Now', daily: 'Every day', weekly: 'Every week', first: 'First time',
    act: 'Start the drill', plan: 'Plan it', acting: 'Starting', hint: 'Nothing is shut by it. Each door says what it would have done.', prove: 'Prove that it is you', firstOff: 'The first time lies ahead, within a year.',
    list: 'Drills', none: 'None was run yet.', id: 'Drill', practised: 'Practised', began: 'Started', status: 'Status', doors: 'Doors', would: 'Would have', by: 'By', more: 'Show more',
    RUNNING: 'Running', DONE: 'Done', CANCELLED: 'Ended early', confirmed: '{{n}} of {{of}} confirmed', refused: 'Requests that would have been refused', ended: 'Sessions that would have ended',
    median: 'Half of the doors held within', slowest: 'Slowest to confirm', ms: '{{ms}} ms', notMeasured: 'not measured', endedBy: 'Ended by', ends: 'Ends', why: 'Justification', ticket: 'Governance code', schedule: 'Planned by', revision: 'Revision',
    door: 'Door', service: 'Service', held: 'Held after', wouldRefuse: 'Would refuse', wouldEnd: 'Would end', untold: 'does not say', receipts: 'Door by door', omitted: '{{n}} more are not listed.', untoldNote: '{{n}} doors of an earlier version don’t say what they would have done.',
    unconfirmed: '{{n}} did not confirm', every: 'Every door confirmed', print: 'Print', cancel: 'End the drill', unknown: 'There is no drill {{id}}.', report: 'Report of a drill', runs: 'This drill runs. Nobody is touched.', forbidden: 'Drills are for System Administrators. Ask one of them, or sign in as one.',
    planned: 'Planned', noPlan: 'Nothing is planned.', next: 'Next', lastTime: 'Last', leftOut: 'Last time left out: {{why}}', remove: 'Plan it no longer', answers: '{{name}} answers for it',
  },
  {
    title: 'Simulados', text: 'Pratica uma emergência: o mesmo registro, o mesmo caminho até cada porta e de volta. Ninguém é recusado e nenhuma sessão termina.',
    start: 'Iniciar um simulado', what: 'O que praticar', lockdown: 'Lockdown', freeze: 'Congelamento', termination: 'Encerramento de todas as sessões', lasts: 'Duração', when: 'Quando', now: 'Agora', daily: 'Todo dia', weekly: 'Toda semana', first: 'Primeira vez',
    act: 'Iniciar o simulado', plan: 'Agendar', acting: 'Iniciando', hint: 'Nada é fechado por ele. Cada porta diz o que teria feito.', prove: 'Prove que é você', firstOff: 'A primeira vez fica no futuro, dentro de um ano.',
    list: 'Simulados', none: 'Nenhum foi feito ainda.', id: 'Simulado', practised: 'Praticado', began: 'Início', status: 'Situação', doors: 'Portas', would: 'Teria', by: 'Por', more: 'Mostrar mais',
    RUNNING: 'Em andamento', DONE: 'Concluído', CANCELLED: 'Encerrado antes', confirmed: '{{n}} de {{of}} confirmaram', refused: 'Pedidos que teriam sido recusados', ended: 'Sessões que teriam terminado',
    median: 'Metade das portas confirmou em até', slowest: 'A mais lenta a confirmar', ms: '{{ms}} ms', notMeasured: 'não medido', endedBy: 'Encerrado por', ends: 'Fim', why: 'Justificativa', ticket: 'Código de governança', schedule: 'Agendado por', revision: 'Revisão',
    door: 'Porta', service: 'Serviço', held: 'Confirmou após', wouldRefuse: 'Recusaria', wouldEnd: 'Encerraria', untold: 'não informa', receipts: 'Porta por porta', omitted: 'Mais {{n}} não estão na lista.', untoldNote: '{{n}} portas de uma versão anterior não informam o que teriam feito.',
    unconfirmed: '{{n}} não confirmaram', every: 'Todas as portas confirmaram', print: 'Imprimir', cancel: 'Encerrar o simulado', unknown: 'Não existe o simulado {{id}}.', report: 'Relatório de um simulado', runs: 'Este simulado está em andamento. Ninguém é afetado.', forbidden: 'Simulados são para System Administrators. Peça a um deles, ou entre como um.',
    planned: 'Agendados', noPlan: 'Nada está agendado.', next: 'Próximo', lastTime: 'Último', leftOut: 'Da última vez não foi feito: {{why}}', remove: 'Não agendar mais', answers: '{{name}} responde por ele',
  },
)
