package emergency

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func anyDrill(t *rapid.T, now time.Time, revision Revision) *emergencyv1.Drill {
	start := now.Add(time.Duration(rapid.IntRange(-2, 1).Draw(t, "drill starts")) * time.Minute)
	return &emergencyv1.Drill{
		Id: fmt.Sprintf("D-%d", rapid.IntRange(0, 2).Draw(t, "drill")), StartTime: timestamppb.New(start), EndTime: timestamppb.New(start.Add(90 * time.Second)),
		StartRevision: revision.String(), Revision: revision.String(), Practice: &emergencyv1.Practice{
			Kind:            emergencyv1.Emergency_Kind(rapid.IntRange(0, 5).Draw(t, "practised")), // what it can't be is no more real
			Selector:        &emergencyv1.Selector{All: rapid.Bool().Draw(t, "everyone"), Users: names(t, "u", 2), AccessGroups: names(t, "g", 2)},
			EndLiveSessions: rapid.Bool().Draw(t, "ends live"), BreakGlassUsers: names(t, "u", 2),
		},
	}
}

// What a snapshot decides, ends and shows with any drills in it is what it does without.
func TestADrillIsNeverTheRealThingNorHidesOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := changing{T: t, all: NewBuilder(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			[]func(*rapid.T){w.user, w.device, w.group, w.record}[rapid.IntRange(0, 3).Draw(t, "what")](t)
		}
		without := w.all.Snapshot(w.now)
		for range rapid.IntRange(1, 3).Draw(t, "drills") {
			w.all.PutDrill(anyDrill(t, w.now, Revision{1, w.seq + 1}))
		}
		with := w.all.Snapshot(w.now)
		w.compare(t, without, with, []string{"d0", "d1"})
		for _, at := range []time.Time{w.now, w.now.Add(70 * time.Second)} {
			if a, b := without.NextEdge(at), with.NextEdge(at); !a.Equal(b) {
				t.Fatalf("what a door shows changes at %v, not at %v", b, a)
			}
			if a, b := without.LockdownUntil(at), with.LockdownUntil(at); !a.Equal(b) {
				t.Fatalf("a lockdown is on until %v, not %v", b, a)
			}
			if diff := cmp.Diff(without.Windows(at), with.Windows(at), protocmp.Transform()); diff != "" {
				t.Fatal(diff)
			}
			for user := range 4 {
				name, stamp := fmt.Sprintf("u%d", user), Admission{Revision: Revision{1, 1}}
				_, a := without.SignedOut(name, "", stamp, at)
				if _, b := with.SignedOut(name, "", stamp, at); a != b {
					t.Fatalf("%s is signed out: %t, not %t", name, b, a)
				}
			}
		}
		if diff := cmp.Diff(without.Emergencies(), with.Emergencies(), protocmp.Transform()); diff != "" || len(without.Cuts()) != len(with.Cuts()) {
			t.Fatalf("a drill is on the list, or cuts: %s", diff)
		}
	})
}

// And what it says would be is what would be.
func TestADrillSaysWhatTheRealOneWouldDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := changing{T: t, all: NewBuilder(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			[]func(*rapid.T){w.user, w.device, w.group}[rapid.IntRange(0, 2).Draw(t, "what")](t)
		}
		d := anyDrill(t, w.now, Revision{1, 5})
		d.StartTime, d.EndTime = timestamppb.New(w.now), timestamppb.New(w.now.Add(time.Minute))
		d.Practice.Kind = emergencyv1.Emergency_Kind(rapid.IntRange(1, 3).Draw(t, "kind"))
		w.all.PutDrill(d)
		drilled := w.all.Snapshot(w.now)
		w.all.PutEmergency(practised(d))
		real := w.all.Snapshot(w.now)
		p := drilled.Practised(w.now)
		if p == nil || p.Drill != d.GetId() {
			t.Fatalf("practised is %v", p)
		}
		for user := range 4 {
			for _, device := range []string{"", "d0", "d1"} {
				r := Request{User: fmt.Sprintf("u%d", user), Device: device, Channel: SessionChannel}
				now, then := Decide(drilled, r, w.now), Decide(real, r, w.now)
				if would := now.Allowed() && p.Refuses(r, w.now); would != (now.Allowed() && !then.Allowed()) {
					t.Fatalf("%+v: it would be refused: %t, and is then answered %+v", r, would, then)
				}
				s := &Session{User: r.User, Device: device, Groups: names(t, "g", 2), Admission: Admission{Revision: Revision{1, 3}}}
				if ended := endsBy(real, s, w.now); p.Ends(s, w.now) != ended {
					t.Fatalf("%+v would end: %t, and ends: %t", s, !ended, ended)
				}
			}
		}
		if late := drilled.Practised(w.now.Add(time.Minute)); late != nil {
			t.Fatal("it is on after its end")
		}
	})
}

// endsBy is what a broker does with a cut.
func endsBy(s *Snapshot, of *Session, now time.Time) bool {
	for _, cut := range s.Cuts() {
		if cut.Blocking && s.Administrator(of.User) {
			continue
		}
		if cut.Blocking {
			cut.Selector = &emergencyv1.Selector{AccessGroups: s.FrozenGroups()}
		}
		if s.InGroups(of.Device, cut.Selector.GetAccessGroups()) {
			cut.MemberDevices = []string{of.Device}
		}
		if cut.Ends(of, now) {
			return true
		}
	}
	return false
}

func TestADoorIsToldOfADrillAndOfItsEnd(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	all, door := NewBuilder(), NewBuilder()
	d := &emergencyv1.Drill{
		Id: "D-0001", StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(time.Minute)), StartRevision: "1-1",
		Practice: &emergencyv1.Practice{Kind: emergencyv1.Emergency_LOCKDOWN}, Justification: "nobody's business at a door",
	}
	all.PutDrill(d)
	first := all.Snapshot(now)
	c := first.Since(nil, nil, Revision{})
	heard, err := ChangeFrom(c.Proto())
	if err != nil {
		t.Fatal(err)
	}
	door.Apply(heard)
	if p := door.Snapshot(now).Practised(now); p == nil || heard.Drills[0].GetJustification() != "" {
		t.Fatalf("it practises %v, and has heard %v", p, heard.Drills)
	}
	all.PutDrill(&emergencyv1.Drill{Id: d.GetId(), StartTime: d.GetStartTime(), EndTime: d.GetEndTime(), Result: &emergencyv1.DrillResult{}})
	c = all.Snapshot(now).Since(first, nil, Revision{})
	if c.Empty() {
		t.Fatal("there is nothing to tell")
	}
	door.Apply(c)
	if p := door.Snapshot(now).Practised(now); p != nil {
		t.Errorf("it still practises %s", p.Drill)
	}
}
