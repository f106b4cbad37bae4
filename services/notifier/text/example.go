package text

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// Example are facts of a type as an event might have them, for previews; none if there is no such type.
func Example(typeName string, texts emergency.Texts, language string) map[string]string {
	t, ok := TypeNamed(typeName)
	if !ok {
		return map[string]string{}
	}
	if entry := exampleEntry(typeName, speech{texts, language}); entry != nil {
		facts := FactsOf(entry, texts, language)
		if strings.HasPrefix(typeName, "emergency.freeze.") {
			facts["devices"], facts["groups"] = "core-switch-1, db-prod-7", speech{texts, language}.either("Production", "Produção")
		}
		return facts
	}
	return FactsOfEvent(exampleEvent(t, speech{texts, language}), texts, language)
}

func exampleTime() time.Time { return time.Date(2026, 11, 25, 20, 30, 0, 0, time.UTC) }

// exampleEntry is nil for what EMERGENCY doesn't say.
func exampleEntry(typeName string, s speech) *emergencyv1.Entry {
	parts := strings.Split(typeName, ".")
	e := &emergencyv1.Entry{
		Time: timestamppb.New(exampleTime()), Actor: "helena.prado", Address: "198.51.100.7", Subject: "emergency.act.A-0093",
		Justification: s.either("Agreed on with the security team", "Combinado com a equipe de segurança"), GovernanceCode: "CHG0031177",
	}
	act := func(kind, target string) *emergencyv1.Entry {
		e.Change, e.Record = emergencyv1.Entry_ACT, &emergencyv1.Entry_Act{Act: &emergencyv1.Act{Kind: kind, Target: target}}
		return e
	}
	switch typeName {
	case "emergency.session.terminated":
		e.Change, e.Record = emergencyv1.Entry_APPLIED, &emergencyv1.Entry_Emergency{Emergency: exampleTermination(s)}
		return e
	case "emergency.drill.ended":
		e.Change, e.Record = emergencyv1.Entry_DRILL_ENDED, &emergencyv1.Entry_Drill{Drill: exampleDrill(s)}
		return e
	case "emergency.role.changed":
		return act("user.grant-administrator", "rui.castro")
	case "emergency.mfa.changed":
		return act("user.reset-mfa", "rui.castro")
	case "emergency.policy.changed":
		e.Change, e.Record = emergencyv1.Entry_POLICY_CHANGED, &emergencyv1.Entry_Policy{Policy: &emergencyv1.Policy{
			GovernanceCode: emergencyv1.Policy_REQUIRED, BreakGlassUsers: []string{"oncall"}, Revision: "1-93"}}
		return e
	}
	kind := emergencyv1.Emergency_Kind_value[strings.ToUpper(parts[1])]
	change := emergencyv1.Entry_Change_value[strings.ToUpper(parts[len(parts)-1])]
	if kind == 0 || change == 0 {
		return nil
	}
	e.Change = emergencyv1.Entry_Change(change)
	e.Record = &emergencyv1.Entry_Emergency{Emergency: exampleWindow(e, emergencyv1.Emergency_Kind(kind), s)}
	return e
}

func exampleTermination(s speech) *emergencyv1.Emergency {
	return &emergencyv1.Emergency{
		Id: "T-0091", Kind: emergencyv1.Emergency_TERMINATION, CreatedBy: "helena.prado", GovernanceCode: "INC0048213",
		Justification: s.either("A stolen laptop had open sessions", "Um notebook roubado tinha sessões abertas"), Selector: &emergencyv1.Selector{All: true},
	}
}

// exampleWindow is one of two hours around the entry's time, as the entry's change finds it.
func exampleWindow(e *emergencyv1.Entry, kind emergencyv1.Emergency_Kind, s speech) *emergencyv1.Emergency {
	now, length := exampleTime(), 2*time.Hour
	start := map[emergencyv1.Entry_Change]time.Time{
		emergencyv1.Entry_SCHEDULED: now.Add(90 * time.Minute), emergencyv1.Entry_STARTED: now,
		emergencyv1.Entry_ENDED: now.Add(-length), emergencyv1.Entry_CANCELLED: now.Add(-45 * time.Minute),
		emergencyv1.Entry_SHORTENED: now.Add(-45 * time.Minute),
	}[e.GetChange()]
	w := &emergencyv1.Emergency{
		Id: emergency.Kind(kind).Letter() + "-0092", Kind: kind, CreatedBy: "helena.prado", GovernanceCode: "INC0048213",
		Justification: s.either("Credentials leaked; we close while we rotate them", "Credenciais vazaram; fechamos enquanto as trocamos"), StartTime: timestamppb.New(start), EndTime: timestamppb.New(start.Add(length)),
		Duration: durationpb.New(length), Started: e.GetChange() != emergencyv1.Entry_SCHEDULED,
	}
	if kind == emergencyv1.Emergency_LOCK {
		w.Selector = &emergencyv1.Selector{Users: []string{"rui.castro"}}
	}
	if e.GetChange() == emergencyv1.Entry_CANCELLED {
		w.EndTime, w.CancelTime, w.CancelledBy = timestamppb.New(now), timestamppb.New(now), "rui.castro"
		w.CancelJustification, w.CancelGovernanceCode = s.either("Rotation is done", "A troca foi concluída"), "INC0048213"
	}
	return w
}

// exampleEvent has all facts that the type has names for.
func exampleEvent(t Type, s speech) *notificationv1.Event {
	e := &notificationv1.Event{
		Id: "evt-20261125-0017", Type: t.Name, Time: timestamppb.New(exampleTime()), Actor: "rui.castro", Facts: map[string]string{},
		Devices: []string{"db-prod-7"}, Users: []string{"rui.castro"}, Summary: s.either("One sentence of the service that noticed it", "Uma frase do serviço que percebeu"),
	}
	for _, name := range t.own {
		if name != "devices" {
			e.Facts[name] = exampleValue(name, s)
		}
	}
	switch {
	case strings.HasPrefix(t.Name, "emergency.approval."):
		e.Users, e.Devices, e.Summary, e.Facts["id"], e.Facts["ticket"] = nil, nil, "", "F-0092", "INC0048213"
		e.Facts["justification"] = s.either("The devices are needed earlier", "Os dispositivos são necessários antes")
		if strings.HasSuffix(t.Name, ".requested") {
			delete(e.Facts, "requester")
			return e
		}
		e.Actor, e.Facts["justification"] = "helena.prado", s.either("Agreed on with the team", "Combinado com a equipe")
		delete(e.Facts, "expires")
	case t.OfEmergency():
		e.Users, e.Summary, e.Facts["id"], e.Facts["kind"], e.Facts["address"] = nil, "", "F-0092", "FREEZE", "198.51.100.7"
	}
	return e
}

var exampleValues = map[string]string{ // #nosec G101 -- examples that a template is shown with
	"address": "198.51.100.7", "reason": "timeout", "value": "97 %", "limit": "90 %", "workstation": "ws-0417", "program": "psexec.exe",
	"since": "2026-11-25T20:10:00Z", "certificate": "portal.example.com", "issuer": "Example CA", "expires": "2026-12-05T12:00:00Z",
	"session": "8f14e45f", "protocol": "SSH", "credential": "root@db-prod-7", "ticket": "INC0048213", "backup": "passwords-20261125",
	"destination": "vault-2", "command": "rm -rf /", "rule": "destructive", "until": "2026-11-25T22:30:00Z", "start": "2026-11-25T20:30:00Z",
	"service": "session-broker", "host": "pam-2", "request": "R-1204", "requester": "rui.castro", "approver": "helena.prado",
	"channel": "SESSION", "count": "3", "target": "F-0092",
}

func exampleValue(name string, s speech) string {
	switch name {
	case "justification":
		return s.either("To look into an incident", "Para investigar um incidente")
	case "information":
		return s.either("Safe combination", "Segredo do cofre")
	case "action":
		return s.either("lift freeze F-0092 before its end", "encerrar o congelamento F-0092 antes do fim")
	}
	return exampleValues[name]
}
