package control

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func (p *platform) cancel(id string) *emergencyv1.CancelRequest {
	return &emergencyv1.CancelRequest{Id: id, Justification: "false alarm", GovernanceCode: "INC1", Grant: p.grant("admin")}
}

func TestACancelKeepsTheCutoffAndEndsTheWindowNow(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	c := must(s.CancelLockdown(p.as("admin"), p.cancel(l.GetId())))
	if c.GetStatus() != emergencyv1.Emergency_CANCELLED || c.GetCutoffRevision() != l.GetCutoffRevision() || c.GetRevision() == l.GetRevision() {
		t.Fatalf("cancelled %v", c)
	}
	if !c.GetEndTime().AsTime().Equal(c.GetCancelTime().AsTime()) || c.GetCancelGovernanceCode() != "INC1" || c.GetCancelledBy() != "admin" {
		t.Fatalf("cancelled %v", c)
	}
	cut, ok := emergency.CutOf(c)
	if !ok || cut.Bites(emergency.Admission{Revision: must(emergency.ParseRevision(l.GetCutoffRevision()))}, p.clock.now()) {
		t.Fatalf("the cut %v must stand, and end nothing admitted at or after it", cut)
	}
	for _, again := range []string{l.GetId(), l.GetId()} {
		_, err := s.CancelLockdown(p.as("admin"), p.cancel(again))
		refused(t, err, fault.NotCancellable)
	}
}

func TestACancelBeforeTheStartCutsNothing(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(time.Hour, time.Hour)))
	c := must(s.CancelLockdown(p.as("admin"), p.cancel(l.GetId())))
	if _, cuts := emergency.CutOf(c); cuts || c.GetStarted() || !c.GetEndTime().AsTime().Equal(l.GetEndTime().AsTime()) {
		t.Fatalf("cancelled %v", c)
	}
	p.clock.advance(3 * time.Hour)
	s2 := p.replica()
	if got := must(s2.GetLockdown(p.as("admin"), &emergencyv1.GetEmergencyRequest{Id: l.GetId()})); got.GetStatus() != emergencyv1.Emergency_CANCELLED {
		t.Fatalf("later it is %v", got.GetStatus())
	}
	if edges := p.edges(l.GetId()); edges[emergencyv1.Entry_STARTED] != 0 || edges[emergencyv1.Entry_ENDED] != 0 {
		t.Fatalf("edges %v", edges)
	}
}

func TestACancelAfterTheStartWritesAMissingStartWithIt(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(time.Hour, time.Hour)))
	p.clock.advance(61 * time.Minute) // the timer, an hour of real time away, does not see it
	c := must(s.CancelLockdown(p.as("admin"), p.cancel(l.GetId())))
	if _, cuts := emergency.CutOf(c); !cuts {
		t.Fatalf("what has started has cut: %v", c)
	}
	if edges := p.edges(l.GetId()); edges[emergencyv1.Entry_STARTED] != 1 || edges[emergencyv1.Entry_CANCELLED] != 1 {
		t.Fatalf("edges %v", edges)
	}
}

func TestEveryEdgeIsRecordedOnceByAnyNumberOfReplicas(t *testing.T) {
	p := newPlatform(t)
	replicas := []*Service{p.replica(), p.replica(), p.replica()}
	r := p.lockdown(300*time.Millisecond, time.Minute)
	l := must(replicas[0].ApplyLockdown(p.as("admin"), r))
	p.await(replicas[2], func() bool { return replicas[2].ledger.record(l.GetId()).GetStarted() }, "the start")
	p.clock.advance(2 * time.Minute)
	for _, s := range replicas { // any entry makes every replica look at its clock again
		must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	}
	p.await(replicas[1], func() bool { return replicas[1].ledger.record(l.GetId()).GetEndedRecorded() }, "the end")
	if edges := p.edges(l.GetId()); edges[emergencyv1.Entry_STARTED] != 1 || edges[emergencyv1.Entry_ENDED] != 1 || edges[emergencyv1.Entry_SCHEDULED] != 1 {
		t.Fatalf("edges %v", edges)
	}
}

func TestEdgesMissedWhileDownAreWrittenLate(t *testing.T) {
	p := newPlatform(t)
	l := must(p.replica().ApplyLockdown(p.as("admin"), p.lockdown(time.Hour, time.Hour)))
	p.clock.advance(3 * time.Hour)
	s := p.replica()
	p.await(s, func() bool { return s.ledger.record(l.GetId()).GetEndedRecorded() }, "both edges")
	if edges := p.edges(l.GetId()); edges[emergencyv1.Entry_STARTED] != 1 || edges[emergencyv1.Entry_ENDED] != 1 {
		t.Fatalf("edges %v", edges)
	}
}

func TestAWindowCanBeShortenedNeverProlonged(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	shorten := func(end time.Time) (*emergencyv1.Emergency, error) {
		return s.ShortenFreeze(p.as("admin"), &emergencyv1.ShortenRequest{Id: f.GetId(), EndTime: timestamppb.New(end), Justification: "x", Grant: p.grant("admin")})
	}
	for _, bad := range []time.Time{f.GetEndTime().AsTime(), f.GetEndTime().AsTime().Add(1), p.clock.now().Add(-time.Second), {}} {
		_, err := shorten(bad)
		refused(t, err, fault.InvalidArgument)
	}
	got := must(shorten(p.clock.now().Add(time.Minute)))
	if got.GetDuration().AsDuration() > 61*time.Second || got.GetCutoffRevision() != f.GetCutoffRevision() {
		t.Fatalf("shortened %v", got)
	}
}

func TestUnknownIdsAndKindsAreRefusedClearly(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	for id, reason := range map[string]string{
		"F-9999": fault.NotFound, "../etc": fault.InvalidArgument, "F.1": fault.InvalidArgument, "F-1\n": fault.InvalidArgument, "": fault.InvalidArgument,
	} {
		_, err := s.CancelFreeze(p.as("admin"), p.cancel(id))
		refused(t, err, reason)
	}
	_, err := s.CancelLockdown(p.as("admin"), p.cancel(f.GetId()))
	refused(t, err, fault.NotFound)
}
