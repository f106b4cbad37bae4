import { texts } from '../../app/language'

export const tokenTexts = texts(
  'tokens',
  {
    title: 'API tokens', text: 'Credentials of programs. Each is shown once, when it is made.', create: 'New token', edit: 'Token {{name}}', search: 'In the name, id or maker', anyChannel: 'Any channel',
    name: 'Name', channel: 'Channel', permissions: 'May', by: 'Made by', since: 'Made', state: 'State', id: 'Id',
    API: 'API', AGENT: 'Agent', ENFORCER: 'Enforcer', CHANNEL_UNSPECIFIED: 'Not known',
    APIText: 'A program that calls this API. A lockdown refuses it.', AGENTText: 'An endpoint agent. A lockdown refuses it.', ENFORCERText: 'A door that enforces: a guard, a connector, a driver. No lockdown refuses it, so it may little.',
    permissionsHint: 'None chosen: it reads all and changes nothing.', nameHint: 'What it is for, 1 to 128 characters.',
    none: 'No tokens yet.', noneSuch: 'No token is like that.', works: 'Works', shut: 'Shut by {{id}}', shutWhy: 'A lockdown revoked the tokens. It works again once it is re-armed.',
    rename: 'Rename', disable: 'Disable', enable: 'Enable', remove: 'Delete', rearm: 'Re-arm', rearmOf: 'Re-arm {{name}}', anyState: 'Enabled or not', enabledOnly: 'Enabled', disabledOnly: 'Disabled',
    disableTitle: 'Disable {{name}}?', disableText: 'What uses it is refused until it is enabled again.', removeTitle: 'Delete {{name}}?', removeText: 'What uses it is refused from now on. It can’t be taken back.',
    enableTitle: 'Enable {{name}}?', enableText: 'What uses it is let in again.',
    rearmTitle: 'Re-arm {{name}}?', rearmText: 'A lockdown has shut this token. Re-arming lets its program in again, and undoes that part of the lockdown.',
    made: 'Token {{name}}', madeText: 'Copy it now. It is not shown again; whoever holds it may what it may.', lost: 'The token is made, but its secret got lost with the answer, and nobody can show it again. Delete the token, and make another.', kept: 'I have kept it', copyFailed: 'The browser does not let it be copied. Select it and copy it by hand.',
  },
  {
    title: 'Tokens de API', text: 'Credenciais de programas. Cada uma é mostrada uma vez, ao ser criada.', create: 'Novo token', edit: 'Token {{name}}', search: 'Nome, id ou autor', anyChannel: 'Qualquer canal',
    name: 'Nome', channel: 'Canal', permissions: 'Pode', by: 'Criado por', since: 'Criado', state: 'Estado', id: 'Id',
    API: 'API', AGENT: 'Agente', ENFORCER: 'Executor', CHANNEL_UNSPECIFIED: 'Desconhecido',
    APIText: 'Um programa que chama esta API. Um lockdown o recusa.', AGENTText: 'Um agente de endpoint. Um lockdown o recusa.', ENFORCERText: 'Uma porta que executa: guarda, conector, driver. Nenhum lockdown o recusa, por isso pode pouco.',
    permissionsHint: 'Nada escolhido: lê tudo e não altera nada.', nameHint: 'Para que serve, 1 a 128 caracteres.',
    none: 'Nenhum token ainda.', noneSuch: 'Nenhum token é assim.', works: 'Vale', shut: 'Fechado por {{id}}', shutWhy: 'Um lockdown revogou os tokens. Volta a valer quando for rearmado.',
    rename: 'Renomear', disable: 'Desativar', enable: 'Ativar', remove: 'Excluir', rearm: 'Rearmar', rearmOf: 'Rearmar {{name}}', anyState: 'Ativados ou não', enabledOnly: 'Ativados', disabledOnly: 'Desativados',
    disableTitle: 'Desativar {{name}}?', disableText: 'O que o usa é recusado até que seja ativado de novo.', removeTitle: 'Excluir {{name}}?', removeText: 'O que o usa é recusado a partir de agora. Não há volta.',
    enableTitle: 'Ativar {{name}}?', enableText: 'O que o usa volta a ser aceito.',
    rearmTitle: 'Rearmar {{name}}?', rearmText: 'Um lockdown fechou este token. Rearmar deixa o programa entrar de novo e desfaz essa parte do lockdown.',
    made: 'Token {{name}}', madeText: 'Copie agora. Não é mostrado de novo; quem o tem pode o que ele pode.', lost: 'O token foi criado, mas o segredo se perdeu com a resposta e ninguém pode mostrá-lo de novo. Exclua o token e crie outro.', kept: 'Já guardei', copyFailed: 'O navegador não deixa copiar. Selecione e copie à mão.',
  },
)
