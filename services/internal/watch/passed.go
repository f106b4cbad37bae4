package watch

import (
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// hold is when this process took hold of the newest emergency, and when a door last let something through since and before, in
// Unix milliseconds. All States in which the same emergencies are share one.
type hold struct {
	emergencies uint64
	at          time.Time // zero for those that were there at the start
	passed      *atomic.Int64
	before      *atomic.Int64 // nil for none
}

// next is the hold of the State that follows, which is folded from so many entries about emergencies.
func (s *State) next(emergencies uint64, now time.Time) *hold {
	switch {
	case s == nil || s.hold == nil:
		return &hold{emergencies: emergencies, passed: new(atomic.Int64)}
	case s.hold.emergencies == emergencies:
		return s.hold
	}
	if s.hold.before != nil { // or what passed before two that came together would be forgotten
		raise(s.hold.passed, s.hold.before.Load())
	}
	return &hold{emergencies: emergencies, at: now, passed: new(atomic.Int64), before: s.hold.passed}
}

// Passed notes that a door has let something through by this State. Requests that were decided by an old State count as such, however
// late they come. It costs next to nothing: one store a millisecond, however many there are.
func (s *State) Passed(now time.Time) {
	if s.hold == nil {
		return
	}
	raise(s.hold.passed, now.UnixMilli())
}

func raise(to *atomic.Int64, ms int64) {
	if to.Load() < ms {
		to.Store(ms)
	}
}

// tellHold adds to a beat when the newest emergency took hold here, and what was the last to get through before.
func (s *State) tellHold(b *emergencyv1.Beat) {
	if s == nil || s.hold == nil || s.hold.at.IsZero() {
		return
	}
	b.HeldTime = timestamppb.New(s.hold.at)
	if s.hold.before != nil {
		if ms := s.hold.before.Load(); ms > 0 {
			b.LastAllowedTime = timestamppb.New(time.UnixMilli(ms))
		}
	}
}
