import { texts } from '../../app/language'

export const drifted = texts(
  'drifted',
  {
    changed: 'What has changed', sessions: 'Sessions', devices: 'Devices', accessGroups: 'Access groups', signIns: 'Signed in', tokens: 'Tokens', administrators: 'Administrators who remain',
    fromTo: 'from {{was}} to {{is}}', silent: 'Not counted, because unreachable: {{names}}. ', again: 'The preview shows it as it is now. Look at it, then apply again: your code has not been spent.',
  },
  {
    changed: 'O que mudou', sessions: 'Sessões', devices: 'Dispositivos', accessGroups: 'Grupos de acesso', signIns: 'Conectados', tokens: 'Tokens', administrators: 'Administradores que restam',
    fromTo: 'de {{was}} para {{is}}', silent: 'Não contados, por falta de contato: {{names}}. ', again: 'A prévia mostra como está agora. Confira e aplique de novo: seu código não foi gasto.',
  },
)
