package watch

import (
	"testing"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func TestWhatPassedLastIsToldThoughTwoEmergenciesCameTogether(t *testing.T) {
	last, now := time.UnixMilli(1_700_000_000_000), time.UnixMilli(1_700_000_000_500)
	first := &State{hold: (*State)(nil).next(1, last)}
	first.Passed(last)
	second := &State{hold: first.next(2, now)}
	third := &State{hold: second.next(3, now)}
	for _, s := range []*State{second, third} {
		b := new(emergencyv1.Beat)
		if s.tellHold(b); !b.GetHeldTime().AsTime().Equal(now) || !b.GetLastAllowedTime().AsTime().Equal(last) {
			t.Errorf("it took hold at %v, and the last passed at %v", b.GetHeldTime(), b.GetLastAllowedTime())
		}
	}
}
