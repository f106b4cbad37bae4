package emergency

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

var until2022 = time.Date(2022, 8, 9, 22, 54, 0, 0, time.UTC)

func TestALockdownsBodyIsOfExactlyThisShape(t *testing.T) {
	const want = `{"response":{"status":503,"mensagem":"Portcullis is under Lockdown until 09/08/2022 22:54:00","erro":true,"cod_erro":100,"message":"Portcullis is under Lockdown until 09/08/2022 22:54:00","error":true,"error_code":100}}`
	if got := string((Texts{}).LockdownBody(until2022)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestProductAndZoneAreConfigured(t *testing.T) {
	zone := time.FixedZone("BRT", -3*60*60)
	texts := Texts{Product: `Acme "PAM" <1>`, Zone: zone}
	const want = `Acme "PAM" <1> is under Lockdown until 09/08/2022 19:54:00`
	if got := texts.Lockdown(until2022); got != want {
		t.Error(got)
	}
	var body struct {
		Response struct{ Message, Mensagem string }
	}
	if err := json.Unmarshal(texts.LockdownBody(until2022), &body); err != nil || body.Response.Message != want || body.Response.Mensagem != want {
		t.Error(err, body)
	}
}

func TestTimesRoundUpToWholeSeconds(t *testing.T) {
	for _, c := range []struct {
		at    time.Time
		text  string
		after int
	}{
		{until2022, "09/08/2022 22:54:00", 1},
		{until2022.Add(1), "09/08/2022 22:54:01", 1},
		{until2022.Add(time.Second), "09/08/2022 22:54:01", 1},
		{until2022.Add(time.Second + 1), "09/08/2022 22:54:02", 2},
		{until2022.Add(-time.Hour), "09/08/2022 21:54:00", 1},
	} {
		if got := (Texts{}).Time(c.at); got != c.text {
			t.Errorf("%s: %s", c.at, got)
		}
		if got := RetryAfter(c.at, until2022); got != c.after {
			t.Errorf("%s: retry after %d", c.at, got)
		}
	}
}

func TestWhoIsRefusedReadsWhyAndUntilWhen(t *testing.T) {
	for _, c := range []struct {
		v      Verdict
		device string
		want   string
	}{
		{Verdict{Reason: LockedDown, Until: until2022, Back: until2022}, "", "Portcullis is under Lockdown until 09/08/2022 22:54:00"},
		{Verdict{Reason: LockedDown, Until: until2022, Back: until2022.Add(time.Hour)}, "db", "Portcullis is under Lockdown until 09/08/2022 22:54:00; db stays closed until 09/08/2022 23:54:00"},
		{Verdict{Reason: Frozen, Until: until2022, Back: until2022, Emergency: "F-0007"}, "db", "db is frozen until 09/08/2022 22:54:00 (F-0007). Live sessions go on; new ones wait"},
		{Verdict{Reason: NoAccess}, "db", "You have no access to db. Ask an administrator for an access group with it"},
		{Verdict{Reason: NoAccess}, "", "You have no access here. Ask an administrator whether your user is enabled"},
		{Verdict{Reason: LockedDown, Until: until2022, Back: until2022.Add(time.Hour)}, "", "Portcullis is under Lockdown until 09/08/2022 22:54:00"},
		{Verdict{Reason: Locked, Target: OnDevice, Emergency: "K-0001"}, "db", "db is locked until an administrator lifts it. Ask an administrator about K-0001"},
		{Verdict{Reason: Locked, Target: OnGroup, Emergency: "K-0001", Until: until2022}, "db", "db is locked until 09/08/2022 22:54:00. Ask an administrator about K-0001"},
		{Verdict{Reason: Locked, Target: OnUser, Emergency: "K-0001", Until: until2022}, "db", "Your user is locked until 09/08/2022 22:54:00. Ask an administrator about K-0001"},
		{Verdict{Reason: Locked, Target: OnUser, Emergency: "K-0001"}, "", "Your user is locked until an administrator lifts it. Ask an administrator about K-0001"},
		{Verdict{Reason: Stale}, "db", "This door can't tell whether its view is fresh, and refuses until it can. Try again in a minute"},
		{Verdict{Reason: Allowed}, "db", ""},
	} {
		if got := (Texts{}).Refusal(c.v, c.device); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.v.Reason, got, c.want)
		}
	}
}

func TestTheJustificationIsReadOnlyIfItWasMarkedPublic(t *testing.T) {
	for kind, want := range map[emergencyv1.Emergency_Kind]string{
		emergencyv1.Emergency_TERMINATION: "Portcullis: session ended. Terminated by an administrator (X-0042)",
		emergencyv1.Emergency_FREEZE:      "Portcullis: session ended. The device is frozen (X-0042)",
		emergencyv1.Emergency_LOCKDOWN:    "Portcullis: session ended. The platform is under lockdown (X-0042)",
		emergencyv1.Emergency_LOCK:        "Portcullis: session ended. Your user is locked (X-0042)",
	} {
		e := windowOf("X-0042", kind, noon, until2022)
		e.Selector = &emergencyv1.Selector{Users: []string{"ann"}}
		e.Justification, e.EndLiveSessions = "a leaked key", yes()
		for _, public := range []bool{false, true} {
			e.JustificationPublic = public
			cut, ok := CutOf(e)
			if !ok {
				t.Fatal("no cut")
			}
			got := (Texts{}).Ended(&cut)
			if !strings.HasPrefix(got, want) || strings.Contains(got, "a leaked key") != public {
				t.Errorf("public %v: %s", public, got)
			}
			if ending := ", until 09/08/2022 22:54:00"; kind != emergencyv1.Emergency_TERMINATION && !strings.HasSuffix(got, ending) {
				t.Errorf("%s does not say until when", got)
			}
		}
	}
}

func FuzzParseRevision(f *testing.F) {
	for _, s := range []string{"", "1-2", "0-0", "18446744073709551615-1", "1-2-3", "-1-2", "1", "+1-2", "a-b", "1- 2", "01-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRevision(s)
		if err != nil {
			if !r.IsZero() {
				t.Errorf("%q: %v besides an error", s, r)
			}
			return
		}
		again, err := ParseRevision(r.String())
		if err != nil || again != r {
			t.Errorf("%q: %v, then %v, %v", s, r, again, err)
		}
		if AdmissionOf(&emergencyv1.Admission{Revision: s}).Revision != r {
			t.Errorf("%q reads otherwise in an admission", s)
		}
	})
}

func TestRevisionsAreOrderedByEpochThenSequence(t *testing.T) {
	in := []Revision{{}, {1, 1}, {1, 9}, {1, 10}, {2, 0}, {2, 1}}
	for i, a := range in {
		for j, b := range in {
			if a.Less(b) != (i < j) {
				t.Errorf("%v < %v", a, b)
			}
		}
	}
}
