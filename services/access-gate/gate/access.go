package gate

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/access-gate/inventory"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// Check answers whether somebody would be let in now. It is an answer whatever it decides. What a
// service or an enforcer says of user and channel is believed, for it has authenticated them; from
// everyone else it is a question about what would be.
func (s *Service) Check(ctx context.Context, r *gatev1.CheckRequest) (*gatev1.CheckResponse, error) {
	a := asker{caller: who.FromContext(ctx)}
	response := new(gatev1.CheckResponse)
	return response, s.check(&a, r, response)
}

// CheckStream answers in the order of the questions. It decides each on what is known at that moment.
func (s *Service) CheckStream(stream grpc.BidiStreamingServer[gatev1.CheckRequest, gatev1.CheckResponse]) error {
	a := asker{caller: who.FromContext(stream.Context()), known: map[place]groups{}}
	request, response := new(gatev1.CheckRequest), new(gatev1.CheckResponse)
	for {
		switch err := stream.RecvMsg(request); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := s.check(&a, request, response); err != nil {
			return err
		}
		// It is encoded before this returns, and so may be used again.
		if err := stream.SendMsg(response); err != nil {
			return err
		}
	}
}

// asker is who asks, and whether they may ask for others, as of a State.
type asker struct {
	caller who.Caller
	state  *watch.State
	others bool
	// What has been answered on this State, and may be again: for those who ask on and on.
	revision  string
	admission emergency.Admission
	stamped   *emergencyv1.Admission
	known     map[place]groups // nil remembers nothing
}

// door reports whether the asker is one that lets people in, and stamps them.
func (a *asker) door() bool { return a.caller.Service != "" || a.caller.Channel == emergency.Enforcer }

func (s *Service) check(a *asker, r *gatev1.CheckRequest, into *gatev1.CheckResponse) error {
	if state := s.watch.State(); state != a.state {
		a.state, a.others = state, a.door() || state.Who.Holds(a.caller, who.CheckAccess)
		a.revision, a.stamped = state.Emergency.Revision().String(), nil
		clear(a.known)
	}
	question, err := a.question(r)
	if err != nil {
		return err
	}
	now := s.now()
	verdict := emergency.Decide(a.state.Emergency, question, now)
	if verdict.Allowed() && s.watch.Stale() && !excepted(a.state.Emergency, question) {
		verdict.Reason = emergency.Stale
	}
	into.Reset()
	into.Allowed, into.Reason, into.Emergency = verdict.Allowed(), gatev1.CheckResponse_Reason(verdict.Reason), verdict.Emergency
	into.Revision = a.revision
	if !verdict.Allowed() {
		into.Message = s.texts.Refusal(verdict, question.Device)
		s.note(a, question, verdict)
	}
	if !verdict.Back.IsZero() {
		into.Until = timestamppb.New(verdict.Back)
	}
	if verdict.Allowed() && a.door() {
		a.stamp(into, question, now)
	}
	return nil
}

// stamp adds what a door puts on the session that it opens.
func (a *asker) stamp(into *gatev1.CheckResponse, q emergency.Request, now time.Time) {
	if admission := a.state.Emergency.Admission(now); a.stamped == nil || admission != a.admission {
		a.admission, a.stamped = admission, admission.Proto()
	}
	into.Admission = a.stamped
	at := place{q.User, q.Device}
	g, known := a.known[at]
	if !known {
		g = groups{a.state.Emergency.DeviceGroups(q.Device), a.state.Emergency.SharedGroups(q.User, q.Device)}
		if len(a.known) < mostKnown && a.known != nil {
			a.known[at] = g
		}
	}
	into.AccessGroups, into.UserGroups = g.device, g.shared
}

// place is somebody at a device, and groups are those by which they are there.
type (
	place  struct{ user, device string }
	groups struct{ device, shared []string }
)

const mostKnown = 4096

// excepted are those whom a strict gate lets through though it can't tell what is on: administrators at the console and CLI, who may
// have to change it, and enforcers. Nobody gets to a device.
func excepted(known *emergency.Snapshot, q emergency.Request) bool {
	return q.Channel == emergency.Enforcer || q.Channel == emergency.Interactive && q.Device == "" && known.Administrator(q.User)
}

// note notes whom an emergency refuses at a door. What anybody else asks is a question, and no try; and who has no
// access has none without an emergency either.
func (s *Service) note(a *asker, q emergency.Request, v emergency.Verdict) {
	if !a.door() || v.Emergency == "" {
		return
	}
	door := gatev1.AttemptRecord_CALL
	if q.Channel == emergency.SessionChannel {
		door = gatev1.AttemptRecord_SESSION
	}
	s.attempts.Refused(attempt.Try{Door: door, User: q.User, Token: q.Token, Address: a.caller.Address, Channel: gatev1.Channel(q.Channel),
		Device: q.Device, Reason: v.Reason.String(), Emergency: v.Emergency, Until: v.Until})
}

// question is what to decide. No user means the asker.
func (a *asker) question(r *gatev1.CheckRequest) (emergency.Request, error) {
	q := emergency.Request{User: r.GetUser(), Device: r.GetDevice(), Channel: channelOf(r)}
	if q.User == "" && !a.door() {
		q.User, q.Token, q.Owner = a.caller.User, a.caller.Token, a.caller.Owner
	}
	self := q.User == a.caller.User && q.Token == a.caller.Token
	switch {
	case q.User != "" && !inventory.ValidName(q.User):
		return q, inventory.BadName("user")
	case q.Device != "" && !inventory.ValidName(q.Device):
		return q, inventory.BadName("device")
	case q.User == "" && q.Token == "":
		return q, fault.New(fault.InvalidArgument, "user: say whose access is asked for").With("field", "user")
	case !self && !a.others:
		return q, fault.New(fault.PermissionDenied, "Asking for somebody else takes the permission %s. Ask for yourself, or ask an administrator for a role with it", who.CheckAccess).
			With("permission", who.CheckAccess)
	}
	return q, nil
}

// channelOf is the channel asked about: unset, it is a session's where there is a device.
func channelOf(r *gatev1.CheckRequest) emergency.Channel {
	switch {
	case r.GetChannel() != gatev1.Channel_CHANNEL_UNSPECIFIED:
		return emergency.Channel(r.GetChannel())
	case r.GetDevice() != "":
		return emergency.SessionChannel
	}
	return emergency.Interactive
}
