package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/plan"
	"portcullis.dev/services/notifier/settings"
)

func TestARuleFiresOnItsTypesAndOnlyWhileItIsOn(t *testing.T) {
	w := newWorld(t)
	w.rule("on", func(n *notificationv1.Notification) { n.Contacts = []string{"ana"} }, viewed, "password.changed")
	w.rule("off", func(n *notificationv1.Notification) { n.Enabled, n.Contacts = false, []string{"rui"} }, viewed)
	w.rule("other", func(n *notificationv1.Notification) { n.Contacts = []string{"mute"} }, "backup.failed")
	for kind, want := range map[string]string{viewed: "ana EMAIL", "password.changed": "ana EMAIL", "backup.failed": "mute EMAIL", "backup.completed": "", "of.no.type": ""} {
		if got := who(w.tell(w.event(kind))); got != want {
			t.Errorf("%s is told to %q, want %q", kind, got, want)
		}
	}
}

func TestEachContactIsToldOnceByEachMethodWhoeverAskedForIt(t *testing.T) {
	w := newWorld(t)
	byBoth := []notificationv1.Method{notificationv1.Method_EMAIL, notificationv1.Method_SCREEN}
	w.rule("first", nil, viewed)
	w.rule("second", func(n *notificationv1.Notification) {
		n.Methods, n.Contacts = byBoth, []string{"rui", "gone", "nobody"}
	}, viewed)
	all := w.tell(w.event(viewed))
	if got := who(all); got != "ana EMAIL, rui EMAIL, rui SCREEN" {
		t.Fatal(got)
	}
	for _, d := range all {
		whole, err := w.box.Get(t.Context(), d.GetId())
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][]string{"ana EMAIL": {"first"}, "rui EMAIL": {"first", "second"}, "rui SCREEN": {"second"}}[who([]*notificationv1.Delivery{d})]
		if diff := cmp.Diff(want, whole.GetNotifications()); diff != "" {
			t.Errorf("%s: %s", d.GetContact(), diff)
		}
	}
}

func TestAContactWithoutAnAddressOrNumberHasARowThatSaysSoAndOneWhoIsGoneHasNone(t *testing.T) {
	w := newWorld(t)
	w.rule("all", func(n *notificationv1.Notification) {
		n.Contacts = []string{"mute", "gone", "nobody"}
		n.Methods = []notificationv1.Method{notificationv1.Method_EMAIL, notificationv1.Method_SMS}
	}, viewed)
	all := w.tell(w.event(viewed))
	if got := who(all); got != "mute EMAIL, mute SMS" || all[0].GetRecipient()+all[1].GetRecipient() != "" {
		t.Errorf("%s: %v", got, all)
	}
}

func TestAccessRequestsGoByEmailAndScreenOnly(t *testing.T) {
	w := newWorld(t)
	w.rule("requests", func(n *notificationv1.Notification) {
		n.Contacts = []string{"ana"}
		n.Methods = []notificationv1.Method{notificationv1.Method_SMS, notificationv1.Method_SCREEN}
	}, "request.created")
	if got := who(w.tell(w.event("request.created"))); got != "ana SCREEN" {
		t.Error(got)
	}
}

func TestOnlyWithAccessAsksTheGateForTheDevicesConcerned(t *testing.T) {
	w := newWorld(t)
	narrow := func(n *notificationv1.Notification) { n.OnlyWithAccess = true }
	w.rule("viewed", narrow, viewed, started)
	if got := who(w.tell(w.event(viewed, "db-1"))); got != "ana EMAIL" {
		t.Errorf("of one device: %s", got)
	}
	if got := who(w.tell(w.event(viewed))); got != "ana EMAIL, rui EMAIL" {
		t.Errorf("what is about no device is told to all: %s", got)
	}
	w.access.reaches["rui"] = nil
	if got := who(w.tell(w.freeze(emergencyv1.Entry_STARTED))); got != "ana EMAIL" {
		t.Errorf("of a freeze: %s", got)
	}
	users := []string{"ana", "rui"}
	want := []*gatev1.FilterUsersRequest{{Devices: []string{"db-1"}, Users: users}, {Frozen: true, Users: users}}
	if diff := cmp.Diff(want, w.access.asked, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatAnEmergencyConcernsIsWhatItCloses(t *testing.T) {
	for _, c := range []struct {
		of   *emergencyv1.Emergency
		want *gatev1.FilterUsersRequest
	}{
		{&emergencyv1.Emergency{Kind: emergencyv1.Emergency_TERMINATION, Selector: &emergencyv1.Selector{All: true}}, &gatev1.FilterUsersRequest{All: true}},
		{&emergencyv1.Emergency{Kind: emergencyv1.Emergency_TERMINATION, Selector: &emergencyv1.Selector{Devices: []string{"a"}, AccessGroups: []string{"g"}}},
			&gatev1.FilterUsersRequest{Devices: []string{"a"}, AccessGroups: []string{"g"}}},
		{&emergencyv1.Emergency{Kind: emergencyv1.Emergency_LOCKDOWN}, &gatev1.FilterUsersRequest{All: true}},
	} {
		change := emergencyv1.Entry_STARTED
		if c.of.GetKind() == emergencyv1.Emergency_TERMINATION {
			change = emergencyv1.Entry_APPLIED
		}
		h, ok := plan.OfEntry(&emergencyv1.Entry{Subject: "emergency.x.y", Change: change, Record: &emergencyv1.Entry_Emergency{Emergency: c.of}}, emergency.Texts{})
		if diff := cmp.Diff(c.want, h.Concerns, protocmp.Transform()); !ok || h.Freeze || diff != "" {
			t.Errorf("%v: %s", c.of, diff)
		}
	}
}

func TestAnApprovalIsAskedOfTheOthersAndAnsweredToWhoeverAsked(t *testing.T) {
	w := newWorld(t)
	w.rule("approvals", func(n *notificationv1.Notification) { n.Contacts = []string{"ana", "rui"} }, "emergency.approval.requested", "emergency.approval.granted")
	w.rule("others", func(n *notificationv1.Notification) { n.Contacts = []string{"ana"} }, "emergency.approval.denied")
	for change, want := range map[emergencyv1.Entry_Change]string{
		emergencyv1.Entry_APPROVAL_REQUESTED: "ana EMAIL", emergencyv1.Entry_APPROVAL_GRANTED: "ana EMAIL, rui EMAIL", emergencyv1.Entry_APPROVAL_DENIED: "ana EMAIL, rui EMAIL",
	} {
		h, _ := plan.OfEntry(&emergencyv1.Entry{Epoch: 1, Sequence: uint64(change), Subject: "emergency.approval.P-0008", Change: change, Actor: "ana",
			Record: &emergencyv1.Entry_ApprovalRecord{ApprovalRecord: &emergencyv1.Approval{Id: "P-0008", Act: "cancel", Target: "F-0007", Revision: "1-7", RequestedBy: "rui"}}}, emergency.Texts{})
		if h.Emergency != "F-0007" {
			t.Errorf("it is about %q", h.Emergency)
		}
		if got := who(w.tell(h)); got != want {
			t.Errorf("%v is told to %q, want %q", change, got, want)
		}
	}
}

func TestTheSameHappeningIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.rule("viewed", nil, viewed)
	h := w.event(viewed)
	first := w.tell(h)
	asked := w.people.asked
	w.rule("late", func(n *notificationv1.Notification) { n.Contacts = []string{"mute"} }, viewed)
	if again := w.tell(h); len(again) != len(first) || w.people.asked != asked {
		t.Errorf("told again: %s", who(again))
	}
	nobody := w.event("backup.failed")
	w.tell(nobody)
	if !w.box.Planned(nobody.Key) {
		t.Error("what nobody is told of is looked at again")
	}
	other := w.event(viewed)
	other.Event.PublishedBy, other.Event.Id = "token:other", h.Event.GetId()
	if plan.EventKey(other.Event) == h.Key {
		t.Error("another publisher's event is taken for this one")
	}
}

func TestAPlanThatFailedBecauseAServiceIsAwayIsMadeWholeLater(t *testing.T) {
	w := newWorld(t)
	w.rule("viewed", nil, viewed)
	h := w.event(viewed)
	w.people.down = true
	if err := w.Tell(t.Context(), h); err == nil || !fault.Is(err, fault.Unavailable) || len(w.all("")) > 0 || w.box.Planned(h.Key) {
		t.Errorf("%v; %s", err, who(w.all("")))
	}
	w.people.down = false
	if got := who(w.tell(h)); got != "ana EMAIL, rui EMAIL" {
		t.Error(got)
	}
}

func TestEveryReaderReadsTheirOwnLanguageAndAnAdministratorsText(t *testing.T) {
	w := newWorld(t)
	w.rule("freezes", nil, started)
	own := &notificationv1.Template{Type: started, Language: "pt-BR", Subject: "Parou até {{until}}", Body: "{{actor}}: {{justification}}\n", Short: "Parou"}
	w.put(settings.Templates, started+".pt-BR", &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_Template{Template: own}})
	said := map[string]string{}
	for _, d := range w.tell(w.freeze(emergencyv1.Entry_STARTED)) {
		said[d.GetContact()+" "+d.GetLanguage()] = d.GetSubject() + "\n" + w.body(d)
	}
	if en := said["ana en"]; !strings.Contains(en, "Freeze F-0001 is on") || !strings.Contains(en, "Why: A leak") {
		t.Errorf("in English: %q of %v", en, said)
	}
	if pt := said["rui pt-BR"]; !strings.HasPrefix(pt, "Parou até ") || !strings.HasSuffix(pt, "root: A leak\n") {
		t.Errorf("by the administrator's text: %q of %v", pt, said)
	}
	broken := &notificationv1.Template{Type: started, Language: "pt-BR", Subject: "{{nothing of ours", Body: "x", Short: "x"}
	w.put(settings.Templates, started+".pt-BR", &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_Template{Template: broken}})
	for _, d := range w.tell(w.freeze(emergencyv1.Entry_STARTED)) {
		if d.GetLanguage() == "pt-BR" && !strings.Contains(d.GetSubject(), "Congelamento F-0001") {
			t.Errorf("a broken text says %q", d.GetSubject())
		}
	}
}

func TestAFreezeNamesWhatItClosesAsFarAsEachReaderMayKnow(t *testing.T) {
	w := newWorld(t)
	for i := range 12 {
		w.access.reaches["bo"] = append(w.access.reaches["bo"], fmt.Sprintf("core-%02d", i))
	}
	w.rule("narrow", func(n *notificationv1.Notification) { n.OnlyWithAccess = true }, started, "emergency.freeze.cancelled")
	bodies := func(change emergencyv1.Entry_Change) map[string]string {
		all := map[string]string{}
		for _, d := range w.tell(w.freeze(change)) {
			all[d.GetContact()] = w.body(d)
		}
		return all
	}
	narrow := bodies(emergencyv1.Entry_STARTED)
	for who, line := range map[string]string{"ana": "Devices: db-1\nAccess groups: of ana\n", "rui": "Dispositivos: web-1, web-2\nGrupos de acesso: of rui\n"} {
		if !strings.Contains(narrow[who], line) || strings.Contains(narrow[who], "core-") {
			t.Errorf("%s, who is told of what is theirs, reads\n%s", who, narrow[who])
		}
	}
	w.rule("wide", func(n *notificationv1.Notification) { n.Contacts = []string{"ana", "mute"} }, started)
	for who, body := range bodies(emergencyv1.Entry_STARTED) {
		all := "Devices: core-00, core-01, core-02, core-03, core-04, core-05, core-06, core-07, core-08, core-09 and 5 more, 15 in all\nAccess groups: of all\n"
		if wide := who != "rui"; strings.Contains(body, all) != wide {
			t.Errorf("%s, who may know all: %v, reads\n%s", who, wide, body)
		}
	}
	w.access.silent = true
	for who, body := range bodies(emergencyv1.Entry_CANCELLED) {
		if strings.Contains(body, "Devices:") || !strings.Contains(body, "F-0001") {
			t.Errorf("%s, told without the gate, reads\n%s", who, body)
		}
	}
}

func TestAWebhookThatIsOnIsToldAllAndOneThatIsOffNothing(t *testing.T) {
	w := newWorld(t)
	for id, on := range map[string]bool{"slack-on": true, "slack-off": false} {
		hook := &notificationv1.Webhook{Id: id, Name: id, Enabled: on, Method: notificationv1.Method_SLACK, Language: "pt-BR"}
		w.put(settings.Webhooks, id, &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_Webhook{Webhook: hook}})
	}
	w.rule("ops", func(n *notificationv1.Notification) {
		n.OnlyWithAccess, n.Contacts, n.Webhooks = true, nil, []string{"slack-on", "slack-off", "deleted"}
		n.Methods = []notificationv1.Method{notificationv1.Method_SLACK}
	}, started)
	all := w.tell(w.freeze(emergencyv1.Entry_STARTED))
	if len(all) != 1 || all[0].GetAccount() != "slack-on" || all[0].GetLanguage() != "pt-BR" {
		t.Errorf("%v", all)
	}
}
