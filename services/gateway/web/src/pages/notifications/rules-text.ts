import { texts } from '../../app/language'

export const ruleTexts = texts(
  'rules',
  {
    list: 'Notifications', search: 'Name begins with', create: 'New', any: 'Enabled or not', on: 'Enabled only', off: 'Disabled only',
    none: 'No notification yet. One tells these people of those events.', noneSuch: 'No notification is called that. Capitals count.',
    firesOnNothing: 'Fires on nothing: no types chosen', withAccess: 'only with access', enabledOne: '{{name}}, enabled', openOne: 'Open {{name}}',
    newOne: 'New notification', name: 'Notification name', methods: 'Methods', methodsHint: 'One at least. It may be saved with a name and methods only; it then fires on nothing, and says so.',
    fires: 'Types it fires on', chosen_one: '{{count, number}} chosen', chosen_other: '{{count, number}} chosen', chooseAll: 'Choose all', clearAll: 'Clear all', of: '{{n}} of {{of}}', cannot: 'not by {{methods}}',
    contacts: 'Contacts', people_one: '{{count, number}} person', people_other: '{{count, number}} people', takeOut: 'Remove {{name}}', moreOnes: '{{n}} more', contactsHint: 'They are told by e-mail, on the screen and by SMS.', noContacts: 'Nobody yet.',
    onlyWithAccess: 'Only to contacts who have access to the credentials or devices concerned',
    webhooks: 'Webhooks', webhooksHint: 'Where Slack, Teams, PagerDuty and signed webhooks go.', noWebhooks: 'There is none for these methods yet.', makeWebhook: 'Set one up', webhookOff: 'disabled',
    account: 'E-mail account', usual: 'The default account', addresses: 'Its own addresses', addressesHint: 'In the place of the account’s, unless the account forces its settings.',
    replyTo: 'Reply-to', returnPath: 'Return path', confirmationAddress: 'Confirmation address', back: 'All notifications', save: 'Save', saved: 'Saved', saving: 'Saving',
    removeTitle: 'Delete {{name}}?', removeText: 'Nobody is told by it any more. What is in the outbox already still goes out.', made: 'By {{by}}, {{at}}',
  },
  {
    list: 'Notificações', search: 'Nome começa com', create: 'Nova', any: 'Ativadas ou não', on: 'Só ativadas', off: 'Só desativadas',
    none: 'Nenhuma notificação ainda. Cada uma avisa estas pessoas daqueles eventos.', noneSuch: 'Nenhuma notificação com esse nome. Maiúsculas contam.',
    firesOnNothing: 'Não dispara em nada: nenhum tipo escolhido', withAccess: 'só com acesso', enabledOne: '{{name}}, ativada', openOne: 'Abrir {{name}}',
    newOne: 'Nova notificação', name: 'Nome da notificação', methods: 'Métodos', methodsHint: 'Pelo menos um. Pode ser salva só com nome e métodos; então não dispara em nada, e diz isso.',
    fires: 'Tipos em que dispara', chosen_one: '{{count, number}} escolhido', chosen_other: '{{count, number}} escolhidos', chooseAll: 'Escolher todos', clearAll: 'Limpar', of: '{{n}} de {{of}}', cannot: 'não por {{methods}}',
    contacts: 'Contatos', people_one: '{{count, number}} pessoa', people_other: '{{count, number}} pessoas', takeOut: 'Retirar {{name}}', moreOnes: 'mais {{n}}', contactsHint: 'São avisados por e-mail, na tela e por SMS.', noContacts: 'Ninguém ainda.',
    onlyWithAccess: 'Só a contatos que têm acesso às credenciais ou aos dispositivos envolvidos',
    webhooks: 'Webhooks', webhooksHint: 'Para onde vão Slack, Teams, PagerDuty e webhooks assinados.', noWebhooks: 'Ainda não há nenhum para estes métodos.', makeWebhook: 'Configurar um', webhookOff: 'desativado',
    account: 'Conta de e-mail', usual: 'A conta padrão', addresses: 'Endereços próprios', addressesHint: 'No lugar dos da conta, a menos que a conta force as suas configurações.',
    replyTo: 'Responder para', returnPath: 'Return path', confirmationAddress: 'Endereço de confirmação', back: 'Todas as notificações', save: 'Salvar', saved: 'Salvo', saving: 'Salvando',
    removeTitle: 'Excluir {{name}}?', removeText: 'Ninguém mais é avisado por ela. O que já está na saída ainda sai.', made: 'Por {{by}}, {{at}}',
  },
)
