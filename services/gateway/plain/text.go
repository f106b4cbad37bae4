package plain

import (
	"net/http"
	"strings"
)

// text is the page's words, in the language that the browser would rather have.
func (p *Panel) text(r *http.Request) map[string]string {
	first, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(first)), "pt") {
		return portuguese
	}
	return english
}

var english = map[string]string{
	"lang": "en", "noLockdown": "No lockdown is on.", "adminsIn": "Administrators can still sign in.",
	"unknown": "Whether a lockdown is on can't be told now: the access gate does not answer.",
	"panel":   "Emergency panel", "terminate": "Terminate every live session", "freeze": "Freeze the devices of groups that block during freezes",
	"lockdown": "Lock the platform down", "minutes": "For how many minutes (freeze and lockdown)", "minutesHint": "Say for how many minutes, in digits",
	"code": "Code from your MFA app", "why": "Justification", "ticket": "Governance code", "typeWord": "Type TERMINATE, FREEZE or LOCKDOWN, as chosen, to apply",
	"apply": "Apply", "cancel": "Cancel", "from": "From", "until": "until", "open": "still open", "ended": "ended", "unreachable": "unreachable", "last": "the last after",
	"mayNot": "The emergency panel takes the role System Administrator.", "signOut": "Sign out", "signIn": "Sign in", "signInAt": "Sign in at", "user": "User", "password": "Password",
	"elsewhere": "This form comes from another site. Use the one on this page", "again": "Look again", "goOn": "Go on", "oneCode": "One more code",
	"notThere": "You could not be signed in there. Begin again, or sign in as a user of this platform.", "console": "The console", "api": "The API",
}

var portuguese = map[string]string{
	"lang": "pt-BR", "noLockdown": "Nenhum lockdown em vigor.", "adminsIn": "Administradores ainda podem entrar.",
	"unknown": "Não se sabe agora se há um lockdown: o access gate não responde.",
	"panel":   "Painel de emergência", "terminate": "Encerrar todas as sessões ativas", "freeze": "Congelar os dispositivos dos grupos que bloqueiam durante congelamentos",
	"lockdown": "Bloquear a plataforma (lockdown)", "minutes": "Por quantos minutos (congelamento e lockdown)", "minutesHint": "Diga por quantos minutos, em algarismos",
	"code": "Código do seu app de MFA", "why": "Justificativa", "ticket": "Código de governança", "typeWord": "Digite TERMINATE, FREEZE ou LOCKDOWN, conforme a escolha, para aplicar",
	"apply": "Aplicar", "cancel": "Cancelar", "from": "De", "until": "até", "open": "ainda abertas", "ended": "encerradas", "unreachable": "sem contato", "last": "a última após",
	"mayNot": "O painel de emergência requer o papel System Administrator.", "signOut": "Sair", "signIn": "Entrar", "signInAt": "Entrar por", "user": "Usuário", "password": "Senha",
	"elsewhere": "Este formulário veio de outro site. Use o desta página", "again": "Ver de novo", "goOn": "Continuar", "oneCode": "Mais um código",
	"notThere": "Não foi possível entrar por lá. Comece de novo ou entre como usuário desta plataforma.", "console": "O console", "api": "A API",
}
