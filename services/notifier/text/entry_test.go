package text_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/text"
)

var start = time.Date(2022, 8, 9, 20, 54, 12, 345, time.UTC)

func window(kind emergencyv1.Emergency_Kind, change emergencyv1.Entry_Change, edit func(*emergencyv1.Emergency)) *emergencyv1.Entry {
	w := &emergencyv1.Emergency{
		Id: kind.String()[:1] + "-0042", Kind: kind, CreatedBy: "ana", Justification: "A leak", GovernanceCode: "INC1", Started: true,
		StartTime: timestamppb.New(start), EndTime: timestamppb.New(start.Add(2 * time.Hour)), Duration: durationpb.New(2 * time.Hour),
	}
	if edit != nil {
		edit(w)
	}
	return &emergencyv1.Entry{
		Subject: "emergency." + strings.ToLower(kind.String()) + "." + w.GetId(), Change: change, Actor: "portcullis", Time: timestamppb.New(start),
		Record: &emergencyv1.Entry_Emergency{Emergency: w},
	}
}

func act(kind, target, detail string) *emergencyv1.Entry {
	return &emergencyv1.Entry{
		Subject: "emergency.act.A-0007", Change: emergencyv1.Entry_ACT, Actor: "ana", Address: "10.1.2.3", Time: timestamppb.New(start), Justification: "Agreed",
		Record: &emergencyv1.Entry_Act{Act: &emergencyv1.Act{Kind: kind, Target: target, Detail: detail}},
	}
}

func TestEveryWindowIsToldOfOncePerEdge(t *testing.T) {
	changes := map[emergencyv1.Entry_Change]string{
		emergencyv1.Entry_SCHEDULED: "scheduled", emergencyv1.Entry_STARTED: "started", emergencyv1.Entry_ENDED: "ended", emergencyv1.Entry_CANCELLED: "cancelled",
		emergencyv1.Entry_SHORTENED: "shortened",
	}
	for number := range emergencyv1.Entry_Change_name {
		change := emergencyv1.Entry_Change(number)
		for kind, name := range map[emergencyv1.Emergency_Kind]string{emergencyv1.Emergency_FREEZE: "freeze", emergencyv1.Emergency_LOCKDOWN: "lockdown"} {
			got, ok := text.TypeOf(window(kind, change, nil))
			if suffix, told := changes[change]; told && (!ok || got != "emergency."+name+"."+suffix) {
				t.Errorf("%s of a %s is told as %q", change, name, got)
			} else if !told && ok && change != emergencyv1.Entry_POLICY_CHANGED && change != emergencyv1.Entry_ACT && !strings.HasPrefix(got, "emergency.approval.") {
				t.Errorf("%s of a %s is told as %q", change, name, got)
			}
		}
	}
	if got, ok := text.TypeOf(window(emergencyv1.Emergency_TERMINATION, emergencyv1.Entry_APPLIED, nil)); !ok || got != "emergency.session.terminated" {
		t.Errorf("a termination is told as %q", got)
	}
	if got, ok := text.TypeOf(new(emergencyv1.Entry)); ok {
		t.Errorf("an empty entry is told as %q", got)
	}
}

func TestWhoeverChangesWhatGuardsTheBrakeIsToldOf(t *testing.T) {
	for kind, want := range map[string]string{
		"user.take-administrator": "emergency.role.changed", "user.disable-administrator": "emergency.role.changed", "user.delete-administrator": "emergency.role.changed",
		"user.grant-administrator": "emergency.role.changed", "user.enable-administrator": "emergency.role.changed", "user.set-password": "emergency.mfa.changed",
		"user.add-key": "emergency.mfa.changed", "user.reset-mfa": "emergency.mfa.changed", "user.replace-mfa": "emergency.mfa.changed", "user.recover": "emergency.mfa.changed",
		"token.rearm": "emergency.policy.changed", "access-group.unblock": "emergency.policy.changed", "anything.new": "emergency.policy.changed",
	} {
		entry := act(kind, "rui", "")
		got, ok := text.TypeOf(entry)
		if !ok || got != want {
			t.Errorf("%s is told as %q", kind, got)
		}
		for _, language := range text.Languages() {
			r := rendered(t, text.BuiltIn(got, language), text.FactsOf(entry, emergency.Texts{}, language))
			for _, part := range []string{r.Subject, r.Body, r.Short} {
				if !strings.Contains(part, "ana") || !strings.Contains(part, "rui") || strings.Contains(part, "%") {
					t.Errorf("%s in %s: %s", kind, language, part)
				}
			}
			if !strings.Contains(r.Body, "10.1.2.3") || !strings.Contains(r.Body, "Agreed") || !strings.Contains(r.Body, "A-0007") {
				t.Errorf("%s in %s: %s", kind, language, r.Body)
			}
		}
	}
	facts := text.FactsOf(act("access-group.unblock", "prod", "prod blockDuringFreezes switched off"), emergency.Texts{}, "en")
	if facts["detail"] != "prod blockDuringFreezes switched off" {
		t.Errorf("what was opened isn't said: %v", facts)
	}
}

func TestWhatTakesASecondAdministratorIsToldOf(t *testing.T) {
	a := &emergencyv1.Approval{Id: "P-0008", Act: "cancel", Target: "L-0042", Revision: "1-42", RequestedBy: "ana", Justification: "False alarm", GovernanceCode: "INC7",
		ExpireTime: timestamppb.New(start.Add(30 * time.Minute))}
	for change, kind := range map[emergencyv1.Entry_Change]string{
		emergencyv1.Entry_APPROVAL_REQUESTED: "requested", emergencyv1.Entry_APPROVAL_GRANTED: "granted", emergencyv1.Entry_APPROVAL_DENIED: "denied",
	} {
		entry := &emergencyv1.Entry{Subject: "emergency.approval.P-0008", Change: change, Actor: "rui", Time: timestamppb.New(start),
			Record: &emergencyv1.Entry_ApprovalRecord{ApprovalRecord: a}}
		if change == emergencyv1.Entry_APPROVAL_REQUESTED {
			entry.Actor, entry.Justification = "ana", a.GetJustification()
		}
		if change == emergencyv1.Entry_APPROVAL_DENIED {
			entry.Justification = "False alarm? No"
		}
		got, ok := text.TypeOf(entry)
		if !ok || got != "emergency.approval."+kind {
			t.Errorf("%v is told as %q", change, got)
		}
		for language, action := range map[string]string{"en": "cancel L-0042", "pt-BR": "cancelar L-0042"} {
			r := rendered(t, text.BuiltIn(got, language), text.FactsOf(entry, emergency.Texts{}, language))
			if !strings.Contains(r.Body, action) || !strings.Contains(r.Short, action) || !strings.Contains(r.Body, "False alarm") || !strings.Contains(r.Body, "INC7") || !strings.Contains(r.Body, "ana") {
				t.Errorf("%s in %s: %s", kind, language, r.Body)
			}
		}
	}
	for act, want := range map[string]string{"policy": "loosen the policy", "apply": "apply a lockdown that no administrator could lift", "access-group.unblock": "open what a freeze or a lock closes (payments)"} {
		entry := &emergencyv1.Entry{Subject: "emergency.approval.P-0008", Change: emergencyv1.Entry_APPROVAL_REQUESTED, Time: timestamppb.New(start),
			Record: &emergencyv1.Entry_ApprovalRecord{ApprovalRecord: &emergencyv1.Approval{Id: "P-0008", Act: act, Target: "payments"}}}
		if facts := text.FactsOf(entry, emergency.Texts{}, "en"); facts["action"] != want || facts["id"] != "P-0008" {
			t.Errorf("%s is told as %v", act, facts)
		}
	}
}

func TestThePersonBehindItIsNamedWhereTheClockActs(t *testing.T) {
	facts := text.FactsOf(window(emergencyv1.Emergency_LOCKDOWN, emergencyv1.Entry_STARTED, nil), emergency.Texts{Product: "Acme"}, "en")
	want := map[string]string{
		"product": "Acme", "id": "L-0042", "kind": "lockdown", "actor": "ana", "justification": "A leak", "ticket": "INC1", "time": "9 Aug 2022 20:54 UTC",
		"start": "9 Aug 2022 20:54 UTC", "until": "9 Aug 2022 22:54:13 UTC", "duration": "2 hours", "left": "2 hours", "tokens": "Program tokens work again once it is over.",
	}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Error(diff)
	}
}

func TestAJustificationReachesContactsEvenIfItIsNotPublic(t *testing.T) {
	facts := text.FactsOf(window(emergencyv1.Emergency_FREEZE, emergencyv1.Entry_STARTED, func(e *emergencyv1.Emergency) { e.JustificationPublic = false }), emergency.Texts{}, "en")
	if facts["justification"] != "A leak" {
		t.Errorf("%v", facts)
	}
}

func TestTimesAreInTheReadersLanguageAndTheConfiguredZone(t *testing.T) {
	for offset, want := range map[int][2]string{
		0: {"9 Aug 2022 22:54:13 UTC", "09/08/2022 22:54:13 UTC"}, -3 * 3600: {"9 Aug 2022 19:54:13 UTC-03", "09/08/2022 19:54:13 UTC-03"},
		5*3600 + 45*60: {"10 Aug 2022 04:39:13 UTC+05:45", "10/08/2022 04:39:13 UTC+05:45"},
	} {
		texts := emergency.Texts{}
		if offset != 0 {
			texts.Zone = time.FixedZone("", offset)
		}
		entry := window(emergencyv1.Emergency_FREEZE, emergencyv1.Entry_STARTED, nil)
		got := [2]string{text.FactsOf(entry, texts, "en")["until"], text.FactsOf(entry, texts, "pt-BR")["until"]}
		if got != want {
			t.Errorf("%v, not %v", got, want)
		}
	}
	named := text.FactsOf(window(emergencyv1.Emergency_FREEZE, emergencyv1.Entry_STARTED, nil), emergency.Texts{Zone: time.FixedZone("BRT", -3*3600)}, "pt-BR")
	if named["until"] != "09/08/2022 19:54:13 BRT" {
		t.Errorf("%v", named)
	}
}

func TestSpansHaveTwoUnitsAtMost(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		time.Minute: {"1 minute", "1 minuto"}, 90 * time.Second: {"1 minute 30 seconds", "1 minuto e 30 segundos"}, 2 * time.Hour: {"2 hours", "2 horas"},
		25*time.Hour + time.Second: {"1 day 1 hour", "1 dia e 1 hora"}, 24*time.Hour + 5*time.Minute: {"1 day", "1 dia"}, 30 * 24 * time.Hour: {"30 days", "30 dias"},
		999*time.Millisecond + time.Minute: {"1 minute 1 second", "1 minuto e 1 segundo"},
	} {
		entry := window(emergencyv1.Emergency_FREEZE, emergencyv1.Entry_STARTED, func(e *emergencyv1.Emergency) { e.Duration = durationpb.New(d) })
		got := [2]string{text.FactsOf(entry, emergency.Texts{}, "en")["duration"], text.FactsOf(entry, emergency.Texts{}, "pt-BR")["duration"]}
		if got != want {
			t.Errorf("%v is %v, not %v", d, got, want)
		}
	}
}

func TestACancellingTellsWhatItUndid(t *testing.T) {
	cancelled := func(e *emergencyv1.Emergency) {
		e.CancelledBy, e.CancelJustification, e.CancelGovernanceCode = "rui", "Done", "INC2"
		e.CancelTime = timestamppb.New(start.Add(30 * time.Minute))
	}
	facts := text.FactsOf(window(emergencyv1.Emergency_LOCKDOWN, emergencyv1.Entry_CANCELLED, func(e *emergencyv1.Emergency) {
		cancelled(e)
		e.EndTime, e.RevokeTokens = e.CancelTime, new(true)
	}), emergency.Texts{}, "en")
	want := map[string]string{
		"product": "Portcullis", "id": "L-0042", "kind": "lockdown", "actor": "rui", "justification": "Done", "ticket": "INC2", "time": "9 Aug 2022 20:54 UTC",
		"applied_by": "ana", "applied_justification": "A leak", "applied_ticket": "INC1", "start": "9 Aug 2022 20:54 UTC", "until": "9 Aug 2022 22:54:13 UTC",
		"ended": "9 Aug 2022 21:24 UTC", "duration": "2 hours", "left": "1 hour 30 minutes", "tokens": "Program tokens stay shut until an administrator re-arms each.",
		"outcome": "It had been on since 9 Aug 2022 20:54 UTC, and ended 1 hour 30 minutes early. What it ended stays ended: sign in again, and open your sessions anew.",
	}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Error(diff)
	}
	pending := text.FactsOf(window(emergencyv1.Emergency_FREEZE, emergencyv1.Entry_CANCELLED, func(e *emergencyv1.Emergency) { cancelled(e); e.Started = false }), emergency.Texts{}, "pt-BR")
	if pending["outcome"] != "Ele não tinha começado e não fechou nada." || pending["ended"] != "" || pending["live"] != "" {
		t.Errorf("%v", pending)
	}
}

func TestALockTellsWhatItShutsAndUntilWhen(t *testing.T) {
	lock := func(change emergencyv1.Entry_Change, edit func(*emergencyv1.Emergency)) *emergencyv1.Entry {
		return window(emergencyv1.Emergency_LOCK, change, func(e *emergencyv1.Emergency) {
			e.Selector = &emergencyv1.Selector{Users: []string{"bruno"}}
			edit(e)
		})
	}
	endless := func(e *emergencyv1.Emergency) { e.EndTime, e.Duration = nil, nil }
	lifted := func(e *emergencyv1.Emergency) {
		endless(e)
		e.CancelledBy, e.CancelTime, e.EndTime = "carla", timestamppb.New(start.Add(time.Hour)), timestamppb.New(start.Add(time.Hour))
	}
	for _, language := range []string{"en", "pt-BR"} {
		for name, e := range map[string]*emergencyv1.Entry{
			"emergency.lock.scheduled": lock(emergencyv1.Entry_SCHEDULED, endless), "emergency.lock.started": lock(emergencyv1.Entry_STARTED, endless),
			"emergency.lock.ended": lock(emergencyv1.Entry_ENDED, func(*emergencyv1.Emergency) {}), "emergency.lock.cancelled": lock(emergencyv1.Entry_CANCELLED, lifted),
		} {
			kind, told := text.TypeOf(e)
			facts := text.FactsOf(e, emergency.Texts{}, language)
			if !told || kind != name || !strings.HasSuffix(facts["target"], " bruno") || facts["left"] != "" || facts["start"] == "" {
				t.Errorf("%s of %s tells %v", kind, name, facts)
			}
		}
	}
	if facts := text.FactsOf(lock(emergencyv1.Entry_STARTED, endless), emergency.Texts{}, "en"); facts["target"] != "user bruno" || facts["until"] != "somebody cancels it" || facts["duration"] != "" {
		t.Errorf("without an end: %v", facts)
	}
	facts := text.FactsOf(lock(emergencyv1.Entry_CANCELLED, lifted), emergency.Texts{}, "en")
	if facts["actor"] != "carla" || facts["applied_by"] != "ana" || !strings.HasPrefix(facts["outcome"], "It had been on since ") || strings.Contains(facts["outcome"], "early") {
		t.Errorf("lifted: %v", facts)
	}
	if facts := text.FactsOf(lock(emergencyv1.Entry_STARTED, func(*emergencyv1.Emergency) {}), emergency.Texts{}, "en"); facts["left"] == "" || facts["duration"] == "" {
		t.Errorf("with an end: %v", facts)
	}
}

func TestAShorteningTellsWhenItNowEndsAndWhoWantedItSo(t *testing.T) {
	shortened := func(kind emergencyv1.Emergency_Kind, started bool) *emergencyv1.Entry {
		e := window(kind, emergencyv1.Entry_SHORTENED, func(e *emergencyv1.Emergency) {
			e.EndTime, e.Duration, e.Started = timestamppb.New(start.Add(time.Hour)), durationpb.New(time.Hour), started
		})
		e.Actor, e.Justification, e.GovernanceCode, e.Time = "rui", "Nearly done", "INC2", timestamppb.New(start.Add(30*time.Minute))
		return e
	}
	want := map[string]string{
		"product": "Portcullis", "id": "F-0042", "kind": "freeze", "actor": "rui", "justification": "Nearly done", "ticket": "INC2", "time": "9 Aug 2022 21:24 UTC",
		"applied_by": "ana", "applied_justification": "A leak", "applied_ticket": "INC1", "start": "9 Aug 2022 20:54 UTC", "until": "9 Aug 2022 21:54:13 UTC",
		"duration": "1 hour", "left": "30 minutes", "live": "Open sessions go on.",
	}
	if diff := cmp.Diff(want, text.FactsOf(shortened(emergencyv1.Emergency_FREEZE, true), emergency.Texts{}, "en")); diff != "" {
		t.Error(diff)
	}
	pending := shortened(emergencyv1.Emergency_LOCKDOWN, false)
	pending.Time = timestamppb.New(start.Add(-10 * time.Minute))
	facts := text.FactsOf(pending, emergency.Texts{}, "pt-BR")
	if facts["starts_in"] != "10 minutos" || facts["left"] != "" || facts["until"] != "09/08/2022 21:54:13 UTC" || !strings.HasPrefix(facts["tokens"], "Tokens") {
		t.Errorf("%v", facts)
	}
}

func TestATerminationTellsWhomItSelectedAndHowFarItIs(t *testing.T) {
	select1 := func(sel *emergencyv1.Selector) map[string]string {
		return text.FactsOf(window(emergencyv1.Emergency_TERMINATION, emergencyv1.Entry_APPLIED, func(e *emergencyv1.Emergency) {
			e.Selector, e.Ended, e.Open, e.Unreachable = sel, new(uint32(12345)), new(uint32(2)), new(uint32(0))
		}), emergency.Texts{}, "pt-BR")
	}
	facts := select1(&emergencyv1.Selector{Users: []string{"ana", "rui"}, Protocols: []string{"SSH"}, AccessGroups: []string{"prod"}})
	if facts["whom"] != "as sessões ativas de usuários ana, rui; grupos de acesso prod; protocolos SSH" || facts["users"] != "ana, rui" || facts["groups"] != "prod" {
		t.Errorf("%v", facts)
	}
	if facts["sessions_ended"] != "12.345" || facts["sessions_open"] != "2" || facts["sessions_unreachable"] != "0" {
		t.Errorf("%v", facts)
	}
	if all := select1(&emergencyv1.Selector{All: true}); all["whom"] != "todas as sessões ativas" {
		t.Errorf("%v", all)
	}
}

func TestAPolicyTellsWhatItAsksForAndWhomItLetsThrough(t *testing.T) {
	entry := &emergencyv1.Entry{Subject: "emergency.policy", Change: emergencyv1.Entry_POLICY_CHANGED, Actor: "ana", Record: &emergencyv1.Entry_Policy{Policy: &emergencyv1.Policy{
		GovernanceCode: emergencyv1.Policy_PATTERN, GovernancePattern: `INC\d+`, BreakGlassTokens: []string{"probe"}, Revision: "3-9",
	}}}
	want := map[string]string{
		"product": "Portcullis", "actor": "ana", "id": "3-9", "act": "changed the policy", "governance": `required, and must match INC\d+`, "let_through": "none", "let_through_tokens": "probe",
	}
	if diff := cmp.Diff(want, text.FactsOf(entry, emergency.Texts{}, "en")); diff != "" {
		t.Error(diff)
	}
}

func TestWhoeverIsToldOfALoosenedPolicyIsToldWhatIsLoosened(t *testing.T) {
	all := []string{"breakGlassUsers", "breakGlassTokens", "secondAdministrator", "ticketCheck", "governanceCode"}
	loosened := func(code emergencyv1.Policy_Governance, fields ...string) *emergencyv1.Policy {
		return &emergencyv1.Policy{GovernanceCode: code, GovernancePattern: "CHG.*", Loosened: fields}
	}
	for _, c := range []struct {
		policy           *emergencyv1.Policy
		english, brazils string
	}{
		{loosened(emergencyv1.Policy_OPTIONAL, all...), "more people get through every lockdown, more programs get through every lockdown, opening early takes one administrator, tickets are not looked up, the governance code is optional",
			"mais pessoas passam por todo lockdown, mais programas passam por todo lockdown, abrir antes da hora exige um só administrador, chamados não são consultados, o código de governança é opcional"},
		{loosened(emergencyv1.Policy_REQUIRED, "governanceCode"), "any governance code will do", "qualquer código de governança serve"},
		{loosened(emergencyv1.Policy_PATTERN, "governanceCode"), "the governance code has to match CHG.*", "o código de governança tem de seguir o padrão CHG.*"},
		{loosened(emergencyv1.Policy_OPTIONAL, "somethingNewThatHasNoWordsYet"), "somethingNewThatHasNoWordsYet", "somethingNewThatHasNoWordsYet"},
	} {
		changed := &emergencyv1.Entry{Subject: "emergency.policy", Change: emergencyv1.Entry_POLICY_CHANGED, Actor: "ana", Record: &emergencyv1.Entry_Policy{Policy: c.policy}}
		asked := &emergencyv1.Entry{Subject: "emergency.approval.P-0008", Change: emergencyv1.Entry_APPROVAL_REQUESTED, Actor: "ana", Time: timestamppb.New(start),
			Record: &emergencyv1.Entry_ApprovalRecord{ApprovalRecord: &emergencyv1.Approval{Id: "P-0008", Act: "policy", Target: "policy", Policy: c.policy}}}
		for language, want := range map[string][2]string{"en": {"loosened the policy: " + c.english, "loosen the policy: " + c.english}, "pt-BR": {"afrouxou a política: " + c.brazils, "afrouxar a política: " + c.brazils}} {
			for i, e := range []*emergencyv1.Entry{changed, asked} {
				kind, _ := text.TypeOf(e)
				r := rendered(t, text.BuiltIn(kind, language), text.FactsOf(e, emergency.Texts{}, language))
				if !strings.Contains(r.Body, want[i]) || !strings.Contains(r.Short, string([]rune(want[i])[:40])) {
					t.Errorf("%s in %s is %s, in short %q, want it to say %q", kind, language, r.Body, r.Short, want[i])
				}
			}
		}
	}
}

func TestLongListsSayHowManyMoreThereAre(t *testing.T) {
	var names []string
	for range 23 {
		names = append(names, "d")
	}
	if got := text.List(names, "en"); !strings.HasSuffix(got, "d, d and 3 more") {
		t.Error(got)
	}
	if got := text.List(names, "pt-BR"); !strings.HasSuffix(got, "d, d e mais 3") {
		t.Error(got)
	}
	if got := text.List(nil, "en"); got != "" {
		t.Error(got)
	}
}

func TestAListOfWhichOnlySomeAreKnownSaysHowManyThereAre(t *testing.T) {
	for _, c := range []struct {
		names    []string
		total    int
		en, ptBR string
	}{
		{nil, 0, "", ""}, {[]string{"a", "b"}, 2, "a, b", "a, b"}, {nil, 1200, "1,200", "1.200"},
		{[]string{"a", "b"}, 1203, "a, b and 1,201 more, 1,203 in all", "a, b e mais 1.201, 1.203 ao todo"},
	} {
		if got := text.Counted(c.names, c.total, "en"); got != c.en {
			t.Error(got)
		}
		if got := text.Counted(c.names, c.total, "pt-BR"); got != c.ptBR {
			t.Error(got)
		}
	}
}

func TestAPublishersFactsStandBesideOursAndNeverInTheirPlace(t *testing.T) {
	facts := text.FactsOfEvent(&notificationv1.Event{
		Id: "e1", Type: "certificate.expiring", Time: timestamppb.New(start), Summary: "x expires", Actor: "scanner", Devices: []string{"a", "b"},
		Facts: map[string]string{"certificate": "x", "expires": "2022-08-09T22:54:00Z", "actor": "mallory", "product": "Fake", "details": "lies", "serial": "7", "a b": "{{id}}"},
	}, emergency.Texts{Zone: time.FixedZone("BRT", -3*3600)}, "pt-BR")
	want := map[string]string{
		"product": "Portcullis", "id": "e1", "time": "09/08/2022 17:54 BRT", "summary": "x expires", "actor": "scanner", "devices": "a, b", "certificate": "x",
		"expires": "09/08/2022 19:54 BRT", "event.actor": "mallory", "event.product": "Fake", "event.details": "lies", "event.serial": "7",
		"details": "a b: {{id}}; actor: mallory; details: lies; product: Fake; serial: 7",
	}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Error(diff)
	}
}

func TestARefusedAttemptIsToldInTheReadersLanguage(t *testing.T) {
	facts := text.FactsOfEvent(&notificationv1.Event{Id: "attempt-1", Type: "emergency.attempt.refused", Actor: "ana", Devices: []string{"db-1"},
		Facts: map[string]string{"id": "F-0042", "kind": "FREEZE", "until": "2022-08-09T22:54:00Z"}}, emergency.Texts{}, "pt-BR")
	want := map[string]string{"product": "Portcullis", "actor": "ana", "devices": "db-1", "id": "F-0042", "kind": "congelamento", "until": "09/08/2022 22:54 UTC"}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Error(diff)
	}
}

func TestADrillIsToldOfAsItEndsWithWhoDidNotConfirm(t *testing.T) {
	ms := uint32(1200)
	drill := func(change emergencyv1.Entry_Change, r *emergencyv1.DrillResult) *emergencyv1.Entry {
		return &emergencyv1.Entry{Subject: "emergency.drill.D-0009", Change: change, Actor: "portcullis", Time: timestamppb.New(start), Record: &emergencyv1.Entry_Drill{Drill: &emergencyv1.Drill{
			Id: "D-0009", CreatedBy: "ana", Justification: "Weekly", Practice: &emergencyv1.Practice{Kind: emergencyv1.Emergency_FREEZE}, Result: r}}}
	}
	if got, ok := text.TypeOf(drill(emergencyv1.Entry_DRILL_STARTED, nil)); ok {
		t.Errorf("its start is told as %q", got)
	}
	r := &emergencyv1.DrillResult{Confirmed: 1, Waiting: 2, Unreachable: 12, MedianMs: &ms, SlowestMs: &ms, Slowest: "access-gate/gate-1", WouldRefuse: 3000}
	for i := range 12 {
		r.Receipts = append(r.Receipts, &emergencyv1.DrillReceipt{Service: "guard", Enforcer: fmt.Sprint("g", i), State: emergencyv1.Receipt_WAITING})
	}
	entry := drill(emergencyv1.Entry_DRILL_ENDED, r)
	if got, ok := text.TypeOf(entry); !ok || got != "emergency.drill.ended" {
		t.Fatalf("its end is told as %q", got)
	}
	facts := text.FactsOf(entry, emergency.Texts{}, "pt-BR")
	want := map[string]string{"actor": "ana", "id": "D-0009", "kind": "congelamento", "confirmed": "1 de 15", "median": "1.200 ms", "slowest": "1.200 ms (access-gate/gate-1)", "would_refuse": "3.000", "would_end": "0"}
	for name, value := range want {
		if facts[name] != value {
			t.Errorf("%s is %q, want %q", name, facts[name], value)
		}
	}
	if who := facts["unconfirmed"]; !strings.Contains(who, "guard/g0, guard/g1") || !strings.Contains(who, "mais") {
		t.Errorf("who did not confirm reads %q", who)
	}
	none := text.FactsOf(drill(emergencyv1.Entry_DRILL_ENDED, &emergencyv1.DrillResult{Confirmed: 2}), emergency.Texts{}, "en")
	if none["unconfirmed"] != "none" || none["median"] != "" || none["confirmed"] != "2 of 2" {
		t.Errorf("where all confirmed: %v", none)
	}
}
