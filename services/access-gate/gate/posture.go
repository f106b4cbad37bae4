package gate

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// lookAgain bounds how long a watch trusts its timer: the clock may be set meanwhile.
const lookAgain = time.Minute

// GetPosture says what is on. Without a credential it says only whether there is a lockdown, and until when.
func (s *Service) GetPosture(ctx context.Context, _ *gatev1.GetPostureRequest) (*gatev1.PostureState, error) {
	return s.postureFor(who.FromContext(ctx), s.watch.State(), s.now()), nil
}

// WatchPosture answers what is on now, and again at every change and at every edge of a window.
func (s *Service) WatchPosture(_ *gatev1.WatchPostureRequest, stream grpc.ServerStreamingServer[gatev1.PostureState]) error {
	changed, stop := s.watch.Subscribe()
	defer stop()
	caller := who.FromContext(stream.Context())
	var told *gatev1.PostureState
	for {
		state, now := s.watch.State(), s.now()
		if posture := s.postureFor(caller, state, now); !same(told, posture) {
			if err := stream.Send(posture); err != nil {
				return err
			}
			told = posture
		}
		edge := time.NewTimer(untilEdge(state.Emergency, now))
		select {
		case <-changed:
		case <-edge.C:
		case <-stream.Context().Done():
			edge.Stop()
			return context.Cause(stream.Context())
		}
		edge.Stop()
	}
}

func untilEdge(s *emergency.Snapshot, now time.Time) time.Duration {
	if next := s.NextEdge(now); !next.IsZero() {
		return min(next.Sub(now), lookAgain)
	}
	return lookAgain
}

// same reports whether nothing but the time differs.
func same(before, after *gatev1.PostureState) bool {
	if before == nil {
		return false
	}
	now := before.Time
	defer func() { before.Time = now }()
	before.Time = after.GetTime()
	return proto.Equal(before, after)
}

func (s *Service) postureFor(c who.Caller, state *watch.State, now time.Time) *gatev1.PostureState {
	p := &gatev1.PostureState{Time: timestamppb.New(now)}
	known := state.Emergency
	if until := known.LockdownUntil(now); !until.IsZero() {
		p.Lockdown = &gatev1.LockdownNow{Until: timestamppb.New(until)}
	}
	if c.Anonymous() {
		return p
	}
	shown := s.pictureOf(known, now)
	p.Revision, p.Emergencies = known.Revision().String(), shown.public
	if c.Service != "" || state.Who.Holds(c, who.Read) {
		p.Emergencies = shown.whole
	}
	if frozen := !known.FreezeUntil(now).IsZero(); frozen && c.User != "" && !known.Administrator(c.User) {
		p.FrozenDevices = known.FrozenDevices(c.User)
	}
	return p
}

// picture is every ONGOING and PENDING window of a snapshot, made once for all who look.
type picture struct {
	of            *emergency.Snapshot
	from, before  time.Time
	whole, public []*emergencyv1.Emergency
}

func (s *Service) pictureOf(known *emergency.Snapshot, now time.Time) *picture {
	if p := s.posture.Load(); p != nil && p.of == known && !now.Before(p.from) && now.Before(p.before) {
		return p
	}
	p := &picture{of: known, from: now, before: now.Add(untilEdge(known, now))}
	for _, e := range known.Windows(now) {
		e = proto.CloneOf(e)
		e.Status = emergency.StatusOf(e, now)
		p.whole = append(p.whole, e)
		if e.GetKind() != emergencyv1.Emergency_LOCK { // whom a lock is on is for those to know who may read it
			p.public = append(p.public, publicly(e))
		}
	}
	s.posture.Store(p)
	return p
}

// publicly is what everyone who is signed in may know of a window. The justification is among it only
// if it was marked so.
func publicly(e *emergencyv1.Emergency) *emergencyv1.Emergency {
	p := &emergencyv1.Emergency{
		Id: e.GetId(), Kind: e.GetKind(), Status: e.GetStatus(), StartTime: e.GetStartTime(), EndTime: e.GetEndTime(),
		Duration: e.GetDuration(), CreateTime: e.GetCreateTime(), Revision: e.GetRevision(), EndLiveSessions: e.EndLiveSessions,
	}
	if e.GetJustificationPublic() {
		p.Justification, p.JustificationPublic = e.GetJustification(), true
	}
	return p
}
