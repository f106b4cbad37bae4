package emergency

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Proto is the cut as messages carry it. Whoever sends it has put what Blocking stands for into its
// selector, for it is of no use to those who don't hold the directory.
func (c *Cut) Proto() *emergencyv1.Cut {
	return &emergencyv1.Cut{
		Emergency: c.Emergency, Kind: emergencyv1.Emergency_Kind(c.Kind), CutoffRevision: c.Revision.String(),
		StartTime: stamp(c.Start), Begun: c.Begun, Until: stamp(c.Until), Selector: c.Selector, Reason: c.Reason,
		MemberDevices: c.MemberDevices, SparedUsers: c.SparedUsers, SparedSignIn: c.SparedSignIn,
	}
}

// CutFrom reads a cut from a message.
func CutFrom(p *emergencyv1.Cut) (Cut, error) {
	revision, err := ParseRevision(p.GetCutoffRevision())
	if err != nil {
		return Cut{}, err
	}
	c := Cut{
		Emergency: p.GetEmergency(), Kind: numbered(p.GetKind()), Revision: revision, Begun: p.GetBegun(),
		Selector: whole(p.GetSelector(), false), Reason: p.GetReason(), MemberDevices: p.GetMemberDevices(),
		SparedUsers: p.GetSparedUsers(), SparedSignIn: p.GetSparedSignIn(),
	}
	if p.GetStartTime() != nil {
		c.Start = p.GetStartTime().AsTime()
	}
	if p.GetUntil() != nil {
		c.Until = p.GetUntil().AsTime()
	}
	return c, nil
}

// numbered is the kind of a number; one that is not known here is none of those that are.
func numbered(k emergencyv1.Emergency_Kind) Kind {
	if k < 0 || k > math.MaxUint8 {
		return 0
	}
	return Kind(k)
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
