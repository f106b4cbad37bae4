package emergency

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

// admitted is a session that was let in at a revision, by a door that knew of a start still to come, if any.
func admitted(sequence uint64, pending ...time.Time) *Session {
	s := &Session{User: "ann", Device: "db", Admission: Admission{Revision: Revision{1, sequence}}}
	if len(pending) > 0 {
		s.Admission.PendingCut = pending[0]
	}
	return s
}

// lockdown is one whose first entry is at 10, from noon for an hour.
func lockdown() *emergencyv1.Emergency {
	return &emergencyv1.Emergency{
		Id: "L-0010", Kind: emergencyv1.Emergency_LOCKDOWN, StartTime: timestamppb.New(noon), EndTime: timestamppb.New(at(60)),
		CutoffRevision: "1-10", CreateTime: timestamppb.New(at(-60)),
	}
}

func cancelled(e *emergencyv1.Emergency, when time.Time, started bool) *emergencyv1.Emergency {
	e.CancelTime, e.Started = timestamppb.New(when), started
	return e
}

func ends(t *testing.T, e *emergencyv1.Emergency, s *Session, now time.Time) bool {
	t.Helper()
	cut, ok := CutOf(e)
	return ok && cut.Ends(s, now)
}

func TestALaterVersionOfALockdownCutsNothingThatWasAdmittedSinceTheFirst(t *testing.T) {
	e := cancelled(lockdown(), at(20), true)
	e.Revision = "1-20"
	if ends(t, e, admitted(15), at(21)) {
		t.Error("the cancel at 20 of a lockdown from 10 ended what was admitted at 15")
	}
	if !ends(t, e, admitted(9), at(21)) {
		t.Error("what was admitted at 9 lives on")
	}
}

func TestALockEndsTheSessionsThatItSelectsAndAUsersSignInsForGood(t *testing.T) {
	for name, c := range map[string]struct {
		sel          *emergencyv1.Selector
		session, out bool
	}{
		"the user":          {&emergencyv1.Selector{Users: []string{"ann"}}, true, true},
		"another user":      {&emergencyv1.Selector{Users: []string{"bob"}}, false, false},
		"the device":        {&emergencyv1.Selector{Devices: []string{"db"}}, true, false},
		"another device":    {&emergencyv1.Selector{Devices: []string{"web"}}, false, false},
		"a group of stamps": {&emergencyv1.Selector{AccessGroups: []string{"pay"}}, true, false},
		"another group":     {&emergencyv1.Selector{AccessGroups: []string{"ops"}}, false, false},
	} {
		lock := lockOn("K-0010", c.sel)
		lock.CutoffRevision, lock.EndTime = "1-10", nil
		lifted := cancelled(lockOn("K-0010", c.sel), at(5), true)
		lifted.CutoffRevision, lifted.EndTime = "1-10", timestamppb.New(at(5))
		for when, e := range map[time.Time]*emergencyv1.Emergency{at(1): lock, at(90): lifted} {
			before, since := admitted(9), admitted(10)
			before.Groups, since.Groups = []string{"pay"}, []string{"pay"}
			if ends(t, e, before, when) != c.session || ends(t, e, since, when) {
				t.Errorf("a lock on %s ends a session from before: %v; or one from after", name, !c.session)
			}
			b := platform()
			b.PutEmergency(e)
			s := b.Snapshot(when)
			cut, out := s.SignedOut("ann", "s-1", before.Admission, when)
			if _, again := s.SignedOut("ann", "s-1", since.Admission, when); out != c.out || again {
				t.Errorf("a lock on %s ends the sign-in: %v, and one from after: %v", name, out, again)
			}
			if want := "The lock K-0010 has ended your sign-in. Sign in again"; out && cut.SignedOut() != want {
				t.Errorf("it reads %q", cut.SignedOut())
			}
		}
	}
}

func TestThoseWhomALockEndsReadUntilWhen(t *testing.T) {
	for _, c := range []struct {
		sel  *emergencyv1.Selector
		end  *timestamppb.Timestamp
		want string
	}{
		{&emergencyv1.Selector{Users: []string{"ann"}}, timestamppb.New(at(60)), "Portcullis: session ended. Your user is locked (K-0010), until 01/06/2026 13:00:00"},
		{&emergencyv1.Selector{Devices: []string{"db"}}, nil, "Portcullis: session ended. The device is locked (K-0010), until an administrator lifts it"},
		{&emergencyv1.Selector{AccessGroups: []string{"pay"}}, nil, "Portcullis: session ended. The device is locked (K-0010), until an administrator lifts it"},
	} {
		e := lockOn("K-0010", c.sel)
		e.EndTime = c.end
		cut, _ := CutOf(e)
		wire, err := CutFrom(cut.Proto())
		if got := (Texts{}).Ended(&wire); err != nil || got != c.want {
			t.Errorf("%q, %v, want %q", got, err, c.want)
		}
	}
}

func TestAWindowCancelledBeforeItsStartCutsNothing(t *testing.T) {
	e := cancelled(lockdown(), at(-1), false)
	for _, s := range []*Session{admitted(9), admitted(11, noon)} {
		if ends(t, e, s, at(5)) {
			t.Errorf("%+v was ended", s.Admission)
		}
	}
}

func TestTheCutOfAWindowCancelledAfterItsStartStands(t *testing.T) {
	e := cancelled(lockdown(), at(5), true)
	for _, s := range []*Session{admitted(9), admitted(11, noon)} {
		if !ends(t, e, s, at(90)) {
			t.Errorf("%+v lives on", s.Admission)
		}
	}
}

func TestAScheduledStartCutsByTheEnforcersOwnClock(t *testing.T) {
	for _, c := range []struct {
		name string
		s    *Session
	}{
		{"admitted before it was scheduled", admitted(9)},
		{"admitted with knowledge of it", admitted(11, noon)},
		{"admitted with knowledge of an earlier one too", admitted(11, at(-3))},
	} {
		if ends(t, lockdown(), c.s, noon.Add(-time.Nanosecond)) {
			t.Errorf("%s: ended before the start", c.name)
		}
		if !ends(t, lockdown(), c.s, noon) {
			t.Errorf("%s: not ended at the start, although nobody recorded STARTED", c.name)
		}
	}
}

func TestARecordedStartCutsWhateverTheEnforcersClockSays(t *testing.T) {
	e := lockdown()
	e.Started = true
	if !ends(t, e, admitted(9), at(-2)) {
		t.Error("a clock two minutes behind kept a session alive")
	}
}

func TestWhatWasAdmittedDuringTheWindowSurvivesIt(t *testing.T) {
	if ends(t, lockdown(), admitted(11), at(30)) {
		t.Error("a break-glass session that was admitted during the lockdown was ended by it")
	}
	if ends(t, lockdown(), admitted(11, at(45)), at(30)) {
		t.Error("one that knew of a later window was ended by the one that is on")
	}
}

func TestATerminationThatIsSentAgainEndsNothingAdmittedAfterIt(t *testing.T) {
	e := &emergencyv1.Emergency{Id: "T-0010", Kind: emergencyv1.Emergency_TERMINATION, CutoffRevision: "1-10", Selector: &emergencyv1.Selector{All: true}}
	for _, c := range []struct {
		s    *Session
		want bool
	}{{admitted(9), true}, {admitted(10), false}, {admitted(11), false}, {admitted(11, noon), false}} {
		for _, again := range []time.Time{noon, at(10000)} {
			if got := ends(t, e, c.s, again); got != c.want {
				t.Errorf("admitted at %s: ended %v, want %v", c.s.Admission.Revision, got, c.want)
			}
		}
	}
}

func TestEveryRevisionOfAnOlderEpochIsBelowEveryOneOfANewer(t *testing.T) {
	e := lockdown()
	e.CutoffRevision = "2-1"
	old := &Session{Admission: Admission{Revision: Revision{1, 1 << 40}}}
	if !ends(t, e, old, noon) {
		t.Error("a session of epoch 1 survived a cut of epoch 2")
	}
	e.CutoffRevision = "1-99999"
	if ends(t, e, &Session{Admission: Admission{Revision: Revision{2, 1}}}, noon) {
		t.Error("a cut of epoch 1 ended a session of epoch 2")
	}
}

func TestAnAdmissionThatCantBeReadIsBelowEveryCut(t *testing.T) {
	for _, text := range []string{"", "nonsense", "1-2-3"} {
		a := AdmissionOf(&emergencyv1.Admission{Revision: text, PendingCut: timestamppb.New(noon)})
		if !ends(t, lockdown(), &Session{Admission: a}, noon) {
			t.Errorf("%q survived", text)
		}
	}
}

func TestOneCutDoesNotHideAnother(t *testing.T) {
	b := NewBuilder()
	spared := lockdown()
	spared.Id, spared.CutoffRevision, spared.SparedSignIn, spared.Started = "L-0020", "1-20", "mine", true
	b.PutEmergency(lockdown())
	b.PutEmergency(spared)
	s := b.Snapshot(at(5))
	if _, out := s.SignedOut("ann", "mine", Admission{Revision: Revision{1, 15}}, at(5)); out {
		t.Error("the sign-in that presented the grant was signed out by its own lockdown, or by one that it had outlived")
	}
	if cut, out := s.SignedOut("ann", "mine", Admission{Revision: Revision{1, 5}}, at(5)); !out || cut.Emergency != "L-0010" {
		t.Error("a newer lockdown that spares the sign-in hid an older one that doesn't")
	}
	if _, out := s.SignedOut("ann", "", Admission{Revision: Revision{1, 15}}, at(5)); !out {
		t.Error("a sign-in without an id was spared")
	}
}

func TestAnAdmissionStampsTheEarliestStartStillToCome(t *testing.T) {
	b := NewBuilder()
	b.SetRevision(Revision{1, 12})
	first, second, begun := lockdown(), lockdown(), lockdown()
	second.Id, second.StartTime = "L-0011", timestamppb.New(at(-10))
	begun.Id, begun.StartTime, begun.Started = "L-0012", timestamppb.New(at(-15)), true
	freeze := lockdown()
	freeze.Id, freeze.Kind, freeze.StartTime = "F-0013", emergencyv1.Emergency_FREEZE, timestamppb.New(at(-16))
	for _, e := range []*emergencyv1.Emergency{first, second, begun, freeze} {
		b.PutEmergency(e)
	}
	s := b.Snapshot(at(-20))
	for _, c := range []struct{ now, want time.Time }{{at(-20), at(-10)}, {at(-10), noon}, {noon, time.Time{}}} {
		got := s.Admission(c.now)
		if !got.PendingCut.Equal(c.want) || got.Revision != (Revision{1, 12}) {
			t.Errorf("at %s: %+v, want %s", c.now, got, c.want)
		}
		if round := AdmissionOf(got.Proto()); round != got {
			t.Errorf("over the wire %+v became %+v", got, round)
		}
	}
}

func TestAFreezeCutsOnlyIfItEndsLiveSessions(t *testing.T) {
	e := lockdown()
	e.Kind = emergencyv1.Emergency_FREEZE
	if _, ok := CutOf(e); ok {
		t.Error("a plain freeze cuts")
	}
	e.EndLiveSessions = yes()
	cut, ok := CutOf(e)
	if !ok || !cut.Blocking || cut.Kind != Freeze || !cut.Until.Equal(at(60)) {
		t.Errorf("%+v", cut)
	}
	if cut.Ends(admitted(9), noon) {
		t.Error("before its groups are looked up it ended something")
	}
	cut.Selector = &emergencyv1.Selector{AccessGroups: []string{"pay"}}
	cut.MemberDevices = []string{"db"}
	cut.SparedUsers = []string{"root"}
	root := admitted(9)
	root.User = "root"
	if !cut.Ends(admitted(9), noon) || cut.Ends(root, noon) {
		t.Error("it ends everyone's sessions on its devices but those of whom it spares")
	}
}

func yes() *bool { b := true; return &b }

func TestTokensStayShutUntilTheyAreArmedAgain(t *testing.T) {
	b := NewBuilder()
	e := lockdown()
	e.RevokeTokens = yes()
	b.PutEmergency(e)
	plain := lockdown()
	plain.Id, plain.CutoffRevision = "L-0030", "1-30"
	b.PutEmergency(plain)
	s := b.Snapshot(at(-5))
	for _, c := range []struct {
		armed uint64
		now   time.Time
		want  bool
	}{{9, at(-1), false}, {9, noon, true}, {9, at(100), true}, {10, at(100), false}, {11, at(100), false}} {
		if _, shut := s.TokenRevoked("T", Admission{Revision: Revision{1, c.armed}}, c.now); shut != c.want {
			t.Errorf("armed at %d, at %s: shut %v, want %v", c.armed, c.now, shut, c.want)
		}
	}
	e.BreakGlassTokens = []string{"named"}
	b.PutEmergency(e)
	b.PutPolicy(&emergencyv1.Policy{BreakGlassTokens: []string{"always"}})
	s = b.Snapshot(at(-5))
	for token, want := range map[string]bool{"T": true, "named": false, "always": false} {
		if _, shut := s.TokenRevoked(token, Admission{Revision: Revision{1, 9}}, noon); shut != want {
			t.Errorf("%s: shut %v, want %v: break-glass is let through", token, shut, want)
		}
	}
}

func TestAnEmptySelectorMeansNobody(t *testing.T) {
	for _, sel := range []*emergencyv1.Selector{nil, {}} {
		if !SelectorEmpty(sel) || Selects(sel, admitted(9), []string{"db"}) {
			t.Errorf("%v selects", sel)
		}
	}
	if SelectorEmpty(&emergencyv1.Selector{All: true}) {
		t.Error("all is not empty")
	}
}

func TestASelectorNarrowsByFieldAndWidensByName(t *testing.T) {
	s := &Session{User: "ann", Device: "db", Connector: "c1", Protocol: "SSH", Groups: []string{"pay"}}
	for _, c := range []struct {
		name    string
		sel     *emergencyv1.Selector
		members []string
		want    bool
	}{
		{"all", &emergencyv1.Selector{All: true}, nil, true},
		{"user", &emergencyv1.Selector{Users: []string{"bob", "ann"}}, nil, true},
		{"other user", &emergencyv1.Selector{Users: []string{"bob"}}, nil, false},
		{"user and device", &emergencyv1.Selector{Users: []string{"ann"}, Devices: []string{"db"}}, nil, true},
		{"user and other device", &emergencyv1.Selector{Users: []string{"ann"}, Devices: []string{"web"}}, nil, false},
		{"connector", &emergencyv1.Selector{Connectors: []string{"c1"}}, nil, true},
		{"other connector", &emergencyv1.Selector{Connectors: []string{"c2"}}, nil, false},
		{"protocol", &emergencyv1.Selector{Protocols: []string{"SSH"}}, nil, true},
		{"other protocol", &emergencyv1.Selector{Protocols: []string{"TCP"}}, nil, false},
		{"group, by the stamp", &emergencyv1.Selector{AccessGroups: []string{"pay"}}, nil, true},
		{"group, by today's membership", &emergencyv1.Selector{AccessGroups: []string{"ops"}}, []string{"db"}, true},
		{"other group", &emergencyv1.Selector{AccessGroups: []string{"ops"}}, []string{"web"}, false},
		{"group and other user", &emergencyv1.Selector{AccessGroups: []string{"pay"}, Users: []string{"bob"}}, []string{"db"}, false},
		{"prefix of a name", &emergencyv1.Selector{Users: []string{"an"}}, nil, false},
	} {
		if got := Selects(c.sel, s, c.members); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
