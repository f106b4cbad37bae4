package text

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// kinds are the kinds of emergencies in English and Portuguese.
var kinds = map[string][2]string{
	"TERMINATION": {"termination", "encerramento de sessões"}, "FREEZE": {"freeze", "congelamento"}, "LOCKDOWN": {"lockdown", "lockdown"},
	"LOCK": {"lock", "bloqueio"},
}

// TypeOf is the type that an entry of EMERGENCY is told as; false if nobody is told of it: what it says is
// then about the record itself.
func TypeOf(e *emergencyv1.Entry) (string, bool) {
	switch e.GetChange() {
	case emergencyv1.Entry_APPLIED:
		return "emergency.session.terminated", e.GetEmergency().GetKind() == emergencyv1.Emergency_TERMINATION
	case emergencyv1.Entry_SCHEDULED, emergencyv1.Entry_STARTED, emergencyv1.Entry_ENDED, emergencyv1.Entry_CANCELLED, emergencyv1.Entry_SHORTENED:
		kind := e.GetEmergency().GetKind()
		if kind != emergencyv1.Emergency_FREEZE && kind != emergencyv1.Emergency_LOCKDOWN && kind != emergencyv1.Emergency_LOCK {
			return "", false
		}
		return "emergency." + strings.ToLower(kind.String()+"."+e.GetChange().String()), true
	case emergencyv1.Entry_POLICY_CHANGED:
		return "emergency.policy.changed", true
	case emergencyv1.Entry_ACT:
		return actOf(e.GetAct()).typeName, true
	case emergencyv1.Entry_APPROVAL_REQUESTED:
		return "emergency.approval.requested", true
	case emergencyv1.Entry_APPROVAL_GRANTED:
		return "emergency.approval.granted", true
	case emergencyv1.Entry_APPROVAL_DENIED:
		return "emergency.approval.denied", true
	case emergencyv1.Entry_DRILL_ENDED:
		return "emergency.drill.ended", e.GetDrill() != nil
	}
	return "", false
}

// FactsOf are the facts of an entry of EMERGENCY as its texts name them, in a reader's language; what it
// lacks is missing. Moments are in the zone of the configuration.
//
// The justification is one of them even where it isn't public (B6): that rule is for whoever is cut off or
// refused, and these go to contacts that an administrator chose, who must read who, why and until when.
// Which devices and groups a freeze closes isn't in its record: whoever knows adds "devices" and "groups".
func FactsOf(e *emergencyv1.Entry, texts emergency.Texts, language string) map[string]string {
	s := speech{texts, language}
	facts := map[string]string{
		"product": s.product(), "time": s.moment(timeOf(e.GetTime())), "actor": e.GetActor(), "address": e.GetAddress(),
		"justification": e.GetJustification(), "ticket": e.GetGovernanceCode(),
		"id": e.GetSubject()[strings.LastIndexByte(e.GetSubject(), '.')+1:],
	}
	switch {
	case e.GetEmergency() != nil:
		s.ofEmergency(facts, e)
	case e.GetPolicy() != nil:
		s.ofPolicy(facts, e.GetPolicy())
	case e.GetAct() != nil:
		s.ofAct(facts, e.GetAct())
	case e.GetApprovalRecord() != nil:
		s.ofApproval(facts, e)
	case e.GetDrill() != nil:
		s.ofDrill(facts, e.GetDrill())
	}
	return present(facts)
}

// ofEmergency are the facts of a termination or a window. Who is the person behind it, where the clock acts too.
func (s speech) ofEmergency(facts map[string]string, e *emergencyv1.Entry) {
	is := e.GetEmergency()
	kind := kinds[is.GetKind().String()]
	facts["id"], facts["kind"] = is.GetId(), s.either(kind[0], kind[1])
	facts["actor"], facts["justification"], facts["ticket"] = is.GetCreatedBy(), is.GetJustification(), is.GetGovernanceCode()
	for name, n := range map[string]*uint32{"sessions_ended": is.Ended, "sessions_open": is.Open, "sessions_unreachable": is.Unreachable} {
		if n != nil {
			facts[name] = s.number(int64(*n))
		}
	}
	switch is.GetKind() {
	case emergencyv1.Emergency_TERMINATION:
		s.ofSelector(facts, is.GetSelector())
		return
	case emergencyv1.Emergency_LOCK:
		facts["target"] = s.locked(is.GetSelector())
	case emergencyv1.Emergency_FREEZE:
		facts["live"] = s.live(is.GetEndLiveSessions())
	case emergencyv1.Emergency_LOCKDOWN:
		facts["tokens"] = s.tokens(is.GetRevokeTokens(), e.GetChange() == emergencyv1.Entry_ENDED || e.GetChange() == emergencyv1.Entry_CANCELLED)
		facts["let_through"] = List(is.GetBreakGlassUsers(), s.language)
		facts["let_through_tokens"] = List(is.GetBreakGlassTokens(), s.language)
	}
	s.ofWindow(facts, e)
}

func (s speech) ofWindow(facts map[string]string, e *emergencyv1.Entry) {
	is, at := e.GetEmergency(), timeOf(e.GetTime())
	start, length := timeOf(is.GetStartTime()), is.GetDuration().AsDuration()
	if length <= 0 {
		length = timeOf(is.GetEndTime()).Sub(start)
	}
	end := start.Add(length) // of the plan: a cancelling moves endTime
	facts["start"], facts["until"], facts["duration"] = s.moment(start), s.end(end), s.span(length)
	endless := is.GetKind() == emergencyv1.Emergency_LOCK && is.GetDuration() == nil
	if endless {
		facts["until"], facts["duration"] = s.either("somebody cancels it", "alguém cancelar"), ""
	}
	switch e.GetChange() {
	case emergencyv1.Entry_SCHEDULED:
		facts["starts_in"] = s.span(start.Sub(at))
	case emergencyv1.Entry_STARTED:
		if !endless {
			facts["left"] = s.span(end.Sub(at))
		}
	case emergencyv1.Entry_ENDED:
		facts["ended"] = s.moment(end)
	case emergencyv1.Entry_CANCELLED:
		s.ofCancelling(facts, is, end)
	case emergencyv1.Entry_SHORTENED:
		// Who shortened it, and why, stands in the entry alone; the record has the new end and its length.
		s.ofApplying(facts)
		facts["actor"], facts["justification"], facts["ticket"] = e.GetActor(), e.GetJustification(), e.GetGovernanceCode()
		if is.GetStarted() {
			facts["left"] = s.span(end.Sub(at))
		} else {
			facts["starts_in"] = s.span(start.Sub(at))
		}
	}
}

func (s speech) ofCancelling(facts map[string]string, is *emergencyv1.Emergency, planned time.Time) {
	s.ofApplying(facts)
	facts["actor"], facts["justification"], facts["ticket"] = is.GetCancelledBy(), is.GetCancelJustification(), is.GetCancelGovernanceCode()
	if !is.GetStarted() {
		facts["tokens"], facts["live"] = "", ""
		facts["outcome"] = s.either("It had not begun, and closed nothing.", "Ele não tinha começado e não fechou nada.")
		return
	}
	ended := timeOf(is.GetCancelTime())
	if !planned.After(ended) { // it had no end
		facts["ended"] = s.moment(ended)
		facts["outcome"] = s.either("It had been on since "+facts["start"]+".", "Estava em vigor desde "+facts["start"]+".")
		return
	}
	facts["ended"], facts["left"] = s.moment(ended), s.span(planned.Sub(ended))
	facts["outcome"] = s.either("It had been on since "+facts["start"]+", and ended "+facts["left"]+" early.",
		"Estava em vigor desde "+facts["start"]+" e terminou "+facts["left"]+" antes do previsto.")
	if is.GetKind() == emergencyv1.Emergency_LOCKDOWN {
		facts["outcome"] += s.either(" What it ended stays ended: sign in again, and open your sessions anew.",
			" O que ele encerrou continua encerrado: entre de novo e abra novas sessões.")
	}
}

// ofApplying names who applied it and why so, where somebody else acts now.
func (speech) ofApplying(facts map[string]string) {
	facts["applied_by"], facts["applied_justification"], facts["applied_ticket"] = facts["actor"], facts["justification"], facts["ticket"]
}

// locked is the one thing that a lock shuts.
func (s speech) locked(sel *emergencyv1.Selector) string {
	target, names := emergency.TargetOf(sel)
	kinds := map[emergency.Target][2]string{
		emergency.OnUser: {"user", "usuário"}, emergency.OnDevice: {"device", "dispositivo"}, emergency.OnGroup: {"access group", "grupo de acesso"},
	}
	return s.either(kinds[target][0], kinds[target][1]) + " " + List(names, s.language)
}

func (s speech) live(ends bool) string {
	if ends {
		return s.either("Open sessions on those devices are ended too.", "Sessões abertas nesses dispositivos também são encerradas.")
	}
	return s.either("Open sessions go on.", "Sessões abertas continuam.")
}

func (s speech) tokens(revoked, over bool) string {
	switch {
	case revoked:
		return s.either("Program tokens stay shut until an administrator re-arms each.", "Tokens de programas seguem fechados até que um administrador rearme cada um.")
	case over:
		return s.either("Program tokens work again.", "Tokens de programas voltaram a valer.")
	}
	return s.either("Program tokens work again once it is over.", "Tokens de programas voltam a valer quando ele acabar.")
}

// ofSelector says whom a termination ends.
func (s speech) ofSelector(facts map[string]string, sel *emergencyv1.Selector) {
	facts["users"], facts["devices"] = List(sel.GetUsers(), s.language), List(sel.GetDevices(), s.language)
	facts["groups"] = List(sel.GetAccessGroups(), s.language)
	if sel.GetAll() {
		facts["whom"] = s.either("every live session", "todas as sessões ativas")
		return
	}
	var parts []string
	for _, field := range []struct {
		english, portuguese string
		names               []string
	}{
		{"users", "usuários", sel.GetUsers()}, {"devices", "dispositivos", sel.GetDevices()},
		{"access groups", "grupos de acesso", sel.GetAccessGroups()}, {"connectors", "conectores", sel.GetConnectors()},
		{"protocols", "protocolos", sel.GetProtocols()},
	} {
		if len(field.names) > 0 {
			parts = append(parts, s.either(field.english, field.portuguese)+" "+List(field.names, s.language))
		}
	}
	facts["whom"] = s.either("the live sessions of ", "as sessões ativas de ") + strings.Join(parts, "; ")
}

// timeOf is the zero moment for none.
func timeOf(at *timestamppb.Timestamp) time.Time {
	if at == nil {
		return time.Time{}
	}
	return at.AsTime()
}
