package control

import (
	"context"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
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
