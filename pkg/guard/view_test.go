package guard

import (
	"testing"
	"time"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

func TestWhatPassedLastIsToldThoughTwoEmergenciesCameTogether(t *testing.T) {
	last, now := time.UnixMilli(1_700_000_000_000), time.UnixMilli(1_700_000_000_500)
	first, second, third := new(view), new(view), new(view)
	first.follows(nil, true, last)
	first.pass(last)
	second.follows(first, true, now)
	third.follows(second, true, now)
	for _, v := range []*view{second, third} {
		r := new(gatev1.GuardReport)
		if v.tellHold(r); !r.GetHeldTime().AsTime().Equal(now) || !r.GetLastAllowedTime().AsTime().Equal(last) {
			t.Errorf("it took hold at %v, and the last passed at %v", r.GetHeldTime(), r.GetLastAllowedTime())
		}
	}
}
