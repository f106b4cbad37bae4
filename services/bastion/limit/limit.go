// Package limit ends sessions that last too long, or in which nothing happens.
package limit

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// Causes of an end by a limit, as they are reported.
const (
	Idle    = "idle"
	Longest = "limit"
)

// Meter knows when something passed last. The zero one is ready.
type Meter struct {
	moved atomic.Int64
	// Busy says that the other side is at work, though nothing passes: that is not idle.
	Busy atomic.Bool
}

// Touch says that something has passed.
func (m *Meter) Touch() { m.moved.Store(time.Now().UnixNano()) }

func (m *Meter) idle() time.Duration {
	if m.Busy.Load() {
		return 0
	}
	return time.Since(time.Unix(0, m.moved.Load()))
}

// Watch calls end once if a limit of the device is reached before the context ends, with its cause and a
// sentence for the person.
func (m *Meter) Watch(ctx context.Context, d *gatev1.Device, end func(cause, reason string)) {
	m.Touch()
	longest, idle := after(d.GetSessionLimit().AsDuration()), after(d.GetIdleLimit().AsDuration())
	defer longest.Stop()
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-longest.C:
			end(Longest, fmt.Sprintf("Sessions on %s last %v at most. Open another if you need it", d.GetName(), d.GetSessionLimit().AsDuration()))
			return
		case <-idle.C:
		}
		left := d.GetIdleLimit().AsDuration() - m.idle()
		if left <= 0 {
			end(Idle, fmt.Sprintf("Sessions on %s end when nothing happens for %v. Open another if you need it", d.GetName(), d.GetIdleLimit().AsDuration()))
			return
		}
		idle.Reset(left)
	}
}

// after is a timer that never fires if there is no limit.
func after(d time.Duration) *time.Timer {
	if d > 0 {
		return time.NewTimer(d)
	}
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
