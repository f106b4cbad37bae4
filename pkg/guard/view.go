package guard

import (
	"sync/atomic"
	"time"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// view is what the guard knows. Only when it was last vouched for changes.
type view struct {
	snapshot *emergency.Snapshot
	cuts     []emergency.Cut
	heard    atomic.Pointer[time.Time]
}

// vouch notes that a gate has just said that nothing was missed.
func (v *view) vouch(now time.Time) { v.heard.Store(&now) }

// age is how long ago a gate last vouched for the view, by whichever clock says more: one stands still while a machine is
// suspended, and the other can be set.
func (v *view) age(now time.Time) time.Duration {
	heard := v.heard.Load()
	if heard == nil {
		return 1<<63 - 1 // remembered, and never vouched for since
	}
	return max(now.Sub(*heard), now.Round(0).Sub(heard.Round(0)))
}

// refusal is a verdict as the error that callers get.
func (g *Guard) refusal(v emergency.Verdict, c *Caller, now time.Time) *fault.Error {
	reason := map[emergency.Reason]string{
		emergency.LockedDown: fault.Lockdown, emergency.Frozen: fault.Frozen, emergency.Locked: fault.Locked,
		emergency.Stale: fault.Stale, emergency.NoAccess: fault.PermissionDenied,
	}[v.Reason]
	e := fault.New(reason, "%s", g.config.Texts.Refusal(v, c.Device))
	if !v.Until.IsZero() {
		e = e.Until("until", v.Until, now)
	}
	if v.Emergency != "" {
		e = e.With("emergency", v.Emergency)
	}
	if v.Reason == emergency.Stale {
		e.RetryAfter = time.Second
	}
	return e
}

// folder makes snapshots of what a gate has said.
type folder struct {
	builder *emergency.Builder
	parts   []*gatev1.GuardUpdate
}

// take gathers the parts of a change, and answers the whole of it once it is there.
func (f *folder) take(u *gatev1.GuardUpdate) (c emergency.Change, complete bool, err error) {
	f.parts = append(f.parts, u)
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

// keepStricter takes over the windows of another epoch's view that are on, and that the new one does not know: a journal that was
// lost opens no door.
func keepStricter(c *emergency.Change, before *view, now time.Time) {
	if before == nil || before.snapshot.Revision().Epoch == c.Revision.Epoch {
		return
	}
	known := map[string]bool{}
	for _, e := range c.Emergencies {
		known[e.GetId()] = true
	}
	for _, e := range before.snapshot.Windows(now) {
		if !known[e.GetId()] && emergency.StatusOf(e, now) == emergencyv1.Emergency_ONGOING {
			c.Emergencies = append(c.Emergencies, e)
		}
	}
}
