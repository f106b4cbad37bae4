package text

// portuguese are the texts of the emergency panel in Brazilian Portuguese.
var portuguese = map[string]wording{
	"emergency.session.terminated": {
		"Encerramento {{id}}: {{whom}}",
		`
{{actor}} encerrou {{whom}}.

Se alguma sessão sua estava entre elas, ela foi cortada, e o que não foi salvo nela pode ter se perdido. Novas sessões podem começar já: um encerramento não fecha nenhuma porta.

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Quando: {{time}}
Encerradas até agora: {{sessions_ended}}
Ainda abertas: {{sessions_open}}
Sem contato: {{sessions_unreachable}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} encerrou {{whom}} ({{id}}). Novas sessões podem começar já.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.freeze.scheduled": {
		"Congelamento {{id}} agendado: {{start}} a {{until}}",
		`
{{actor}} agendou um congelamento. De {{start}} a {{until}}, só administradores podem iniciar sessões nos dispositivos que ele fecha.

Se você precisa de um desses dispositivos nesse período, use-o antes ou planeje para depois. {{live}} Quem controla o painel de emergência ainda pode cancelar.

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Início: {{start}}
Até: {{until}}
Duração: {{duration}}
Começa em: {{starts_in}}
Dispositivos: {{devices}}
Grupos de acesso: {{groups}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} agendou o congelamento {{id}}, {{start}} a {{until}}. Novas sessões aguardarão.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.freeze.started": {
		"Congelamento {{id}} em vigor até {{until}}",
		`
O congelamento pedido por {{actor}} está em vigor. Até {{until}}, só administradores podem iniciar sessões nos dispositivos que ele fecha.

{{live}} Novas aguardam. Não há nada errado com a sua conta: o acesso volta sozinho quando o congelamento terminar, a menos que haja outro em vigor.

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Início: {{start}}
Até: {{until}}
Duração: {{duration}}
Dispositivos: {{devices}}
Grupos de acesso: {{groups}}
Emergência: {{id}}`,
		`
{{product}}: congelamento {{id}} por {{actor}} em vigor até {{until}}. Novas sessões aguardam.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.freeze.ended": {
		"Congelamento {{id}} terminou",
		`
O congelamento pedido por {{actor}} terminou em {{ended}}.

Sessões podem começar de novo nos dispositivos que ele fechava, a menos que haja outro congelamento ou um lockdown em vigor.

Por que esteve em vigor: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Início: {{start}}
Fim: {{ended}}
Duração: {{duration}}
Dispositivos: {{devices}}
Grupos de acesso: {{groups}}
Emergência: {{id}}`,
		`
{{product}}: congelamento {{id}} por {{actor}} terminou em {{ended}}. Sessões podem começar se não houver outro.
Motivo: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.freeze.cancelled": {
		"Congelamento {{id}} cancelado",
		`
{{actor}} cancelou um congelamento. {{outcome}}

Sessões podem começar nos dispositivos em questão, a menos que haja outro congelamento ou um lockdown em vigor.

Por que foi cancelado: {{justification}}
Chamado: {{ticket}}
Cancelado por: {{actor}}
Quando: {{time}}
Aplicado por: {{applied_by}}
Por que foi aplicado: {{applied_justification}}
Chamado original: {{applied_ticket}}
Início: {{start}}
Previsto até: {{until}}
Dispositivos: {{devices}}
Grupos de acesso: {{groups}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} cancelou o congelamento {{id}}, previsto até {{until}}. Sessões podem começar se não houver outro.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.freeze.shortened": {
		"Congelamento {{id}} agora termina em {{until}}",
		`
{{actor}} encurtou um congelamento: agora ele termina em {{until}}.

A partir daí, sessões podem começar de novo nos dispositivos que ele fecha, a menos que haja outro congelamento ou um lockdown em vigor.

Por que foi encurtado: {{justification}}
Chamado: {{ticket}}
Encurtado por: {{actor}}
Quando: {{time}}
Início: {{start}}
Começa em: {{starts_in}}
Agora até: {{until}}
Faltam: {{left}}
Aplicado por: {{applied_by}}
Por que foi aplicado: {{applied_justification}}
Chamado original: {{applied_ticket}}
Dispositivos: {{devices}}
Grupos de acesso: {{groups}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} encurtou o congelamento {{id}}: agora termina em {{until}}.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.lock.scheduled": {
		"Bloqueio {{id}} agendado: {{target}}, a partir de {{start}}",
		`
{{actor}} agendou um bloqueio. A partir de {{start}} e até {{until}}, o {{target}} é recusado, também para administradores, e o que estiver aberto termina.

Quem controla o painel de emergência ainda pode cancelar.

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Início: {{start}}
Até: {{until}}
Duração: {{duration}}
Começa em: {{starts_in}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} agendou o bloqueio {{id}} de {{target}}, de {{start}} até {{until}}.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.lock.started": {
		"Bloqueio {{id}}: {{target}} bloqueado até {{until}}",
		`
O bloqueio pedido por {{actor}} está em vigor: o {{target}} é recusado até {{until}}, também para administradores. O que estava aberto está sendo encerrado e continua encerrado.

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Início: {{start}}
Até: {{until}}
Duração: {{duration}}
Sessões encerradas até agora: {{sessions_ended}}
Ainda abertas: {{sessions_open}}
Sem contato: {{sessions_unreachable}}
Emergência: {{id}}`,
		`
{{product}}: bloqueio {{id}} por {{actor}} em {{target}} até {{until}}.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.lock.ended": {
		"Bloqueio {{id}} terminou: {{target}}",
		`
O bloqueio pedido por {{actor}} terminou em {{ended}}. O {{target}} não é mais recusado por ele. O que foi encerrado continua encerrado: entre de novo e abra novas sessões.

Por que esteve em vigor: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Início: {{start}}
Fim: {{ended}}
Duração: {{duration}}
Emergência: {{id}}`,
		`
{{product}}: bloqueio {{id}} por {{actor}} em {{target}} terminou em {{ended}}.
Motivo: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.lock.cancelled": {
		"Bloqueio {{id}} cancelado: {{target}}",
		`
{{actor}} cancelou um bloqueio de {{target}}. {{outcome}} O que foi encerrado continua encerrado.

Por que foi cancelado: {{justification}}
Chamado: {{ticket}}
Cancelado por: {{actor}}
Quando: {{time}}
Aplicado por: {{applied_by}}
Por que foi aplicado: {{applied_justification}}
Chamado original: {{applied_ticket}}
Início: {{start}}
Previsto até: {{until}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} cancelou o bloqueio {{id}} de {{target}}.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.lockdown.scheduled": {
		"Lockdown {{id}} agendado: {{start}} a {{until}}",
		`
{{actor}} agendou um lockdown de {{product}}. Em {{start}}, todas as sessões terminam e todas as pessoas saem do sistema. Até {{until}}, só administradores podem entrar, e programas e agentes são recusados.

Salve o seu trabalho e feche as suas sessões antes do início. {{tokens}} Quem controla o painel de emergência ainda pode cancelar.

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Início: {{start}}
Até: {{until}}
Duração: {{duration}}
Começa em: {{starts_in}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} agendou o lockdown {{id}}, {{start}} a {{until}}. Salve seu trabalho antes.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.lockdown.started": {
		"Lockdown {{id}}: {{product}} fechado até {{until}}",
		`
O lockdown pedido por {{actor}} está em vigor. Todas as sessões estão sendo encerradas, as pessoas saem do sistema e, até {{until}}, só administradores podem entrar.

Não há nada errado com a sua conta: entre de novo quando o lockdown acabar e abra novas sessões. Até lá, programas e agentes são recusados. {{tokens}}

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Início: {{start}}
Até: {{until}}
Duração: {{duration}}
Sessões encerradas até agora: {{sessions_ended}}
Ainda abertas: {{sessions_open}}
Sem contato: {{sessions_unreachable}}
Emergência: {{id}}`,
		`
{{product}}: lockdown {{id}} por {{actor}} até {{until}}. Só administradores podem entrar.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.lockdown.ended": {
		"Lockdown {{id}} terminou",
		`
O lockdown pedido por {{actor}} terminou em {{ended}}.

Você pode entrar de novo, a menos que haja outro lockdown em vigor. O que ele encerrou continua encerrado: abra novas sessões. {{tokens}}

Por que esteve em vigor: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Início: {{start}}
Fim: {{ended}}
Duração: {{duration}}
Sessões encerradas: {{sessions_ended}}
Ainda abertas: {{sessions_open}}
Sem contato: {{sessions_unreachable}}
Emergência: {{id}}`,
		`
{{product}}: lockdown {{id}} por {{actor}} terminou em {{ended}}. Você pode entrar de novo se não houver outro.
Motivo: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.lockdown.cancelled": {
		"Lockdown {{id}} cancelado",
		`
{{actor}} cancelou um lockdown de {{product}}. {{outcome}}

{{tokens}}

Por que foi cancelado: {{justification}}
Chamado: {{ticket}}
Cancelado por: {{actor}}
Quando: {{time}}
Aplicado por: {{applied_by}}
Por que foi aplicado: {{applied_justification}}
Chamado original: {{applied_ticket}}
Início: {{start}}
Previsto até: {{until}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} cancelou o lockdown {{id}}, previsto até {{until}}. Você pode entrar se não houver outro.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.lockdown.shortened": {
		"Lockdown {{id}} agora termina em {{until}}",
		`
{{actor}} encurtou um lockdown de {{product}}: agora ele termina em {{until}}.

A partir daí você pode entrar de novo, a menos que haja outro lockdown em vigor. O que ele encerrou continua encerrado: abra novas sessões. {{tokens}}

Por que foi encurtado: {{justification}}
Chamado: {{ticket}}
Encurtado por: {{actor}}
Quando: {{time}}
Início: {{start}}
Começa em: {{starts_in}}
Agora até: {{until}}
Faltam: {{left}}
Aplicado por: {{applied_by}}
Por que foi aplicado: {{applied_justification}}
Chamado original: {{applied_ticket}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} encurtou o lockdown {{id}}: agora termina em {{until}}.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.attempt.refused": {
		"{{actor}} teve o acesso recusado: {{kind}} {{id}}",
		`
{{actor}} tentou entrar durante um {{kind}} e teve o acesso recusado. Nada foi aberto.

Se isto for inesperado, pergunte a {{actor}} se foi mesmo essa pessoa.

Dispositivos: {{devices}}
Canal: {{channel}}
De: {{address}}
Motivo: {{reason}}
Tentativas: {{count}}
Quando: {{time}}
Fechado até: {{until}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} tentou entrar durante o {{kind}} {{id}} e teve o acesso recusado ({{time}}).
Tentativas: {{count}}
Dispositivos: {{devices}}
De: {{address}}`,
	},
	"emergency.approval.requested": {
		"Aprovação necessária: {{actor}} pede para {{action}}",
		`
{{actor}} pede a aprovação de mais um administrador para {{action}}.

Nada muda até que um administrador que não seja {{actor}} aprove no painel de emergência, com o próprio MFA. Responder a esta mensagem não aprova nada.

Por quê: {{justification}}
Chamado: {{ticket}}
Pedido por: {{actor}}
De: {{address}}
Quando: {{time}}
Responda antes de: {{expires}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} pede sua aprovação para {{action}}. Responda no painel.
Por quê: {{justification}}
Chamado: {{ticket}}`,
	},
	"emergency.approval.granted": {
		"Aprovado por {{actor}}: {{action}}",
		`
{{actor}} aprovou o que {{requester}} pediu: {{action}}.

Por quê: {{justification}}
Chamado: {{ticket}}
Aprovado por: {{actor}}
Pedido por: {{requester}}
Quando: {{time}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} aprovou o que {{requester}} pediu: {{action}}
Por quê: {{justification}}`,
	},
	"emergency.approval.denied": {
		"Negado por {{actor}}: {{action}}",
		`
{{actor}} negou o que {{requester}} pediu: {{action}}. Nada mudou.

Por quê: {{justification}}
Chamado: {{ticket}}
Negado por: {{actor}}
Pedido por: {{requester}}
Quando: {{time}}
Emergência: {{id}}`,
		`
{{product}}: {{actor}} negou o que {{requester}} pediu: {{action}}. Nada mudou.
Por quê: {{justification}}`,
	},
	"emergency.drill.ended": {
		"Simulado {{id}} terminou: {{confirmed}} portas confirmaram",
		`
Um simulado de {{kind}} terminou. Não foi uma emergência, e ninguém foi afetado.

Confirmaram: {{confirmed}}
Não confirmaram: {{unconfirmed}}
Metade em até: {{median}}
A mais lenta após: {{slowest}}
Requisições que seriam recusadas: {{would_refuse}}
Sessões que seriam encerradas: {{would_end}}
Começou: {{start}}
Terminou: {{ended}}
Encerrado antes por: {{ended_by}}
Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
Simulado: {{id}}`,
		`
{{product}}: simulado {{id}} de {{kind}} por {{actor}} terminou. Ninguém foi afetado.
Confirmaram: {{confirmed}}
Não confirmaram: {{unconfirmed}}
Metade em até: {{median}}
Por quê: {{justification}}`,
	},
	"emergency.role.changed": {
		"Administradores: {{actor}} {{act}}",
		`
{{actor}} {{act}}.

Quem tem o papel System Administrator pode abrir o painel de emergência e entra durante um lockdown. Se você não sabe de um motivo para isto, veja agora quem são os administradores e retire o papel de quem não estiver claro.

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
De: {{address}}
Quem: {{target}}
O quê: {{detail}}
Quando: {{time}}
Na auditoria: {{id}}`,
		`
{{product}}: {{actor}} {{act}} ({{time}}).
Por quê: {{justification}}
Se você não sabe de um motivo, verifique agora.`,
	},
	"emergency.mfa.changed": {
		"MFA e entrada: {{actor}} {{act}}",
		`
{{actor}} {{act}}.

Quem tem o novo fator, a nova senha ou a nova chave pode agir como {{target}}. Se você não sabe de um motivo para isto, fale com {{target}} pessoalmente e desabilite o usuário até esclarecer.

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
De: {{address}}
De quem: {{target}}
O quê: {{detail}}
Quando: {{time}}
Na auditoria: {{id}}`,
		`
{{product}}: {{actor}} {{act}} ({{time}}).
Por quê: {{justification}}
Se você não sabe de um motivo, verifique agora.`,
	},
	"emergency.policy.changed": {
		"Política de emergência: {{actor}} {{act}}",
		`
{{actor}} {{act}}.

Isto muda o que o freio de emergência exige ou quem ele detém. Se você não sabe de um motivo para isto, veja agora a política e os grupos de acesso.

Por quê: {{justification}}
Chamado: {{ticket}}
Por: {{actor}}
De: {{address}}
O quê: {{detail}}
Código de governança: {{governance}}
Usuários de emergência: {{let_through}}
Tokens de emergência: {{let_through_tokens}}
Quando: {{time}}
Na auditoria: {{id}}`,
		`
{{product}}: {{actor}} {{act}} ({{time}}).
Por quê: {{justification}}
Se você não sabe de um motivo, verifique agora.`,
	},
}
