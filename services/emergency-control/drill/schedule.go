package drill

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

const (
	day       = 24 * time.Hour
	year      = 366 * day
	tooLate   = time.Hour // after which a time that nobody was there for is left out
	schedules = 50
)

// CreateDrillSchedule has a drill run again and again.
func (s *Service) CreateDrillSchedule(ctx context.Context, r *emergencyv1.CreateDrillScheduleRequest) (*emergencyv1.DrillSchedule, error) {
	a := Ask{Message: r, Grant: r.GetGrant(), RequestID: r.GetRequestId(), Justification: r.GetJustification(), Governance: r.GetGovernanceCode()}
	entry, err := s.deps.Once(ctx, a, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		now := s.deps.Now()
		practice, length, err := s.practice(ctx, wanted{r.GetTermination(), r.GetFreeze(), r.GetLockdown(), r.GetDuration()}, now)
		if err == nil {
			err = s.times(r, now)
		}
		if err != nil {
			return nil, err
		}
		return []*emergencyv1.Entry{s.changed(envelope, next, &emergencyv1.DrillSchedule{
			Id: fmt.Sprintf("S-%04d", next), Practice: practice, Duration: durationpb.New(length), NextTime: r.GetFirstTime(), Interval: r.GetInterval(),
			Justification: envelope.GetJustification(), GovernanceCode: envelope.GetGovernanceCode(), CreatedBy: envelope.GetActor(), CreateTime: timestamppb.New(now),
		})}, nil
	})
	if err != nil {
		return nil, err
	}
	return entry.GetDrillSchedule(), nil
}

// times checks when a schedule runs.
func (s *Service) times(r *emergencyv1.CreateDrillScheduleRequest, now time.Time) error {
	every := r.GetInterval().AsDuration()
	if !r.GetInterval().IsValid() || every < day || every > year || every%day != 0 {
		return fault.New(fault.DurationOutOfRange, `The interval is a number of whole days, 1 ("86400s") to 366`).With("field", "interval")
	}
	first := r.GetFirstTime()
	if first.CheckValid() != nil || !first.AsTime().After(now) || first.AsTime().After(now.Add(year)) {
		return fault.New(fault.InvalidArgument, "firstTime lies between now and a year ahead: use RFC 3339, for instance 2026-11-22T03:00:00Z").With("field", "firstTime")
	}
	if len(s.deps.Book.planned()) >= schedules {
		return fault.New(fault.ResourceExhausted, "There are %d schedules already, and no more are taken. Delete one first", schedules)
	}
	return nil
}

func (s *Service) changed(envelope *emergencyv1.Entry, next uint64, p *emergencyv1.DrillSchedule) *emergencyv1.Entry {
	p.Revision = s.deps.Revision(next)
	envelope.Subject, envelope.Change = "emergency.drill-schedule."+p.GetId(), emergencyv1.Entry_DRILL_SCHEDULE_CHANGED
	envelope.Record = &emergencyv1.Entry_DrillSchedule{DrillSchedule: p}
	return envelope
}

// ListDrillSchedules lists those that were not deleted, the next to run first.
func (s *Service) ListDrillSchedules(context.Context, *emergencyv1.ListDrillSchedulesRequest) (*emergencyv1.ListDrillSchedulesResponse, error) {
	return &emergencyv1.ListDrillSchedulesResponse{Schedules: s.deps.Book.planned()}, nil
}

// DeleteDrillSchedule stops one. It opens nothing, and takes no grant.
func (s *Service) DeleteDrillSchedule(ctx context.Context, r *emergencyv1.DeleteDrillScheduleRequest) (*emergencyv1.DrillSchedule, error) {
	entry, err := s.deps.Once(ctx, Ask{Message: r, Free: true}, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		before := s.deps.Book.schedule(r.GetId())
		if before == nil || before.GetDeleteTime() != nil {
			return nil, unknown("drill schedule", r.GetId())
		}
		p := proto.CloneOf(before)
		p.NextTime, p.DeletedBy, p.DeleteTime = nil, who.FromContext(ctx).Actor(), timestamppb.New(s.deps.Now())
		return []*emergencyv1.Entry{s.changed(envelope, next, p)}, nil
	})
	if err != nil {
		return nil, err
	}
	return entry.GetDrillSchedule(), nil
}

// nextPlanned is when the next schedule is due, and what is written then: the drill and the time after, all or nothing; or why this
// time is left out.
func (s *Service) nextPlanned(now time.Time) (time.Duration, func(next uint64) ([]*emergencyv1.Entry, error)) {
	planned := s.deps.Book.planned()
	if len(planned) == 0 {
		return time.Hour, nil
	}
	wait := planned[0].GetNextTime().AsTime().Sub(now)
	return min(wait, time.Hour), func(next uint64) ([]*emergencyv1.Entry, error) { return s.start(planned[0].GetId(), next) }
}

func (s *Service) start(id string, next uint64) ([]*emergencyv1.Entry, error) {
	before, now := s.deps.Book.schedule(id), s.deps.Now()
	if before.GetDeleteTime() != nil || before.GetNextTime().AsTime().After(now) {
		return nil, journal.ErrUnchanged
	}
	p := proto.CloneOf(before)
	behind := now.Sub(p.GetNextTime().AsTime())
	every := p.GetInterval().AsDuration()
	p.NextTime = timestamppb.New(p.GetNextTime().AsTime().Add(every * (1 + behind/every)))
	if p.LeftOut = s.leftOut(p, behind, now); p.LeftOut != "" {
		return []*emergencyv1.Entry{s.changed(&emergencyv1.Entry{Actor: clockActor}, next, p)}, nil
	}
	d := s.begin(next, now, p.GetPractice(), p.GetDuration().AsDuration())
	d.Justification, d.GovernanceCode, d.CreatedBy, d.Schedule = p.GetJustification(), p.GetGovernanceCode(), p.GetCreatedBy(), p.GetId()
	p.LastDrill = d.GetId()
	envelope := &emergencyv1.Entry{Actor: clockActor, Justification: p.GetJustification(), GovernanceCode: p.GetGovernanceCode()}
	return []*emergencyv1.Entry{record(envelope, d, emergencyv1.Entry_DRILL_STARTED), s.changed(&emergencyv1.Entry{Actor: clockActor}, next+1, p)}, nil
}

// leftOut says why a time passes without a drill; empty if none does.
func (s *Service) leftOut(p *emergencyv1.DrillSchedule, behind time.Duration, now time.Time) string {
	if behind > tooLate {
		return "nothing ran at the time"
	}
	if !s.deps.Administrator(p.GetCreatedBy()) {
		return p.GetCreatedBy() + ", who answers for it, is no administrator any more"
	}
	if other := s.deps.Book.inTheWay(now); other != "" {
		return other + " was on"
	}
	return ""
}
