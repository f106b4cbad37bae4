package emergency

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// newer adds a field that this version doesn't know.
func newer[M proto.Message](m M, number protowire.Number) M {
	raw := append(m.ProtoReflect().GetUnknown(), protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), 1)...)
	m.ProtoReflect().SetUnknown(raw)
	return m
}

func TestWhatANewerVersionWritesMakesAnOlderDoorStricterNeverLaxer(t *testing.T) {
	now := time.Now()
	window := func(kind emergencyv1.Emergency_Kind) *emergencyv1.Emergency {
		return &emergencyv1.Emergency{
			Id: "X-0007", Kind: kind, Started: true, StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(time.Hour)),
			CreateTime: timestamppb.New(now), CutoffRevision: "1-7", Selector: &emergencyv1.Selector{Devices: []string{"web"}},
		}
	}
	for name, c := range map[string]struct {
		e *emergencyv1.Emergency
		// refused are who can't open a session on db, whose group blocks, and on web, whose doesn't; ended is whether one
		// that was admitted before ends.
		db, web, ended bool
	}{
		"a freeze":                             {window(emergencyv1.Emergency_FREEZE), true, false, false},
		"a freeze with a scope":                {newer(window(emergencyv1.Emergency_FREEZE), 120), true, false, false},
		"a freeze that closes more":            {newer(window(emergencyv1.Emergency_FREEZE), firstWidening), true, true, true},
		"a lockdown with a scope":              {newer(window(emergencyv1.Emergency_LOCKDOWN), 120), true, true, true},
		"a lock":                               {window(emergencyv1.Emergency_LOCK), false, true, false},
		"a lock with a scope":                  {newer(window(emergencyv1.Emergency_LOCK), 120), false, true, false},
		"a lock that closes more":              {newer(window(emergencyv1.Emergency_LOCK), firstWidening), true, true, true},
		"a lock that closes more, without end": {newer(endless(window(emergencyv1.Emergency_LOCK)), firstWidening), false, true, false},
		"a lock on what is not known":          {unselected(window(emergencyv1.Emergency_LOCK)), true, true, true},
		"a lock on several kinds of things":    {on(window(emergencyv1.Emergency_LOCK), &emergencyv1.Selector{Users: []string{"x"}, Devices: []string{"y"}}), true, true, true},
		"a lock on a protocol":                 {on(window(emergencyv1.Emergency_LOCK), &emergencyv1.Selector{Devices: []string{"web"}, Protocols: []string{"SSH"}}), true, true, true},
		"a lock on all, without end":           {unselected(endless(window(emergencyv1.Emergency_LOCK))), false, false, true},
		"a lockdown that closes more":          {newer(window(emergencyv1.Emergency_LOCKDOWN), lastWidening), true, true, true},
		"a kind that is not known":             {window(17), true, true, true},
		"a kind below all":                     {window(-1), true, true, true},
		"no kind":                              {window(emergencyv1.Emergency_KIND_UNSPECIFIED), true, true, true},
		"a kind that is not known, later":      {pending(window(17)), false, false, false},
		"a kind that is not known, cancelled":  {lifted(window(17), now), false, false, true},
		"one that is not known, without end":   {endless(window(17)), false, false, false}, // names web alone
		"one that is not known, of all":        {unselected(endless(window(17))), false, false, true},
		"a termination with an unknown filter": {selecting(newer(&emergencyv1.Selector{}, 40)), false, false, true},
		"a termination with another filter":    {selecting(newer(&emergencyv1.Selector{Devices: []string{"db"}}, 40)), false, false, true},
		"a termination of others":              {selecting(&emergencyv1.Selector{Devices: []string{"web"}}), false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder()
			b.PutUser("ann", false, false)
			b.PutUser("root", true, false)
			b.PutDevice("db", false)
			b.PutDevice("web", false)
			b.PutGroup("payments", []string{"ann"}, []string{"db"}, true)
			b.PutGroup("websites", []string{"ann"}, []string{"web"}, false)
			b.PutEmergency(c.e)
			s := b.Snapshot(now)
			for device, shut := range map[string]bool{"db": c.db, "web": c.web} {
				if v := Decide(s, Request{User: "ann", Device: device, Channel: SessionChannel}, now); v.Allowed() == shut {
					t.Errorf("%s: %s, want it shut: %v", device, v.Reason, shut)
				}
			}
			if v := Decide(s, Request{User: "root", Channel: Interactive}, now); !v.Allowed() {
				t.Errorf("the administrators' way in is shut: %s", v.Reason)
			}
			cut, cuts := CutOf(c.e)
			old := &Session{User: "ann", Device: "db", Admission: Admission{Revision: Revision{Epoch: 1, Sequence: 6}}}
			if ended := cuts && !cut.Blocking && cut.Ends(old, now); ended != c.ended {
				t.Errorf("a session from before ends: %v, want %v", ended, c.ended)
			}
			if wire, err := CutFrom(cut.Proto()); cuts && (err != nil || wire.Ends(old, now) != cut.Ends(old, now)) {
				t.Errorf("a connector would decide otherwise: %v, %v", wire, err)
			}
		})
	}
}

func TestAConnectorEndsEverythingWhereTheSelectorIsOfANewerVersion(t *testing.T) {
	cut, err := CutFrom(&emergencyv1.Cut{CutoffRevision: "1-7", Selector: newer(&emergencyv1.Selector{}, 40)})
	if err != nil || !cut.Ends(&Session{User: "ann"}, time.Now()) {
		t.Errorf("%v, %v", cut, err)
	}
}

func pending(e *emergencyv1.Emergency) *emergencyv1.Emergency {
	e.Started, e.StartTime = false, timestamppb.New(e.GetStartTime().AsTime().Add(time.Minute))
	return e
}

func lifted(e *emergencyv1.Emergency, at time.Time) *emergencyv1.Emergency {
	e.CancelTime, e.EndTime = timestamppb.New(at), timestamppb.New(at)
	return e
}

func endless(e *emergencyv1.Emergency) *emergencyv1.Emergency {
	e.EndTime = nil
	return e
}

func on(e *emergencyv1.Emergency, sel *emergencyv1.Selector) *emergencyv1.Emergency {
	e.Selector = sel
	return e
}

func unselected(e *emergencyv1.Emergency) *emergencyv1.Emergency {
	e.Selector = nil
	return e
}

func selecting(s *emergencyv1.Selector) *emergencyv1.Emergency {
	return &emergencyv1.Emergency{Id: "T-0007", Kind: emergencyv1.Emergency_TERMINATION, Started: true, CutoffRevision: "1-7", Selector: s}
}
