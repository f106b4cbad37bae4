package emergency

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

var fuzzNoon = time.Date(2022, 8, 9, 12, 0, 0, 0, time.UTC)

func mustMarshal(f *testing.F, m proto.Message) []byte {
	f.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	return data
}

// FuzzACutComesBackAsItWent takes any bytes for a cut that a broker sends.
func FuzzACutComesBackAsItWent(f *testing.F) {
	f.Add([]byte{})
	f.Add(mustMarshal(f, &emergencyv1.Cut{Emergency: "L-1", Kind: emergencyv1.Emergency_LOCKDOWN, CutoffRevision: "1-7", Begun: true,
		Until: timestamppb.New(fuzzNoon), Selector: &emergencyv1.Selector{All: true}, SparedUsers: []string{"ana"}}))
	f.Add(mustMarshal(f, &emergencyv1.Cut{Emergency: "F-1", CutoffRevision: "1-7", StartTime: &timestamppb.Timestamp{Seconds: 1 << 62, Nanos: -1}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		wire := new(emergencyv1.Cut)
		if proto.Unmarshal(data, wire) != nil {
			return
		}
		c, err := CutFrom(wire)
		if err != nil {
			return
		}
		again, err := CutFrom(c.Proto())
		if err != nil || again.Revision != c.Revision || again.Emergency != c.Emergency || again.Begun != c.Begun {
			t.Fatalf("%v came back as %v, %v", c, again, err)
		}
		seen := Session{User: "bob", Device: "db-1"}
		if c.Ends(&seen, fuzzNoon) && !c.Selects(&seen) {
			t.Fatal("it ends what it does not select")
		}
	})
}

// FuzzAnyRecordCanBeDecidedOn takes any bytes for an emergency on record: decisions go on, and one that is a lockdown now
// lets nobody through whom it does not spare.
func FuzzAnyRecordCanBeDecidedOn(f *testing.F) {
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(fuzzNoon.Add(d)) }
	for _, kind := range []emergencyv1.Emergency_Kind{emergencyv1.Emergency_TERMINATION, emergencyv1.Emergency_FREEZE, emergencyv1.Emergency_LOCKDOWN} {
		f.Add(mustMarshal(f, &emergencyv1.Emergency{Id: "X-1", Kind: kind, StartTime: at(-time.Hour), EndTime: at(time.Hour), CreateTime: at(-time.Hour),
			Duration: durationpb.New(2 * time.Hour), Started: true, Revision: "1-7", CutoffRevision: "1-7", Selector: &emergencyv1.Selector{Users: []string{"bob"}}}))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		e := new(emergencyv1.Emergency)
		if proto.Unmarshal(data, e) != nil {
			return
		}
		b := NewBuilder()
		b.PutUser("bob", false, false)
		b.PutDevice("db-1", false)
		b.PutGroup("g", []string{"bob"}, []string{"db-1"}, true)
		b.SetRevision(Revision{1, 7})
		b.PutEmergency(e)
		s := b.Snapshot(fuzzNoon)
		_, edge := s.Admission(fuzzNoon), s.NextEdge(fuzzNoon)
		if !edge.IsZero() && !edge.After(fuzzNoon) {
			t.Fatalf("the next edge is %s, which is past", edge)
		}
		verdict := Decide(s, Request{User: "bob", Device: "db-1", Channel: Interactive}, fuzzNoon)
		on := e.GetKind() == emergencyv1.Emergency_LOCKDOWN && StatusOf(e, fuzzNoon) == emergencyv1.Emergency_ONGOING
		if on && verdict.Reason == Allowed && len(e.GetBreakGlassUsers()) == 0 {
			t.Fatalf("let through a lockdown that is on: %v", e)
		}
		_ = Texts{}.Refusal(verdict, "db-1")
	})
}
