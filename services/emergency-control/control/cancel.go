package control

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/watch"
)

// CancelFreeze lifts a freeze that is pending or on.
func (s *Service) CancelFreeze(ctx context.Context, r *emergencyv1.CancelRequest) (*emergencyv1.Emergency, error) {
	return s.cancel(ctx, r, emergencyv1.Emergency_FREEZE)
}

// CancelLockdown lifts a lockdown that is pending or on. What it has cut stays cut.
func (s *Service) CancelLockdown(ctx context.Context, r *emergencyv1.CancelRequest) (*emergencyv1.Emergency, error) {
	return s.cancel(ctx, r, emergencyv1.Emergency_LOCKDOWN)
}

func (s *Service) cancel(ctx context.Context, r *emergencyv1.CancelRequest, kind emergencyv1.Emergency_Kind) (*emergencyv1.Emergency, error) {
	a, err := ask(ctx, r, purposeCancel, r.GetJustification(), r.GetGovernanceCode())
	if err != nil {
		return nil, err
	}
	return s.lift(ctx, a, r.GetId(), kind, "cancel", func(e *emergencyv1.Emergency, now time.Time) (emergencyv1.Entry_Change, error) {
		e.CancelledBy, e.CancelTime = a.caller.Actor(), timestamppb.New(now)
		e.CancelJustification, e.CancelGovernanceCode = a.justification, a.governance
		if e.GetStarted() {
			e.EndTime = timestamppb.New(now)
		}
		return emergencyv1.Entry_CANCELLED, nil
	})
}

// ShortenFreeze moves the end of a freeze closer.
func (s *Service) ShortenFreeze(ctx context.Context, r *emergencyv1.ShortenRequest) (*emergencyv1.Emergency, error) {
	return s.shorten(ctx, r, emergencyv1.Emergency_FREEZE)
}

// ShortenLockdown moves the end of a lockdown closer.
func (s *Service) ShortenLockdown(ctx context.Context, r *emergencyv1.ShortenRequest) (*emergencyv1.Emergency, error) {
	return s.shorten(ctx, r, emergencyv1.Emergency_LOCKDOWN)
}

func (s *Service) shorten(ctx context.Context, r *emergencyv1.ShortenRequest, kind emergencyv1.Emergency_Kind) (*emergencyv1.Emergency, error) {
	a, err := ask(ctx, r, purposeShorten, r.GetJustification(), r.GetGovernanceCode())
	if err != nil {
		return nil, err
	}
	return s.lift(ctx, a, r.GetId(), kind, "shorten", func(e *emergencyv1.Emergency, now time.Time) (emergencyv1.Entry_Change, error) {
		end := r.GetEndTime().AsTime()
		if r.GetEndTime().CheckValid() != nil || !end.After(now) || !end.After(e.GetStartTime().AsTime()) || !end.Before(e.GetEndTime().AsTime()) {
			return 0, fault.New(fault.InvalidArgument, "endTime must lie after now and the start, and before the end so far, %s. To end it now, cancel it",
				e.GetEndTime().AsTime().Format(time.RFC3339)).With("field", "endTime")
		}
		e.EndTime, e.Duration = r.GetEndTime(), durationpb.New(end.Sub(e.GetStartTime().AsTime()))
		return emergencyv1.Entry_SHORTENED, nil
	})
}

// lift writes a change that opens earlier. Whether the window had started is decided here, once, under
// compare-and-set: an edge STARTED that is missing is written with the change, all or nothing.
func (s *Service) lift(ctx context.Context, a asked, id string, kind emergencyv1.Emergency_Kind, verb string,
	edit func(e *emergencyv1.Emergency, now time.Time) (emergencyv1.Entry_Change, error)) (*emergencyv1.Emergency, error) {
	s.arrive(ctx, id)
	entry, err := s.once(ctx, a, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		if err := a.reasons(s.ledger.policy); err != nil {
			return nil, err
		}
		now := s.now()
		before := s.ledger.records[id]
		if err := liftable(before, id, kind, verb, now); err != nil {
			return nil, err
		}
		var entries []*emergencyv1.Entry
		e := proto.CloneOf(before)
		e.DirectorySequence = s.watch.Sequence(watch.Directory)
		if !e.GetStarted() && !now.Before(e.GetStartTime().AsTime()) {
			entries = append(entries, s.started(e, next))
			e, next = proto.CloneOf(entries[0].GetEmergency()), next+1
		}
		change, err := edit(e, now)
		if err != nil {
			return nil, err
		}
		e.Revision = s.ledger.revision(next).String()
		return append(entries, record(envelope, e, change)), nil
	})
	if err != nil {
		return nil, err
	}
	s.receipts.settle(ctx, revisionOf(entry))
	return s.shown(entry.GetEmergency()), nil
}

func liftable(e *emergencyv1.Emergency, id string, kind emergencyv1.Emergency_Kind, verb string, now time.Time) error {
	if e == nil || e.GetKind() != kind {
		return unknown(id, kind)
	}
	switch status := emergency.StatusOf(e, now); status {
	case emergencyv1.Emergency_PENDING, emergencyv1.Emergency_ONGOING:
		return nil
	case emergencyv1.Emergency_CANCELLED:
		return fault.New(fault.NotCancellable, "%s was cancelled at %s by %s; there is nothing to %s", id, e.GetCancelTime().AsTime().Format(time.RFC3339), e.GetCancelledBy(), verb).With("status", status.String())
	default:
		return fault.New(fault.NotCancellable, "%s ended at %s; there is nothing to %s", id, e.GetEndTime().AsTime().Format(time.RFC3339), verb).With("status", status.String())
	}
}

func unknown(id string, kind emergencyv1.Emergency_Kind) error {
	name, ok := map[emergencyv1.Emergency_Kind]string{
		emergencyv1.Emergency_TERMINATION: "termination", emergencyv1.Emergency_FREEZE: "freeze", emergencyv1.Emergency_LOCKDOWN: "lockdown",
		emergencyv1.Emergency_LOCK: "lock",
	}[kind]
	if !ok {
		name, kind = "emergency", emergencyv1.Emergency_FREEZE
	}
	if !idPattern.MatchString(id) {
		return fault.New(fault.InvalidArgument, "%q is not the id of a %s: ids look like %s-0042", id, name, emergency.Kind(kind).Letter()).With("field", "id")
	}
	return fault.New(fault.NotFound, "There is no %s %s. List them to see which there are", name, id)
}

// started is the entry of the edge STARTED, by the clock.
func (s *Service) started(before *emergencyv1.Emergency, next uint64) *emergencyv1.Entry {
	e := proto.CloneOf(before)
	e.Started, e.Revision, e.DirectorySequence = true, s.ledger.revision(next).String(), s.watch.Sequence(watch.Directory)
	return record(&emergencyv1.Entry{Actor: clockActor}, e, emergencyv1.Entry_STARTED)
}

// ended is the entry of the edge ENDED, by the clock.
func (s *Service) ended(before *emergencyv1.Emergency, next uint64) *emergencyv1.Entry {
	e := proto.CloneOf(before)
	e.EndedRecorded, e.Revision, e.DirectorySequence = true, s.ledger.revision(next).String(), s.watch.Sequence(watch.Directory)
	return record(&emergencyv1.Entry{Actor: clockActor}, e, emergencyv1.Entry_ENDED)
}
