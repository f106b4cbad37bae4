package receipt

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/measure"
)

// Of is what every enforcer says of one emergency, and who says nothing: those that the roster misses or this process has still to hear,
// and those lacking, whom the policy expects and who never came. By name.
func (f *Fold) Of(e *emergencyv1.Emergency, lacking []*emergencyv1.Enforcer, now time.Time) []*emergencyv1.Receipt {
	absent := f.absent(e, now)
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*emergencyv1.Receipt, 0, len(f.enforcers)+len(absent)+len(lacking))
	cut, t := first(e), f.times[e.GetId()]
	for key, enforcer := range f.enforcers {
		if r := enforcer.receipt(e, cut, t.of(key), now); r != nil {
			r.EndedSessions = max(r.GetEndedSessions(), t.endedBy(key))
			all = append(all, r)
		}
	}
	for _, m := range absent {
		key := m.GetService() + "/" + m.GetId()
		if f.enforcers[key] != nil {
			continue
		}
		r := &emergencyv1.Receipt{Enforcer: m.GetId(), Service: m.GetService(), State: emergencyv1.Receipt_UNREACHABLE, EndedSessions: t.endedBy(key), ForgottenBy: m.GetForgottenBy()}
		if m.GetPresence() == emergencyv1.Enforcer_JOINED {
			r.State = emergencyv1.Receipt_WAITING // until it is heard, whatever a life of it before has held
		} else {
			t.of(key).fill(r)
		}
		all = append(all, r)
	}
	if current(e, now) {
		for _, l := range lacking {
			all = append(all, &emergencyv1.Receipt{Enforcer: l.GetId(), Service: l.GetService(), State: emergencyv1.Receipt_MISSING, Lacking: l.GetLacking()})
		}
	}
	slices.SortFunc(all, func(a, b *emergencyv1.Receipt) int {
		return cmp.Or(cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetEnforcer(), b.GetEnforcer()))
	})
	return all
}

// absent are those on the roster that have still to be heard; those that are missing, where it matters to an emergency: of one that is
// over, those that were missing before it was; and those that were forgotten since it was made, for that is no receipt.
func (f *Fold) absent(e *emergencyv1.Emergency, now time.Time) []*emergencyv1.RosterRecord {
	if f.Roster == nil {
		return nil
	}
	on, over, made := current(e, now), overAt(e), e.GetCreateTime().AsTime()
	all := f.Roster.All(emergencyv1.Enforcer_PRESENCE_UNSPECIFIED, emergencyv1.Enforcer_MISSING, emergencyv1.Enforcer_FORGOTTEN)
	return slices.DeleteFunc(all, func(m *emergencyv1.RosterRecord) bool {
		since := m.GetSinceTime().AsTime()
		if m.GetPresence() == emergencyv1.Enforcer_JOINED {
			return false
		}
		if m.GetPresence() == emergencyv1.Enforcer_FORGOTTEN {
			if since.Before(made) {
				return true
			}
			since = m.GetLastSeenTime().AsTime().Add(Silence) // when it was forgotten says nothing of when it fell silent
		}
		return !on && !since.Before(over)
	})
}

// overAt is when an emergency was over, by itself or as it was cancelled.
func overAt(e *emergencyv1.Emergency) time.Time {
	switch {
	case e.GetCancelTime() != nil:
		return e.GetCancelTime().AsTime()
	case window(e):
		return e.GetEndTime().AsTime()
	}
	return e.GetCreateTime().AsTime().Add(time.Hour)
}

// current reports whether who is missing now is missing for an emergency.
func current(e *emergencyv1.Emergency, now time.Time) bool {
	if !window(e) {
		return now.Sub(e.GetCreateTime().AsTime()) < time.Hour
	}
	status := emergency.StatusOf(e, now)
	return status == emergencyv1.Emergency_ONGOING || status == emergencyv1.Emergency_PENDING
}

// receipt is what an enforcer says of an emergency; nil for one that ended in good order and has nothing to do with it.
func (e *enforcer) receipt(of *emergencyv1.Emergency, cut emergency.Revision, h *holding, now time.Time) *emergencyv1.Receipt {
	p := e.progress(of.GetId())
	r := &emergencyv1.Receipt{
		Enforcer: e.beat.GetEnforcer(), Service: e.beat.GetService(), Revision: e.revision.String(),
		EndedSessions: p.GetEnded(), OpenSessions: p.GetOpen(), State: emergencyv1.Receipt_CONFIRMED,
	}
	switch {
	case !e.revision.Less(cut):
	case e.left:
		return nil
	case e.reachable(now):
		r.State = emergencyv1.Receipt_WAITING
		return r // what a life of it before had held says nothing of this one
	default:
		r.State = emergencyv1.Receipt_UNREACHABLE
	}
	h.fill(r)
	return r
}

// fill adds what was measured.
func (h *holding) fill(r *emergencyv1.Receipt) {
	if h == nil {
		return
	}
	if h.timed {
		r.HeldMs = new(h.ms)
	}
	r.HeldTime, r.LastAllowedTime, r.BeganAfter = h.at, h.allowed, h.after
}

func (t *timing) of(key string) *holding {
	if t == nil {
		return nil
	}
	return t.held[key]
}

func (t *timing) endedBy(key string) uint32 {
	if t == nil {
		return 0
	}
	return total(t.ended[key])
}

// List is who enforces: those that were heard, those that the roster misses, and, where it is asked for, those that have ended in
// good order.
func (f *Fold) List(now time.Time, drained bool) []*emergencyv1.Enforcer {
	f.prune(now)
	return f.those(now, drained, func(e *enforcer) bool { return now.Sub(e.seen) <= gone && (drained || !e.left) },
		emergencyv1.Enforcer_JOINED, emergencyv1.Enforcer_MISSING, emergencyv1.Enforcer_DRAINED)
}

// Silent are those that cannot be reached now, and have not said that they end.
func (f *Fold) Silent(now time.Time) []*emergencyv1.Enforcer {
	return f.those(now, false, func(e *enforcer) bool { return !e.reachable(now) && !e.left }, emergencyv1.Enforcer_MISSING)
}

// those are the enforcers of which this holds, and those that only the roster knows, which is asked for some presences.
func (f *Fold) those(now time.Time, drained bool, holds func(*enforcer) bool, presences ...emergencyv1.Enforcer_Presence) []*emergencyv1.Enforcer {
	var remembered []*emergencyv1.RosterRecord
	if f.Roster != nil {
		remembered = f.Roster.All(presences...)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := make(map[string]*emergencyv1.RosterRecord, len(remembered))
	var all []*emergencyv1.Enforcer
	for _, m := range remembered {
		key := m.GetService() + "/" + m.GetId()
		known[key] = m
		if f.enforcers[key] == nil && (m.GetPresence() == emergencyv1.Enforcer_MISSING || drained && m.GetPresence() == emergencyv1.Enforcer_DRAINED) {
			all = append(all, unheard(m))
		}
	}
	for key, e := range f.enforcers {
		if holds(e) {
			all = append(all, e.shown(now, known[key], f.listened(now)))
		}
	}
	slices.SortFunc(all, func(a, b *emergencyv1.Enforcer) int {
		return cmp.Or(cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetId(), b.GetId()))
	})
	return all
}

// unheard is one of whom only the roster tells.
func unheard(m *emergencyv1.RosterRecord) *emergencyv1.Enforcer {
	return &emergencyv1.Enforcer{
		Id: m.GetId(), Service: m.GetService(), Mode: m.GetMode(), LastSeenTime: m.GetLastSeenTime(), FirstSeenTime: m.GetFirstSeenTime(),
		OpenSessions: m.OpenSessions, Presence: m.GetPresence(), //nolint:protogetter // unset is not none
	}
}

func (e *enforcer) shown(now time.Time, m *emergencyv1.RosterRecord, listened bool) *emergencyv1.Enforcer {
	shown := &emergencyv1.Enforcer{
		Id: e.beat.GetEnforcer(), Service: e.beat.GetService(), Mode: e.beat.GetMode(), Revision: e.revision.String(),
		Fresh: e.reachable(now) && !measure.IsOld(e.beat, e.seen, now), BootId: e.beat.GetBootId(), OpenSessions: e.beat.OpenSessions, Bound: e.beat.GetBound(),
		Presence: emergencyv1.Enforcer_JOINED, FirstSeenTime: m.GetFirstSeenTime(),
	}
	switch {
	case e.left:
		shown.Presence = emergencyv1.Enforcer_DRAINED
	case !e.reachable(now) && listened:
		shown.Presence = emergencyv1.Enforcer_MISSING
	}
	if age, known := measure.AgeOf(e.beat, e.seen, now); known {
		shown.Age = durationpb.New(age.Round(time.Millisecond))
	}
	if !e.itself.IsZero() {
		shown.LastSeenTime = timestamppb.New(e.itself)
	}
	return shown
}

// settling is how long an answer waits for doors that are there to hold what it says.
const settling = 50 * time.Millisecond

// Settle waits a moment until every door that can be reached holds the revision, so that who asks one
// right after an answer hears what the answer said. The answer itself doesn't depend on it.
func (f *Fold) Settle(ctx context.Context, revision emergency.Revision) {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for {
		behind, next := f.behind(revision)
		if !behind {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// Next is closed at the next beat.
func (f *Fold) Next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heardOne
}

func (f *Fold) behind(revision emergency.Revision) (bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for _, e := range f.enforcers {
		if e.reachable(now) && e.revision.Less(revision) {
			return true, f.heardOne
		}
	}
	return false, nil
}
