package roster

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

// Purpose is what a grant is for that forgets an enforcer.
const Purpose = "enforcer"

// ForgetEnforcer takes one off the roster that will not be back. It is on record before it is done, and changes nothing for one that is
// heard.
func (r *Roster) ForgetEnforcer(ctx context.Context, q *emergencyv1.ForgetEnforcerRequest) (*emergencyv1.ForgetEnforcerResponse, error) {
	key := q.GetService() + "/" + q.GetId()
	was := r.Member(key)
	switch {
	case was == nil || was.GetPresence() == emergencyv1.Enforcer_FORGOTTEN:
		return nil, fault.New(fault.NotFound, "There is no enforcer %.80q on the roster. portcullis enforcer list shows who is", key)
	case was.GetPresence() == emergencyv1.Enforcer_JOINED:
		return nil, fault.New(fault.InvalidArgument, "%s is heard, and would join again at once. Stop it first", key).With("field", "id")
	}
	s := r.journaled()
	if s == nil {
		return nil, fault.New(fault.JournalUnavailable, "The roster is still being read. Try again in a moment")
	}
	if err := r.deps.Act(ctx, &emergencyv1.RecordActRequest{
		Kind: Purpose + ".forget", Target: key, Justification: q.GetJustification(), Grant: q.GetGrant(), RequestId: q.GetRequestId(),
		At: r.row(key), // whoever is missing once more later is forgotten by another act
	}); err != nil {
		return nil, err
	}
	caller := who.FromContext(ctx)
	stored, err := forget(ctx, s, was, caller.Actor(), timestamppb.New(r.deps.Now()))
	if err != nil {
		return nil, fmt.Errorf("taking %s off the roster: %w", key, err)
	}
	if err := r.take(stored); err != nil { // who asks again is not told what was before
		return nil, err
	}
	r.deps.Log.WarnContext(ctx, "an enforcer was forgotten", "enforcer", key, "by", caller.Actor(), "address", caller.Address, "seen", was.GetLastSeenTime().AsTime())
	return &emergencyv1.ForgetEnforcerResponse{}, nil
}

// row is the sequence of what is on record of one.
func (r *Roster) row(key string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[key]; m != nil {
		return m.sequence
	}
	return 0
}

func (r *Roster) journaled() *journal.Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored
}

func forget(ctx context.Context, s *journal.Stream, was *emergencyv1.RosterRecord, by string, now *timestamppb.Timestamp) (journal.Entry, error) {
	return s.Update(ctx, subjectOf(was.GetService(), was.GetId()), func(last journal.Entry, found bool) ([]byte, error) {
		next := was
		if found {
			next = new(emergencyv1.RosterRecord)
			if err := proto.Unmarshal(last.Data, next); err != nil {
				return nil, err
			}
		}
		next.Presence, next.SinceTime, next.ForgottenBy = emergencyv1.Enforcer_FORGOTTEN, now, by
		return proto.Marshal(next)
	})
}

// Keep puts what was measured of an emergency on record: merge adds to what is there already, nil for nothing, and answers nil if
// that has all of it.
func (r *Roster) Keep(ctx context.Context, emergency string, merge func(*emergencyv1.ReceiptsRecord) *emergencyv1.ReceiptsRecord) error {
	s := r.journaled()
	if s == nil {
		return errNotOpen
	}
	_, err := s.Update(ctx, keptSubject+emergency, func(last journal.Entry, found bool) ([]byte, error) {
		var before *emergencyv1.ReceiptsRecord
		if found {
			before = new(emergencyv1.ReceiptsRecord)
			if proto.Unmarshal(last.Data, before) != nil {
				before = nil
			}
		}
		next := merge(before)
		if next == nil {
			return nil, journal.ErrUnchanged
		}
		return proto.Marshal(next)
	})
	return err
}

var errNotOpen = errors.New("the stream ROSTER is not open")
