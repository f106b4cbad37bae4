package roster

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
)

const (
	// pace is how far apart writes are, more or less: replicas must not go in step.
	pace = time.Second
	// batch is how many rows are written at once, with one sync.
	batch = 500
	// settled is how long an enforcer is silent until that is put on record: a moment is nothing to write down.
	settled = 10 * time.Second
	// refresh is how old the time in a row gets while its enforcer is heard on and on; of very many, some are written later.
	refresh = time.Minute
	// refreshed is how many rows are written a second for that alone.
	refreshed = 20
	// lasting is how often a row is written of whom nothing is heard, for a row that is a year old is dropped.
	lasting = 30 * 24 * time.Hour
)

// write puts on record what was noticed, again and again until the context ends.
func (r *Roster) write(ctx context.Context, s *journal.Stream) {
	for {
		rest(ctx, r.pace/2+rand.N(r.pace)) // #nosec G404 -- keeps replicas apart, hides nothing
		if ctx.Err() != nil {
			return
		}
		messages := r.due()
		if len(messages) == 0 {
			continue
		}
		_, err := s.AppendBatch(ctx, messages)
		if errors.Is(err, journal.ErrConflict) { // another replica was first
			r.look(ctx, s, messages)
		} else if err != nil && ctx.Err() == nil {
			r.deps.Log.WarnContext(ctx, "who enforces was not put on record; it is tried again", "rows", len(messages), "error", err)
			rest(ctx, again)
		}
	}
}

// look reads what is on record instead, for what was let go of here, too.
func (r *Roster) look(ctx context.Context, s *journal.Stream, messages []journal.Message) {
	for _, m := range messages[:min(len(messages), looked)] {
		if e, err := s.Last(ctx, m.Subject); err == nil {
			_ = r.take(e)
		}
	}
}

// looked is how many rows are read after a conflict.
const looked = 100

// due are the rows that are to be written now.
func (r *Roster) due() []journal.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.deps.Now()
	if !r.fresh || now.Sub(r.heard) > silence { // who hears nobody at all says nothing of anybody
		return nil
	}
	var all []journal.Message
	listened, old := r.listened(now), 0
	for _, m := range r.members { // in any order, so that all have their turn
		changed, due := m.due(now, listened)
		if due && !changed {
			old++
		}
		if !changed && (!due || old > refreshed) {
			continue
		}
		data, err := proto.Marshal(m.shown(now, listened))
		if err != nil {
			continue
		}
		all = append(all, journal.Message{Subject: subjectOf(m.service, m.id), Data: data, Expect: journal.OnSubject(m.sequence)})
		if len(all) == batch {
			break
		}
	}
	return all
}

// due reports whether a row must be written because something has changed, or because it is old.
func (m *member) due(now time.Time, listened bool) (changed, due bool) {
	is, on := m.presence(now, listened), m.record.GetPresence()
	switch {
	case m.heard.IsZero() && m.record == nil:
		return false, false
	case is == emergencyv1.Enforcer_MISSING && on != is:
		return now.Sub(m.last()) > settled, false
	case is != on:
		return true, true
	case is == emergencyv1.Enforcer_JOINED:
		return !m.heard.IsZero() && m.mode != m.record.GetMode(), m.heard.Sub(m.record.GetLastSeenTime().AsTime()) > refresh
	case is == emergencyv1.Enforcer_MISSING:
		return false, now.Sub(m.written) > lasting
	}
	return false, false
}
