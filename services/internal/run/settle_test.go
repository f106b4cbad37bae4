package run

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestAStrictServiceIsReadyOnceItsViewIsNewOrAfterAMoment(t *testing.T) {
	for name, c := range map[string]struct {
		newAfter, want time.Duration
	}{"at once": {0, 0}, "soon": {700 * time.Millisecond, 700 * time.Millisecond}, "never": {time.Hour, settleWithin}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				settle(t.Context(), func() bool { return time.Since(began) < c.newAfter })
				if took := time.Since(began); took < c.want || took > c.want+20*time.Millisecond {
					t.Errorf("it waits %s, not %s", took, c.want)
				}
			})
		})
	}
	ended, end := context.WithCancel(t.Context())
	end()
	began := time.Now()
	if settle(ended, func() bool { return true }); time.Since(began) > settleWithin/2 {
		t.Error("a service that is to end waits all the same")
	}
}
