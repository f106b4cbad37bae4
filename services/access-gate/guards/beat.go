package guards

import (
	"context"

	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// mostCuts is of how many cuts each guard tells.
const mostCuts = 64

// Run tells of guards, until the context ends.
func (s *Service) Run(ctx context.Context) error { return s.crowd.Run(ctx) }

// beat tells control how a guard is, as the guard says it.
func (l *link) beat(ctx context.Context, r *gatev1.GuardReport) {
	b := l.tells(r)
	l.service.crowd.Tell(ctx, l.said, b)
	l.said = b
}

// tells is a report as a beat.
func (l *link) tells(r *gatev1.GuardReport) *emergencyv1.Beat {
	return &emergencyv1.Beat{
		Enforcer: l.id, Service: service, BootId: l.hello.GetBootId(), Revision: r.GetHeldRevision(), Mode: l.hello.GetMode(),
		OpenSessions: proto.Uint32(r.GetLive()), OldestAdmission: r.GetOldestAdmission(), Cuts: r.GetCuts()[:min(len(r.GetCuts()), mostCuts)],
		Age: r.GetAge(), Bound: l.hello.GetBound(), Drills: r.GetDrills(), HeldTime: r.GetHeldTime(), LastAllowedTime: r.GetLastAllowedTime(),
	}
}
