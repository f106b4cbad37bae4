package control

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func (p *platform) drill() *emergencyv1.CreateDrillRequest {
	return &emergencyv1.CreateDrillRequest{
		Practice: &emergencyv1.CreateDrillRequest_Lockdown{Lockdown: &emergencyv1.ApplyLockdownRequest{}}, Duration: durationpb.New(10 * time.Minute),
		Justification: "the yearly exercise", Grant: p.grant("admin"),
	}
}

// tells is a door's beat during a drill.
func (p *platform) tells(s *Service, door, boot, revision, drill string, refuses uint64) {
	b := &emergencyv1.Beat{Enforcer: door, Service: "access-gate", BootId: boot, Revision: revision}
	if drill != "" {
		b.Drills = []*emergencyv1.DrillProgress{{Drill: drill, WouldRefuse: refuses}}
	}
	s.receipts.Take(b)
	s.drills.Hear(b)
}

func (p *platform) drillNow(s *Service, id string) *emergencyv1.Drill {
	p.t.Helper()
	return must(s.drills.GetDrill(p.t.Context(), &emergencyv1.GetDrillRequest{Id: id}))
}

func (p *platform) ended(s *Service, id string) *emergencyv1.Drill {
	p.t.Helper()
	p.await(s, func() bool { return p.drillNow(s, id).GetStatus() != emergencyv1.Drill_RUNNING }, "the end of "+id)
	return p.drillNow(s, id)
}

func TestADrillGoesTheWayOfALockdownAndShutsNothing(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	r := p.drill()
	r.Grant = ""
	_, err := s.drills.CreateDrill(p.as("admin"), r)
	refused(t, err, fault.GrantRequired)
	r = p.drill()
	r.Justification = " "
	_, err = s.drills.CreateDrill(p.as("admin"), r)
	refused(t, err, fault.JustificationRequired)

	r = p.drill()
	d := must(s.drills.CreateDrill(p.as("admin"), r))
	_, err = s.drills.CreateDrill(p.as("admin"), r)
	refused(t, err, fault.AlreadyExists) // of the drill that runs: the grant is not even looked at
	if d.GetStatus() != emergencyv1.Drill_RUNNING || d.GetCreatedBy() != "admin" || d.GetPractice().GetKind() != emergencyv1.Emergency_LOCKDOWN {
		t.Fatalf("it is %v", d)
	}
	p.await(s, func() bool { return s.watch.State().Emergency.Revision().String() == d.GetRevision() }, "the drill at a door")
	known, now := s.watch.State().Emergency, p.clock.now()
	if known.Practised(now) == nil || len(known.Emergencies()) > 0 || !known.LockdownUntil(now).IsZero() || len(known.Cuts()) > 0 {
		t.Error("it is not practised, or is taken for real")
	}
	all := p.entries()
	last := all[len(all)-1]
	if last.GetChange() != emergencyv1.Entry_DRILL_STARTED || last.GetEmergency() != nil || last.GetGrantId() == "" || last.GetSubject() != "emergency.drill."+d.GetId() {
		t.Errorf("on record is %v", last)
	}
}

func TestWhatADrillHasShownStaysOnRecord(t *testing.T) {
	p := newPlatform(t)
	s, other := p.replica(), p.replica()
	p.tells(s, "gate-1", "b1", "", "", 0)
	p.tells(s, "gate-2", "b1", "", "", 0)
	d := must(s.drills.CreateDrill(p.as("admin"), p.drill()))
	p.tells(s, "gate-1", "b1", d.GetRevision(), d.GetId(), 4)
	p.tells(s, "gate-1", "b2", d.GetRevision(), d.GetId(), 3) // it has started again, and counts anew
	p.tells(s, "gate-1", "b2", d.GetRevision(), "D-9999", 3)
	p.tells(s, "old-gate", "b1", d.GetRevision(), "", 0)
	running := p.drillNow(s, d.GetId()).GetResult()
	if running.GetConfirmed() != 2 || running.GetWaiting() != 1 || running.GetWouldRefuse() != 7 || running.GetUntold() != 1 || running.MedianMs == nil {
		t.Errorf("while it runs it says %v", running)
	}
	must(s.drills.CancelDrill(p.as("second"), &emergencyv1.CancelDrillRequest{Id: d.GetId()}))
	got := p.ended(other, d.GetId())
	want := &emergencyv1.DrillResult{
		Receipts: []*emergencyv1.DrillReceipt{
			{Enforcer: "gate-2", Service: "access-gate", State: emergencyv1.Receipt_WAITING},
			{Enforcer: "gate-1", Service: "access-gate", State: emergencyv1.Receipt_CONFIRMED, WouldRefuse: new(uint64(7)), WouldEnd: new(uint32(0))},
			{Enforcer: "old-gate", Service: "access-gate", State: emergencyv1.Receipt_CONFIRMED},
		},
		Confirmed: 2, Waiting: 1, WouldRefuse: 7, Untold: 1,
	}
	times := protocmp.IgnoreFields(&emergencyv1.DrillReceipt{}, "held_ms")
	medians := protocmp.IgnoreFields(&emergencyv1.DrillResult{}, "median_ms", "slowest_ms", "slowest")
	byName := protocmp.SortRepeated(func(a, b *emergencyv1.DrillReceipt) bool { return a.GetEnforcer() < b.GetEnforcer() })
	if diff := cmp.Diff(want, got.GetResult(), protocmp.Transform(), times, medians, byName); diff != "" || got.GetResult().GetReceipts()[0].GetEnforcer() != "gate-2" {
		t.Error(diff)
	}
	if got.GetStatus() != emergencyv1.Drill_CANCELLED || got.GetEndedBy() != "second" || got.GetResult().MedianMs == nil || !got.GetEndTime().AsTime().Before(d.GetEndTime().AsTime()) {
		t.Errorf("it is %v", got)
	}
	_, err := s.drills.CancelDrill(p.as("second"), &emergencyv1.CancelDrillRequest{Id: d.GetId()})
	refused(t, err, fault.NotCancellable)
	if later := p.drillNow(p.replica(), d.GetId()); !cmp.Equal(later, got, protocmp.Transform()) {
		t.Error("a control that came later says something else")
	}
}

func TestADrillEndsByTheClockOnceWithAnyNumberOfReplicas(t *testing.T) {
	p := newPlatform(t)
	s, other := p.replica(), p.replica()
	r := p.drill()
	r.Duration = durationpb.New(10 * time.Second)
	d := must(s.drills.CreateDrill(p.as("admin"), r))
	p.clock.advance(time.Minute)
	s.ledger.nudge()
	other.ledger.nudge()
	if got := p.ended(other, d.GetId()); got.GetStatus() != emergencyv1.Drill_DONE || got.GetEndedBy() != "" || !got.GetEndTime().AsTime().Equal(d.GetEndTime().AsTime()) {
		t.Errorf("it is %v", got)
	}
	must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour))) // behind whatever the two have written
	ends := 0
	for _, e := range p.entries() {
		if e.GetChange() == emergencyv1.Entry_DRILL_ENDED {
			ends++
		}
	}
	if ends != 1 {
		t.Errorf("its end is on record %d times", ends)
	}
}

func TestAnEmergencyEndsTheDrillAndNoneBeginsBesideOne(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	d := must(s.drills.CreateDrill(p.as("admin"), p.drill()))
	_, err := s.drills.CreateDrill(p.as("second"), p.drill())
	refused(t, err, fault.AlreadyExists)
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	if got := p.ended(s, d.GetId()); got.GetStatus() != emergencyv1.Drill_CANCELLED || got.GetEndedBy() != l.GetId() {
		t.Errorf("it is %v", got)
	}
	p.await(s, func() bool { return !s.watch.State().Emergency.LockdownUntil(p.clock.now()).IsZero() }, "the lockdown at a door")
	_, err = s.drills.CreateDrill(p.as("admin"), p.drill())
	refused(t, err, fault.AlreadyExists)
	if fault.From(err).Details["emergency"] != l.GetId() {
		t.Errorf("it is refused because of %v", err)
	}
	must(s.CancelLockdown(p.as("admin"), &emergencyv1.CancelRequest{Id: l.GetId(), Justification: "over", Grant: p.grant("admin")}))
	must(s.drills.CreateDrill(p.as("admin"), p.drill()))
}

func TestAScheduledDrillRunsOnceAndThenAgain(t *testing.T) {
	p := newPlatform(t)
	s, other := p.replica(), p.replica()
	first := p.clock.now().Add(time.Hour)
	ask := func() *emergencyv1.CreateDrillScheduleRequest {
		return &emergencyv1.CreateDrillScheduleRequest{
			Practice:  &emergencyv1.CreateDrillScheduleRequest_Freeze{Freeze: &emergencyv1.ApplyFreezeRequest{}},
			FirstTime: timestamppb.New(first), Interval: durationpb.New(24 * time.Hour), Justification: "every night", Grant: p.grant("admin"),
		}
	}
	odd := ask()
	odd.Interval = durationpb.New(25 * time.Hour)
	_, err := s.drills.CreateDrillSchedule(p.as("admin"), odd)
	refused(t, err, fault.DurationOutOfRange)
	plan := must(s.drills.CreateDrillSchedule(p.as("admin"), ask()))
	left := func(by *Service) *emergencyv1.DrillSchedule {
		return must(by.drills.ListDrillSchedules(t.Context(), &emergencyv1.ListDrillSchedulesRequest{})).GetSchedules()[0]
	}
	p.await(other, func() bool {
		return other.ledger.drills != nil && len(must(other.drills.ListDrillSchedules(t.Context(), nil)).GetSchedules()) == 1
	}, "the schedule elsewhere")

	p.clock.advance(time.Hour + time.Second)
	s.ledger.nudge()
	other.ledger.nudge()
	p.await(s, func() bool { return left(s).GetLastDrill() != "" }, "the drill")
	d := p.drillNow(s, left(s).GetLastDrill())
	if d.GetSchedule() != plan.GetId() || d.GetCreatedBy() != "admin" || d.GetPractice().GetKind() != emergencyv1.Emergency_FREEZE {
		t.Errorf("it started %v", d)
	}
	if next := left(s).GetNextTime().AsTime(); !next.Equal(first.Add(24 * time.Hour)) {
		t.Errorf("next it runs at %v", next)
	}
	p.clock.advance(5 * time.Minute)
	s.ledger.nudge()
	p.ended(s, d.GetId())

	must(s.ApplyFreeze(p.as("admin"), &emergencyv1.ApplyFreezeRequest{Duration: durationpb.New(48 * time.Hour), Justification: "real", Grant: p.grant("admin")}))
	p.clock.advance(24 * time.Hour)
	s.ledger.nudge()
	p.await(s, func() bool { return left(s).GetLeftOut() != "" }, "a time that is left out")
	starts := 0
	for _, e := range p.entries() {
		if e.GetChange() == emergencyv1.Entry_DRILL_STARTED {
			starts++
		}
	}
	if starts != 1 {
		t.Errorf("%d drills have started", starts)
	}
	must(s.drills.DeleteDrillSchedule(p.as("second"), &emergencyv1.DeleteDrillScheduleRequest{Id: plan.GetId()}))
	if all := must(s.drills.ListDrillSchedules(t.Context(), nil)).GetSchedules(); len(all) > 0 {
		t.Errorf("still planned: %v", all)
	}
}

// nudge makes whoever waits for the record look at the clock.
func (l *ledger) nudge() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.moved)
	l.moved = make(chan struct{})
}
