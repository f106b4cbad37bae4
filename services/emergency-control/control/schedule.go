package control

import (
	"context"
	"strings"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/drill"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

// schedule writes the edges of windows, STARTED and ENDED, for the record: nobody waits for them to
// enforce. Each is written exactly once by any number of replicas, because it is written under
// compare-and-set and only while it is missing.
func (s *Service) schedule(ctx context.Context) error {
	for {
		moved, due := s.ledger.nextEdge(s.now())
		if due == 0 {
			if err := s.writeEdges(ctx); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "an edge could not be written; trying again", "error", err)
				due = time.Second
			}
		}
		timer := time.NewTimer(due)
		select {
		case <-moved:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// nextEdge answers how long until an edge is due that is not on record (zero: one is due), and a
// channel that is closed when the fold moves.
func (l *ledger) nextEdge(now time.Time) (<-chan struct{}, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := time.Hour // the clock may be set meanwhile
	for _, e := range l.records {
		if edge, missing := missingEdge(e); missing {
			next = min(next, max(0, edge.Sub(now)))
		}
	}
	return l.moved, next
}

// missingEdge is the first edge of a window that is not on record.
func missingEdge(e *emergencyv1.Emergency) (time.Time, bool) {
	switch {
	case e.GetKind() == emergencyv1.Emergency_TERMINATION || e.GetCancelTime() != nil || e.GetEndedRecorded():
		return time.Time{}, false
	case !e.GetStarted():
		return e.GetStartTime().AsTime(), true
	case e.GetEndTime() == nil:
		return time.Time{}, false // a lock that goes on until somebody lifts it
	}
	return e.GetEndTime().AsTime(), true
}

// drillDeps is the record as drills need it.
func (s *Service) drillDeps(d Deps) drill.Deps {
	return drill.Deps{
		Book: s.ledger.drills, Once: s.drillOnce, Check: s.checked, Moved: s.ledger.next, Arrive: s.arrive, Now: d.Now, Log: d.Log,
		Revision:      func(sequence uint64) string { return s.ledger.revision(sequence).String() },
		Receipts:      func(e *emergencyv1.Emergency) []*emergencyv1.Receipt { return s.receipts.Of(e, s.lacking(), s.now()) },
		Administrator: func(user string) bool { return s.watch.State().Emergency.Administrator(user) },
		Append: func(ctx context.Context, make func(uint64) ([]*emergencyv1.Entry, error)) error {
			_, err := s.ledger.append(ctx, make)
			return err
		},
	}
}

// drillOnce goes the way of an apply: reasons, the grant, one entry, and a moment in which the doors may hold it.
func (s *Service) drillOnce(ctx context.Context, ask drill.Ask, make drill.Draft) (*emergencyv1.Entry, error) {
	hash, err := hashOf(ask.Message)
	if err != nil {
		return nil, err
	}
	a := asked{
		caller: who.FromContext(ctx), purpose: drill.Purpose, grant: ask.Grant, requestID: ask.RequestID, hash: hash, free: ask.Free,
		justification: strings.TrimSpace(ask.Justification), governance: strings.TrimSpace(ask.Governance),
	}
	if err := s.takes(ctx, a); err != nil {
		return nil, err
	}
	entry, err := s.once(ctx, a, func(next uint64, envelope *emergencyv1.Entry) ([]*emergencyv1.Entry, error) {
		if !a.free {
			if err := a.reasons(s.ledger.policy); err != nil {
				return nil, err
			}
		}
		return make(next, envelope)
	})
	if err == nil {
		s.receipts.Settle(ctx, revisionOf(entry))
	}
	return entry, err
}

func (s *Service) writeEdges(ctx context.Context) error {
	_, err := s.ledger.append(ctx, func(next uint64) ([]*emergencyv1.Entry, error) {
		now := s.now()
		for _, e := range s.ledger.records {
			edge, missing := missingEdge(e)
			if !missing || edge.After(now) {
				continue
			}
			if e.GetStarted() {
				return []*emergencyv1.Entry{s.ended(e, next)}, nil
			}
			return []*emergencyv1.Entry{s.started(e, next)}, nil
		}
		return nil, journal.ErrUnchanged
	})
	return err
}
