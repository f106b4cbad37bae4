package limit

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

func device(idle, longest time.Duration) *gatev1.Device {
	return &gatev1.Device{Name: "erp", IdleLimit: durationpb.New(idle), SessionLimit: durationpb.New(longest)}
}

// watch answers when the session ended and why.
func watch(t *testing.T, d *gatev1.Device, meanwhile func(*Meter)) (time.Duration, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
	defer cancel()
	m, start, why := &Meter{}, time.Now(), ""
	go meanwhile(m)
	m.Watch(ctx, d, func(cause, reason string) {
		if !strings.Contains(reason, "erp") {
			t.Errorf("the reason is %q", reason)
		}
		why = cause
	})
	return time.Since(start), why
}

func TestASessionEndsWhenNothingHappensForTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, why := watch(t, device(10*time.Minute, 0), func(m *Meter) {
			time.Sleep(7 * time.Minute)
			m.Touch()
		})
		if took != 17*time.Minute || why != Idle {
			t.Errorf("after %v: %q", took, why)
		}
	})
}

func TestWaitingForAnAnswerIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, why := watch(t, device(10*time.Minute, 0), func(m *Meter) {
			m.Busy.Store(true)
			time.Sleep(2 * time.Hour)
			m.Touch()
			m.Busy.Store(false)
		})
		if took != 2*time.Hour+10*time.Minute || why != Idle {
			t.Errorf("after %v: %q", took, why)
		}
	})
}

func TestASessionEndsAtItsLimitHoweverBusyItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, why := watch(t, device(10*time.Minute, time.Hour), func(m *Meter) { m.Busy.Store(true) })
		if took != time.Hour || why != Longest {
			t.Errorf("after %v: %q", took, why)
		}
	})
}

func TestWithoutLimitsNothingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if took, why := watch(t, device(0, 0), func(*Meter) {}); took != 24*time.Hour || why != "" {
			t.Errorf("after %v: %q", took, why)
		}
	})
}
