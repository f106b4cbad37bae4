package guard

import (
	"math"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/age"
	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// view is what the guard knows. Only when it was last vouched for changes.
type view struct {
	snapshot *emergency.Snapshot
	cuts     []emergency.Cut
	heard    atomic.Pointer[age.Moment]
	// held is when the newest emergency took hold, zero for those that were there at the start. Passed is when something was last
	// let through since, and before when it was before that, in Unix milliseconds; views with the same emergencies share them.
	held   time.Time
	passed *atomic.Int64
	before *atomic.Int64
}

// follows takes over what it can of the view before it, nil if there was none.
func (v *view) follows(before *view, emergencies bool, now time.Time) {
	switch {
	case before == nil:
		v.passed = new(atomic.Int64)
	case !emergencies:
		v.held, v.passed, v.before = before.held, before.passed, before.before
	default:
		if before.before != nil { // or what passed before two that came together would be forgotten
			raise(before.passed, before.before.Load())
		}
		v.held, v.passed, v.before = now, new(atomic.Int64), before.passed
	}
}

func raise(to *atomic.Int64, ms int64) {
	if to.Load() < ms {
		to.Store(ms)
	}
}

// pass notes that something was let through by this view.
func (v *view) pass(now time.Time) {
	if v.passed != nil {
		raise(v.passed, now.UnixMilli())
	}
}

// tellHold says when the newest emergency took hold, and what was the last to get through before.
func (v *view) tellHold(r *gatev1.GuardReport) {
	if v.held.IsZero() {
		return
	}
	r.HeldTime = timestamppb.New(v.held)
	if v.before != nil {
		if ms := v.before.Load(); ms > 0 {
			r.LastAllowedTime = timestamppb.New(time.UnixMilli(ms))
		}
	}
}

// vouch notes a moment until which nothing was missed, as a gate has just said. One that knows less than another has said
// makes nothing younger or older.
func (v *view) vouch(until age.Moment) {
	if heard := v.heard.Load(); heard == nil || until.After(*heard) > 0 {
		v.heard.Store(&until)
	}
}

const never = time.Duration(math.MaxInt64)

// age is how long ago it is certain that the view missed nothing, by whichever clock says more: one stands still while a machine
// is suspended, and the other can be set.
func (g *Guard) age(v *view) time.Duration {
	heard := v.heard.Load()
	if heard == nil {
		return never // remembered, and never vouched for since
	}
	return g.clock.Since(*heard)
}

// folder makes snapshots of what a gate has said.
type folder struct {
	builder *emergency.Builder
	parts   []*gatev1.GuardUpdate
	// late is how long the last change took more than the quickest message: the gate's clock differs by as much as that shows.
	late  time.Duration
	least time.Duration
	timed bool
}

// take gathers the parts of a change, and answers the whole of it once it is there.
func (f *folder) take(u *gatev1.GuardUpdate, now time.Time) (c emergency.Change, complete bool, err error) {
	if f.parts = append(f.parts, u); u.GetTime() != nil {
		lag := now.Sub(u.GetTime().AsTime())
		if !f.timed || lag < f.least {
			f.least, f.timed = lag, true
		}
		f.late = lag - f.least
	} else if len(f.parts) == 1 {
		f.late = 0
	}
	if u.GetMore() {
		return c, false, nil
	}
	c, err = emergency.ChangeFrom(f.parts...)
	f.parts = nil
	return c, true, err
}

// apply answers the snapshot with a change made up for.
func (f *folder) apply(c emergency.Change, now time.Time) *emergency.Snapshot {
	if c.Whole || f.builder == nil {
		f.builder = emergency.NewBuilder()
	}
	f.builder.Apply(c)
	return f.builder.Snapshot(now)
}

// carried marks what a gate itself keeps of a record that was lost.
const carried = "~lost"

// keepStricter takes over the windows of another epoch's view that are on, and that the new one does not know: a journal that was
// lost opens no door.
func keepStricter(c *emergency.Change, before *view, now time.Time) {
	if before == nil || !c.Whole {
		return
	}
	known := map[string]bool{}
	for _, e := range c.Emergencies {
		known[strings.TrimSuffix(e.GetId(), carried)] = true
	}
	for _, e := range before.snapshot.Windows(now) {
		r, err := emergency.ParseRevision(e.GetRevision())
		ours := err == nil && r.Epoch == c.Revision.Epoch // of this record, which says what has become of it
		if !ours && !known[strings.TrimSuffix(e.GetId(), carried)] && emergency.StatusOf(e, now) == emergencyv1.Emergency_ONGOING {
			c.Emergencies = append(c.Emergencies, e)
		}
	}
}
