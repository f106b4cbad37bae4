package text

// EmergencyPanel is the category of what the panel does, and of what guards it.
const EmergencyPanel = "Emergency panel"

const accessRequests = "Access requests"

// group is a category with its types; facts are what all of them may have beside every event's.
type group struct {
	category Category
	facts    string
	types    []row
}

// row is a type: what has happened, in both languages, and the facts that it alone may have.
type row struct{ name, english, portuguese, facts string }

const (
	ofWindow   = "kind start until ended duration left starts_in outcome applied_by applied_justification applied_ticket sessions_ended sessions_open sessions_unreachable"
	ofFreeze   = ofWindow + " live devices groups"
	ofLockdown = ofWindow + " tokens let_through let_through_tokens"
	ofLock     = ofWindow + " target"
	ofAct      = "act target detail"
	ofApproval = "action requester expires target"
	ofDrill    = "kind start ended ended_by confirmed unconfirmed median slowest would_refuse would_end"
)

var listing = []group{
	{Category{EmergencyPanel, "Painel de emergência"}, "", []row{
		{"emergency.session.terminated", "Sessions were terminated", "Sessões foram encerradas", "kind whom users devices groups sessions_ended sessions_open sessions_unreachable"},
		{"emergency.freeze.scheduled", "A freeze was scheduled", "Um congelamento foi agendado", ofFreeze},
		{"emergency.freeze.started", "A freeze started", "Um congelamento começou", ofFreeze},
		{"emergency.freeze.ended", "A freeze ended", "Um congelamento terminou", ofFreeze},
		{"emergency.freeze.cancelled", "A freeze was cancelled", "Um congelamento foi cancelado", ofFreeze},
		{"emergency.freeze.shortened", "A freeze was shortened", "Um congelamento foi encurtado", ofFreeze},
		{"emergency.lockdown.scheduled", "A lockdown was scheduled", "Um lockdown foi agendado", ofLockdown},
		{"emergency.lockdown.started", "A lockdown started", "Um lockdown começou", ofLockdown},
		{"emergency.lockdown.ended", "A lockdown ended", "Um lockdown terminou", ofLockdown},
		{"emergency.lockdown.cancelled", "A lockdown was cancelled", "Um lockdown foi cancelado", ofLockdown},
		{"emergency.lockdown.shortened", "A lockdown was shortened", "Um lockdown foi encurtado", ofLockdown},
		{"emergency.lock.scheduled", "A lock was scheduled", "Um bloqueio foi agendado", ofLock},
		{"emergency.lock.started", "A lock started", "Um bloqueio começou", ofLock},
		{"emergency.lock.ended", "A lock ended", "Um bloqueio terminou", ofLock},
		{"emergency.lock.cancelled", "A lock was cancelled", "Um bloqueio foi cancelado", ofLock},
		{"emergency.attempt.refused", "Somebody was refused during a freeze, a lock or a lockdown", "Alguém foi recusado durante um congelamento, bloqueio ou lockdown", "kind until devices channel reason count"},
		{"emergency.approval.requested", "An approval was requested", "Uma aprovação foi pedida", ofApproval},
		{"emergency.approval.granted", "An approval was granted", "Uma aprovação foi dada", ofApproval},
		{"emergency.approval.denied", "An approval was denied", "Uma aprovação foi negada", ofApproval},
		{"emergency.drill.ended", "A drill ended", "Um simulado terminou", ofDrill},
		{"emergency.role.changed", "System Administrator was granted or taken away", "System Administrator foi concedido ou retirado", ofAct},
		{"emergency.mfa.changed", "Somebody's MFA was reset, or how an administrator signs in was changed", "O MFA de alguém foi redefinido, ou a forma de entrar de um administrador mudou", ofAct},
		{"emergency.policy.changed", "The policy, or what a freeze or a lockdown blocks, was changed", "A política, ou o que um congelamento ou lockdown bloqueia, mudou", ofAct + " governance let_through let_through_tokens"},
	}},
	{Category{accessRequests, "Solicitações de acesso"}, "request requester approver justification ticket start until", []row{
		{"request.created", "Access was requested", "Um acesso foi solicitado", ""},
		{"request.approved", "An access request was approved", "Uma solicitação de acesso foi aprovada", ""},
		{"request.denied", "An access request was denied", "Uma solicitação de acesso foi negada", "reason"},
		{"request.cancelled", "An access request was withdrawn", "Uma solicitação de acesso foi retirada", "reason"},
		{"request.expired", "An access request expired without an answer", "Uma solicitação de acesso venceu sem resposta", ""},
	}},
	{Category{"Access behaviour", "Comportamento de acesso"}, "address reason", []row{
		{"access.time.unusual", "Access at an unusual time", "Acesso em horário incomum", ""},
		{"access.origin.unusual", "Access from an unusual place", "Acesso de um local incomum", ""},
		{"access.device.unusual", "Access to an unusual device", "Acesso a um dispositivo incomum", ""},
		{"access.volume.unusual", "Unusually many accesses", "Quantidade incomum de acessos", "value limit"},
		{"access.risk.raised", "The risk of a user's behaviour rose", "O risco do comportamento de um usuário subiu", "value limit"},
	}},
	{Category{"Workstation alerts", "Alertas de estações de trabalho"}, "workstation reason", []row{
		{"workstation.program.blocked", "A program was blocked on a workstation", "Um programa foi bloqueado em uma estação de trabalho", "program"},
		{"workstation.privilege.raised", "Privileges were raised on a workstation", "Privilégios foram elevados em uma estação de trabalho", "program"},
		{"workstation.malware.found", "Malware was found on a workstation", "Malware foi encontrado em uma estação de trabalho", "program"},
		{"workstation.policy.broken", "A workstation broke its policy", "Uma estação de trabalho descumpriu a política", ""},
		{"workstation.agent.silent", "The agent of a workstation is silent", "O agente de uma estação de trabalho não responde", "since"},
	}},
	{Category{"Certificate expiration", "Expiração de certificados"}, "certificate issuer expires", []row{
		{"certificate.expiring", "A certificate expires soon", "Um certificado vence em breve", ""},
		{"certificate.expired", "A certificate has expired", "Um certificado venceu", ""},
		{"certificate.renewed", "A certificate was renewed", "Um certificado foi renovado", ""},
		{"certificate.renewal.failed", "A certificate could not be renewed", "Um certificado não pôde ser renovado", "reason"},
	}},
	{Category{"Remote sessions", "Sessões remotas"}, "session protocol address", []row{
		{"session.started", "A remote session started", "Uma sessão remota começou", ""},
		{"session.ended", "A remote session ended", "Uma sessão remota terminou", "reason"},
		{"session.terminated", "A remote session was ended by somebody else", "Uma sessão remota foi encerrada por outra pessoa", "reason"},
		{"session.suspended", "A remote session was suspended", "Uma sessão remota foi suspensa", "reason"},
		{"session.refused", "A remote session was refused", "Uma sessão remota foi recusada", "reason"},
		{"session.recording.failed", "A remote session could not be recorded", "Uma sessão remota não pôde ser gravada", "reason"},
	}},
	{Category{"Password operations", "Operações com senhas"}, "credential", []row{
		{"password.viewed", "A password was viewed", "Uma senha foi visualizada", "justification ticket"},
		{"password.changed", "A password was changed", "Uma senha foi trocada", ""},
		{"password.change.failed", "A password could not be changed", "Uma senha não pôde ser trocada", "reason"},
		{"password.expiring", "A password expires soon", "Uma senha vence em breve", "expires"},
		{"password.mismatched", "A password differs from the device's", "Uma senha difere da que está no dispositivo", "reason"},
	}},
	{Category{"Password backup", "Backup de senhas"}, "backup destination", []row{
		{"backup.completed", "The passwords were backed up", "O backup de senhas foi concluído", ""},
		{"backup.failed", "The passwords could not be backed up", "O backup de senhas falhou", "reason"},
		{"backup.overdue", "The backup of passwords is overdue", "O backup de senhas está atrasado", "since"},
		{"backup.restored", "Passwords were restored from a backup", "Senhas foram restauradas de um backup", ""},
	}},
	{Category{"Command audit", "Auditoria de comandos"}, "session command rule", []row{
		{"command.matched", "A command matched a rule", "Um comando correspondeu a uma regra", ""},
		{"command.blocked", "A command was blocked", "Um comando foi bloqueado", ""},
		{"command.session.ended", "A command ended its session", "Um comando encerrou a própria sessão", ""},
		{"command.rule.changed", "A rule for commands was changed", "Uma regra de comandos foi alterada", ""},
	}},
	{Category{"Device connectivity", "Conectividade de dispositivos"}, "address reason", []row{
		{"device.unreachable", "A device is unreachable", "Um dispositivo está sem contato", "since"},
		{"device.reachable", "A device is reachable again", "Um dispositivo voltou a responder", "since"},
		{"device.login.failed", "A device refused its credential", "Um dispositivo recusou a credencial", "credential"},
		{"device.key.changed", "A device shows another host key", "Um dispositivo mostra outra chave de host", ""},
	}},
	{Category{"Protected information", "Informações protegidas"}, "information", []row{
		{"information.viewed", "Protected information was viewed", "Uma informação protegida foi visualizada", "justification"},
		{"information.changed", "Protected information was changed", "Uma informação protegida foi alterada", ""},
		{"information.shared", "Protected information was shared", "Uma informação protegida foi compartilhada", ""},
		{"information.deleted", "Protected information was deleted", "Uma informação protegida foi excluída", ""},
		{"information.expiring", "Protected information expires soon", "Uma informação protegida vence em breve", "expires"},
	}},
	{Category{"Credential operations", "Operações com credenciais"}, "credential", []row{
		{"credential.created", "A credential was created", "Uma credencial foi criada", ""},
		{"credential.changed", "A credential was changed", "Uma credencial foi alterada", ""},
		{"credential.deleted", "A credential was deleted", "Uma credencial foi excluída", ""},
		{"credential.taken", "A credential was checked out", "Uma credencial foi retirada para uso", "until justification ticket"},
		{"credential.returned", "A credential was given back", "Uma credencial foi devolvida", ""},
		{"credential.overdue", "A credential was not given back in time", "Uma credencial não foi devolvida no prazo", "until"},
	}},
	{Category{"Monitoring", "Monitoramento"}, "service host reason", []row{
		{"monitoring.service.down", "A service does not answer", "Um serviço não responde", "since"},
		{"monitoring.service.up", "A service answers again", "Um serviço voltou a responder", "since"},
		{"monitoring.disk.low", "A disk is nearly full", "Um disco está quase cheio", "value limit"},
		{"monitoring.load.high", "The load is high", "A carga está alta", "value limit"},
		{"monitoring.clock.skewed", "A clock is wrong", "Um relógio está errado", "value limit"},
		{"monitoring.delivery.failed", "A notification could not be delivered", "Uma notificação não pôde ser entregue", ""},
	}},
}
