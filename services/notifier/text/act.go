package text

import (
	"cmp"
	"strings"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// act is something guarded like the brake: the type that it is told as, and what its actor did, where
// "%" stands for the target.
type act struct{ typeName, english, portuguese string }

// acts are those that identity and the access-gate have noted.
var acts = map[string]act{
	"user.grant-administrator":   {"emergency.role.changed", "granted System Administrator to %", "concedeu System Administrator a %"},
	"user.enable-administrator":  {"emergency.role.changed", "enabled the administrator %", "habilitou o administrador %"},
	"user.take-administrator":    {"emergency.role.changed", "took System Administrator away from %", "retirou System Administrator de %"},
	"user.disable-administrator": {"emergency.role.changed", "disabled the administrator %", "desabilitou o administrador %"},
	"user.delete-administrator":  {"emergency.role.changed", "deleted the administrator %", "excluiu o administrador %"},
	"user.set-password":          {"emergency.mfa.changed", "set a new password for the administrator %", "definiu uma nova senha para o administrador %"},
	"user.add-key":               {"emergency.mfa.changed", "gave the administrator % another SSH key", "deu ao administrador % mais uma chave SSH"},
	"user.reset-mfa":             {"emergency.mfa.changed", "reset the MFA of %", "redefiniu o MFA de %"},
	"user.replace-mfa":           {"emergency.mfa.changed", "replaced the MFA of %", "substituiu o MFA de %"},
	"user.recover":               {"emergency.mfa.changed", "recovered % on the host: new password, new MFA", "recuperou % no host: nova senha, novo MFA"},
	"token.rearm":                {"emergency.policy.changed", "re-armed the token %", "rearmou o token %"},
	"access-group.unblock":       {"emergency.policy.changed", "opened what a freeze or a lock closes (%)", "abriu o que um congelamento ou bloqueio fecha (%)"},
	"enforcer.forget":            {"emergency.policy.changed", "took the door % off the roster: it is looked for no more", "retirou a porta % da lista: ninguém mais a procura"},
	"user.link":                  {"emergency.mfa.changed", "let % sign in at the OpenID provider", "deixou % entrar pelo provedor OpenID"},
}

// actOf never leaves out one that is too new to be known: whoever weakens the brake is seen.
func actOf(a *emergencyv1.Act) act {
	if known, ok := acts[a.GetKind()]; ok {
		return known
	}
	return act{"emergency.policy.changed", "did what is guarded like the brake: " + a.GetKind() + " (%)", "fez algo protegido como o freio: " + a.GetKind() + " (%)"}
}

func (s speech) ofAct(facts map[string]string, a *emergencyv1.Act) {
	facts["act"], facts["target"], facts["detail"] = s.done(a), a.GetTarget(), a.GetDetail()
}

func (s speech) done(a *emergencyv1.Act) string {
	known := actOf(a)
	before, after, _ := strings.Cut(s.either(known.english, known.portuguese), "%")
	return before + a.GetTarget() + after
}

// Done is what its actor did, in English: "re-armed the token backup".
func Done(a *emergencyv1.Act) string { return speech{}.done(a) }

// ofPolicy are the facts of a policy as it is after the change. Lists that are empty say so: emptying one is a change.
func (s speech) ofPolicy(facts map[string]string, p *emergencyv1.Policy) {
	facts["id"], facts["act"] = p.GetRevision(), s.either("changed the policy", "alterou a política")
	if what := s.loosened(p); what != "" {
		facts["act"] = s.either("loosened the policy: ", "afrouxou a política: ") + what
	}
	facts["let_through"] = s.orNone(List(p.GetBreakGlassUsers(), s.language))
	facts["let_through_tokens"] = s.orNone(List(p.GetBreakGlassTokens(), s.language))
	switch p.GetGovernanceCode() {
	case emergencyv1.Policy_OPTIONAL:
		facts["governance"] = s.either("optional", "opcional")
	case emergencyv1.Policy_REQUIRED:
		facts["governance"] = s.either("required", "obrigatório")
	case emergencyv1.Policy_PATTERN:
		facts["governance"] = s.either("required, and must match ", "obrigatório, conforme o padrão ") + p.GetGovernancePattern()
	}
}

// ofApproval are the facts of what takes a second administrator. Why it was asked for stands for why it was granted.
func (s speech) ofApproval(facts map[string]string, e *emergencyv1.Entry) {
	a := e.GetApprovalRecord()
	facts["action"], facts["requester"], facts["target"] = s.action(a), a.GetRequestedBy(), a.GetTarget()
	facts["expires"], facts["ticket"] = s.moment(timeOf(a.GetExpireTime())), a.GetGovernanceCode()
	if e.GetChange() == emergencyv1.Entry_APPROVAL_GRANTED {
		facts["justification"] = a.GetJustification()
	}
	if a.GetRevision() != "" && a.GetPolicy() == nil && a.GetApplies() == nil {
		facts["id"] = a.GetTarget()
	}
}

// action is what an approval lets happen.
func (s speech) action(a *emergencyv1.Approval) string {
	switch a.GetAct() {
	case "cancel":
		return s.either("cancel ", "cancelar ") + a.GetTarget()
	case "shorten":
		return s.either("let "+a.GetTarget()+" end at ", "fazer "+a.GetTarget()+" terminar em ") + s.moment(timeOf(a.GetEndTime()))
	case "apply":
		return s.forced(a.GetApplies())
	case "policy":
		return strings.TrimSuffix(s.either("loosen the policy: ", "afrouxar a política: ")+s.loosened(a.GetPolicy()), ": ")
	}
	return s.either("open what a freeze or a lock closes (", "abrir o que um congelamento ou bloqueio fecha (") + a.GetTarget() + ")"
}

// loosened is what a policy loosens of the one before, empty if it is nothing. A field that is too new to be known is named as it is.
func (s speech) loosened(p *emergencyv1.Policy) string {
	code := map[emergencyv1.Policy_Governance]string{
		emergencyv1.Policy_OPTIONAL: s.either("the governance code is optional", "o código de governança é opcional"),
		emergencyv1.Policy_REQUIRED: s.either("any governance code will do", "qualquer código de governança serve"),
		emergencyv1.Policy_PATTERN:  s.either("the governance code has to match ", "o código de governança tem de seguir o padrão ") + p.GetGovernancePattern(),
	}
	words := map[string]string{
		"breakGlassUsers":     s.either("more people get through every lockdown", "mais pessoas passam por todo lockdown"),
		"breakGlassTokens":    s.either("more programs get through every lockdown", "mais programas passam por todo lockdown"),
		"secondAdministrator": s.either("opening early takes one administrator", "abrir antes da hora exige um só administrador"),
		"ticketCheck":         s.either("tickets are not looked up", "chamados não são consultados"),
		"governanceCode":      code[p.GetGovernanceCode()],
	}
	var all []string
	for _, field := range p.GetLoosened() {
		all = append(all, cmp.Or(words[field], field))
	}
	return List(all, s.language)
}

// forced is what would be applied although it leaves no administrator.
func (s speech) forced(r *emergencyv1.PreviewRequest) string {
	if user := r.GetLock().GetUser(); user != "" {
		return s.either("lock "+user+", which leaves no administrator", "bloquear "+user+", o que não deixa nenhum administrador")
	}
	return s.either("apply a lockdown that no administrator could lift", "aplicar um lockdown que nenhum administrador poderia suspender")
}

func (s speech) orNone(list string) string {
	if list == "" {
		return s.either("none", "nenhum")
	}
	return list
}
