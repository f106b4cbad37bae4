import { texts } from '../../app/language'

export const words = texts(
  'hold',
  {
    title: 'Hold the doors',
    text: 'The last resort, for when the journal can’t be reached: shuts every door as a lockdown does, and is put on record once that can be done. Before, nobody can lift it.',
    usual: 'While the journal is there, apply a', usualLink: 'lockdown',
    long: 'How long', until: 'Holds until {{time}} at the latest.', type: 'Type', toHold: 'to hold', word: 'The word {{word}}', act: 'Hold the doors', acting: 'Holding',
    hint: 'Ends every session and signs everybody out but you. Pressing twice never holds twice.', lost: 'Not known yet whether they hold. Asking.',
    holds: 'Holds', none: 'Nothing is held.', left: 'Time left', ended: 'Ended {{time}}', by: 'By', why: 'Justification', record: 'On record', notYet: 'Not yet', doors: 'Doors', held: '{{count, number}} of {{of, number}} hold', HELD: 'Holds', UNREACHABLE: 'Unreachable', after: 'after {{ms}} ms',
  },
  {
    title: 'Segurar as portas',
    text: 'O último recurso, para quando o registro está fora de alcance: fecha todas as portas como um lockdown e entra no registro assim que possível. Antes disso, ninguém pode cancelar.',
    usual: 'Enquanto o registro responde, aplique um', usualLink: 'lockdown',
    long: 'Por quanto tempo', until: 'Segura no máximo até {{time}}.', type: 'Digite', toHold: 'para segurar', word: 'A palavra {{word}}', act: 'Segurar as portas', acting: 'Segurando',
    hint: 'Encerra todas as sessões e desconecta todos, menos você. Pressionar duas vezes não segura duas vezes.', lost: 'Ainda não se sabe se estão seguras. Perguntando.',
    holds: 'Portas seguradas', none: 'Nada está segurado.', left: 'Tempo restante', ended: 'Terminou {{time}}', by: 'Por', why: 'Justificativa', record: 'No registro', notYet: 'Ainda não', doors: 'Portas', held: '{{count, number}} de {{of, number}} seguram', HELD: 'Segura', UNREACHABLE: 'Sem contato', after: 'após {{ms}} ms',
  },
)
