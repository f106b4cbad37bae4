package emergency

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// A door that is told of changes decides as the one that tells, about what stands behind it.
func TestWhoIsToldOfChangesDecidesAsTheOneThatTells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := changing{T: t, all: NewBuilder(), door: NewBuilder(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		behind := []string{"d0", "d1"}
		t.Repeat(map[string]func(*rapid.T){
			"user":   func(t *rapid.T) { w.user(t) },
			"device": func(t *rapid.T) { w.device(t) },
			"group":  func(t *rapid.T) { w.group(t) },
			"record": func(t *rapid.T) { w.record(t) },
			"policy": func(t *rapid.T) {
				w.all.PutPolicy(&emergencyv1.Policy{BreakGlassUsers: names(t, "u", 2)})
			},
			"lose": func(t *rapid.T) { w.told, w.door = nil, NewBuilder() },
			"": func(t *rapid.T) {
				s := w.all.Snapshot(w.now)
				c := s.Since(w.told, behind, w.held)
				if c.Whole != (w.told == nil) {
					t.Fatalf("told of %v, and whole is %v", w.told, c.Whole)
				}
				w.door.Apply(c)
				w.told, w.held = s, c.Revision
				w.compare(t, s, w.door.Snapshot(w.now), behind)
			},
		})
	})
}

type changing struct {
	*rapid.T
	all, door *Builder
	told      *Snapshot
	held      Revision
	now       time.Time
	seq       uint64
}

func one(t *rapid.T, of string, n int) string {
	return fmt.Sprintf("%s%d", of, rapid.IntRange(0, n-1).Draw(t, of))
}

func names(t *rapid.T, of string, n int) []string {
	var all []string
	for i := range n {
		if rapid.Bool().Draw(t, "in") {
			all = append(all, fmt.Sprintf("%s%d", of, i))
		}
	}
	return all
}

func (w *changing) user(t *rapid.T) {
	name := one(t, "u", 4)
	if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
		w.all.DeleteUser(name)
		return
	}
	w.all.PutUser(name, rapid.Bool().Draw(t, "admin"), rapid.Bool().Draw(t, "off"))
}

func (w *changing) device(t *rapid.T) {
	name := one(t, "d", 4)
	if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
		w.all.DeleteDevice(name)
		return
	}
	w.all.PutDevice(name, rapid.Bool().Draw(t, "off"))
}

func (w *changing) group(t *rapid.T) {
	name, users, devices := one(t, "g", 3), names(t, "u", 4), names(t, "d", 4)
	switch rapid.IntRange(0, 4).Draw(t, "how") {
	case 0:
		w.all.DeleteGroup(name)
	case 1:
		w.all.PutDisabledGroup(name, users, devices)
	default:
		w.all.PutGroup(name, users, devices, rapid.Bool().Draw(t, "blocks"))
	}
}

func (w *changing) record(t *rapid.T) {
	w.seq++
	w.all.SetRevision(Revision{1, w.seq})
	n := rapid.IntRange(0, 5).Draw(t, "emergency")
	id := fmt.Sprintf("L-%d", n)
	if before := w.all.Record(id); before != nil {
		after := &emergencyv1.Emergency{Id: id, Kind: before.GetKind(), CreateTime: before.GetCreateTime(), StartTime: before.GetStartTime(), EndTime: before.GetEndTime(),
			CutoffRevision: before.GetCutoffRevision(), Selector: before.GetSelector(), BreakGlassUsers: before.GetBreakGlassUsers(), Started: rapid.Bool().Draw(t, "started")}
		if rapid.Bool().Draw(t, "cancelled") {
			after.CancelTime = timestamppb.New(w.now)
		}
		w.all.PutEmergency(after)
		return
	}
	start := w.now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "start")) * time.Minute)
	e := &emergencyv1.Emergency{
		Id: id, Kind: emergencyv1.Emergency_Kind(rapid.IntRange(1, 4).Draw(t, "kind")), CreateTime: timestamppb.New(w.now.Add(time.Duration(w.seq))),
		StartTime: timestamppb.New(start), EndTime: timestamppb.New(start.Add(90 * time.Second)), CutoffRevision: Revision{1, w.seq}.String(),
		Selector: &emergencyv1.Selector{All: true}, BreakGlassUsers: names(t, "u", 2),
	}
	if e.GetKind() == emergencyv1.Emergency_LOCK {
		e.Selector = []*emergencyv1.Selector{
			{Users: []string{one(t, "u", 4)}}, {Devices: []string{one(t, "d", 4)}}, {AccessGroups: []string{one(t, "g", 3)}}, {All: true},
		}[rapid.IntRange(0, 3).Draw(t, "target")]
		if rapid.Bool().Draw(t, "endless") {
			e.EndTime = nil
		}
	}
	w.all.PutEmergency(e)
}

func (w *changing) compare(t *rapid.T, all, door *Snapshot, behind []string) {
	if all.Revision() != door.Revision() {
		t.Fatalf("the door holds %v, not %v", door.Revision(), all.Revision())
	}
	for _, at := range []time.Time{w.now, w.now.Add(70 * time.Second)} {
		for user := range 4 {
			for _, device := range append([]string{""}, behind...) {
				for _, channel := range []Channel{Interactive, API, SessionChannel} {
					r := Request{User: fmt.Sprintf("u%d", user), Device: device, Channel: channel}
					if want, got := Decide(all, r, at), Decide(door, r, at); want != got {
						t.Fatalf("%+v: the door says %+v, not %+v", r, got, want)
					}
				}
			}
		}
		if want, got := all.Admission(at), door.Admission(at); want != got {
			t.Fatalf("the door stamps %+v, not %+v", got, want)
		}
	}
	// What it holds now, no record may cut that it does not know of.
	for _, cut := range all.Cuts() {
		if w.held.Less(cut.Revision) && !slices.ContainsFunc(door.Cuts(), func(c Cut) bool { return c.Emergency == cut.Emergency }) {
			t.Fatalf("the door does not know of %s", cut.Emergency)
		}
	}
}
