package text

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"portcullis.dev/pkg/emergency"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

const (
	// everyEmergency are the facts that any type of the emergency panel may have.
	everyEmergency = "product time id actor address justification ticket"
	// everyEvent are the facts that any other type may have. The details are all that its publisher brought
	// and the type has no name for.
	everyEvent = "product time id summary actor devices users details"
)

// brought is a fact with a publisher's own name for it.
var brought = regexp.MustCompile(`^event\.[A-Za-z0-9_.-]{1,64}$`)

// label is what a fact is called in front of its value, in English and Portuguese.
var label = map[string][2]string{
	"time": {"When", "Quando"}, "id": {"Event", "Evento"}, "actor": {"By", "Por"}, "devices": {"Devices", "Dispositivos"},
	"users": {"Users", "Usuários"}, "details": {"Details", "Detalhes"}, "address": {"From", "De"}, "reason": {"Reason", "Motivo"},
	"value": {"Measured", "Medido"}, "limit": {"Limit", "Limite"}, "workstation": {"Workstation", "Estação de trabalho"},
	"program": {"Program", "Programa"}, "since": {"Since", "Desde"}, "certificate": {"Certificate", "Certificado"},
	"issuer": {"Issuer", "Emissor"}, "expires": {"Expires", "Vence"}, "session": {"Session", "Sessão"},
	"protocol": {"Protocol", "Protocolo"}, "credential": {"Credential", "Credencial"}, "justification": {"Why", "Por quê"},
	"ticket": {"Ticket", "Chamado"}, "backup": {"Backup", "Backup"}, "destination": {"Destination", "Destino"},
	"command": {"Command", "Comando"}, "rule": {"Rule", "Regra"}, "information": {"Information", "Informação"},
	"until": {"Until", "Até"}, "start": {"Begins", "Início"}, "service": {"Service", "Serviço"}, "host": {"Host", "Host"},
	"request": {"Request", "Solicitação"}, "requester": {"Asked by", "Pedido por"}, "approver": {"Answered by", "Respondido por"},
}

// FactsOfEvent are the facts of an event as its texts name them, in a reader's language; what it lacks is
// missing. A publisher's fact never takes the place of one of ours: what its type has no name for is
// "event.NAME", and among the details.
func FactsOfEvent(e *notificationv1.Event, texts emergency.Texts, language string) map[string]string {
	s := speech{texts, language}
	facts := map[string]string{
		"product": s.product(), "summary": e.GetSummary(), "actor": e.GetActor(), "id": e.GetId(),
		"devices": List(e.GetDevices(), language), "users": List(e.GetUsers(), language),
	}
	if e.GetTime() != nil {
		facts["time"] = s.moment(e.GetTime().AsTime())
	}
	t, _ := TypeNamed(e.GetType())
	if t.OfEmergency() {
		delete(facts, "id") // it is the emergency's
	}
	facts["details"] = s.add(facts, t, e.GetFacts())
	if kind, ok := kinds[strings.ToUpper(facts["kind"])]; ok {
		facts["kind"] = s.either(kind[0], kind[1])
	}
	return present(facts)
}

// add puts a publisher's facts beside ours, and answers those that the type has no name for, in words.
func (s speech) add(facts map[string]string, t Type, more map[string]string) string {
	var details []string
	for _, name := range slices.Sorted(maps.Keys(more)) {
		value := s.value(more[name])
		_, ours := facts[name]
		switch {
		case !ours && slices.Contains(t.Facts(), name) && name != "details":
			facts[name] = value
			continue
		case brought.MatchString("event." + name):
			facts["event."+name] = value
		}
		details = append(details, name+": "+value)
	}
	return strings.Join(details, "; ")
}

// present leaves out what is empty.
func present(facts map[string]string) map[string]string {
	maps.DeleteFunc(facts, func(_, value string) bool { return value == "" })
	return facts
}
