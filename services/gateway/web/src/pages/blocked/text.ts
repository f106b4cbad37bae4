import { texts } from '../../app/language'

export const blocked = texts(
  'blocked',
  {
    title: 'Portcullis is under lockdown',
    closedAt: 'An administrator closed every access at {{time}}.', closed: 'An administrator closed every access.',
    ended: 'Sessions ended, and everybody was signed out.', fault: 'Nothing is wrong with your account.',
    days_one: 'day', days_other: 'days', hours_one: 'hour', hours_other: 'hours', minutes_one: 'minute', minutes_other: 'minutes', seconds_one: 'second', seconds_other: 'seconds',
    left: '{{left}} left', until: 'Until', zones: '{{zone}}, that is {{utc}}',
    then: 'This page opens by itself when the lockdown lifts. Then sign in again.',
    why: 'Why', emergency: 'Emergency {{id}}', administrators: 'Administrators sign in',
    minutesLeft_one: '{{count}} minute of the lockdown left', minutesLeft_other: '{{count}} minutes of the lockdown left',
  },
  {
    title: 'O Portcullis está em lockdown',
    closedAt: 'Um administrador fechou todos os acessos às {{time}}.', closed: 'Um administrador fechou todos os acessos.',
    ended: 'As sessões terminaram e todas as pessoas saíram do console.', fault: 'Não há nada errado com a sua conta.',
    days_one: 'dia', days_other: 'dias', hours_one: 'hora', hours_other: 'horas', minutes_one: 'minuto', minutes_other: 'minutos', seconds_one: 'segundo', seconds_other: 'segundos',
    left: 'Faltam {{left}}', until: 'Até', zones: '{{zone}}, ou seja, {{utc}}',
    then: 'Esta página se abre sozinha quando o lockdown acabar. Depois, entre de novo.',
    why: 'Motivo', emergency: 'Emergência {{id}}', administrators: 'Entrada de administradores',
    minutesLeft_one: 'Falta {{count}} minuto de lockdown', minutesLeft_other: 'Faltam {{count}} minutos de lockdown',
  },
)
