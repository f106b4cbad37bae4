import { texts } from '../app/language'

/** What the forms call the API's fields. */
export const fieldTexts = texts(
  'fields',
  {
    name: 'Name', host: 'Host', port: 'Port', protocol: 'Protocol', labels: 'Labels', hostKey: 'Host key line', users: 'Users', devices: 'Devices',
    accessGroups: 'Access groups', connectors: 'Connectors', protocols: 'Protocols', displayName: 'Display name', email: 'E-mail', mobile: 'Mobile', language: 'Language', roles: 'Roles',
    sshPublicKeys: 'SSH keys', password: 'Password', currentPassword: 'Current password', permissions: 'May', channel: 'Channel', username: 'User name on the device', privateKey: 'Private key',
    governanceCode: 'Governance code', ticketCheck: 'Ticket check', governancePattern: 'Pattern', breakGlassUsers: 'Users', breakGlassTokens: 'API tokens', justification: 'Justification',
    duration: 'Duration', startTime: 'Start', endTime: 'End', selector: 'Whom it ends', code: 'Code', filter: 'Filter',
    contacts: 'Contacts', methods: 'Methods', types: 'Types', webhooks: 'Webhooks', sender: 'Sender', replyTo: 'Reply-to', returnPath: 'Return path', confirmationAddress: 'Confirmation address', defaultAccount: 'Default account', enabled: 'Enabled',
    address: 'Address', url: 'Address to post to', secret: 'Key', recipient: 'Recipient', subject: 'Subject', body: 'Text', short: 'Short text', defaultRegion: 'Default country', endpoint: 'Provider’s address', smtpAccount: 'E-mail account',
  },
  {
    name: 'Nome', host: 'Endereço', port: 'Porta', protocol: 'Protocolo', labels: 'Rótulos', hostKey: 'Linha da chave do host', users: 'Usuários', devices: 'Dispositivos',
    accessGroups: 'Grupos de acesso', connectors: 'Conectores', protocols: 'Protocolos', displayName: 'Nome de exibição', email: 'E-mail', mobile: 'Celular', language: 'Idioma', roles: 'Papéis',
    sshPublicKeys: 'Chaves SSH', password: 'Senha', currentPassword: 'Senha atual', permissions: 'Pode', channel: 'Canal', username: 'Usuário no dispositivo', privateKey: 'Chave privada',
    governanceCode: 'Código de governança', ticketCheck: 'Consulta de chamados', governancePattern: 'Padrão', breakGlassUsers: 'Usuários', breakGlassTokens: 'Tokens de API', justification: 'Justificativa',
    duration: 'Duração', startTime: 'Início', endTime: 'Fim', selector: 'O que encerra', code: 'Código', filter: 'Filtro',
    contacts: 'Contatos', methods: 'Métodos', types: 'Tipos', webhooks: 'Webhooks', sender: 'Remetente', replyTo: 'Responder para', returnPath: 'Return path', confirmationAddress: 'Endereço de confirmação', defaultAccount: 'Conta padrão', enabled: 'Ativada',
    address: 'Endereço', url: 'Endereço de envio', secret: 'Chave', recipient: 'Destinatário', subject: 'Assunto', body: 'Texto', short: 'Texto curto', defaultRegion: 'País padrão', endpoint: 'Endereço do provedor', smtpAccount: 'Conta de e-mail',
  },
)
