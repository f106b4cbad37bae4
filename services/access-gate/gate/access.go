package gate

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
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
	question, verdict, err := s.decide(&a, r)
	if err != nil {
		return nil, err
	}
	return s.answer(&a, question, verdict), nil
}

// CheckStream answers in the order of the questions. It decides each on what is known at that moment.
func (s *Service) CheckStream(stream grpc.BidiStreamingServer[gatev1.CheckRequest, gatev1.CheckResponse]) error {
	a := asker{caller: who.FromContext(stream.Context()), said: map[emergency.Request]*written{}}
	request := new(gatev1.CheckRequest)
	for {
		switch err := stream.RecvMsg(request); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		question, verdict, err := s.decide(&a, request)
		if err != nil {
			return err
		}
		if err := s.send(stream, &a, question, verdict); err != nil {
			return err
		}
	}
}

// written is a yes as it goes over the wire.
type written struct{ bytes []byte }

// ToWire writes it.
func (w *written) ToWire() ([]byte, error) { return w.bytes, nil }

// mostSaid is how many answers a stream has ready.
const mostSaid = 4096

// send answers on a stream. To encode a yes takes longer than to decide it, and who asks on and on asks the same again.
func (s *Service) send(stream grpc.ServerStream, a *asker, q emergency.Request, v emergency.Verdict) error {
	if !v.Allowed() || v.Emergency != "" || !v.Back.IsZero() {
		return stream.SendMsg(s.answer(a, q, v))
	}
	yes := a.said[q]
	if yes == nil {
		bytes, err := proto.Marshal(s.answer(a, q, v))
		if err != nil {
			return fmt.Errorf("encoding an answer: %w", err)
		}
		if yes = (&written{bytes}); len(a.said) < mostSaid {
			a.said[q] = yes
		}
	}
	return stream.SendMsg(yes)
}

// asker is who asks, and whether they may ask for others, as of a State.
type asker struct {
	caller    who.Caller
	state     *watch.State
	others    bool
	admission emergency.Admission
	// said are answers that are right for this State and this admission.
	said map[emergency.Request]*written
}

// door reports whether the asker is one that lets people in, and stamps them.
func (a *asker) door() bool { return a.caller.Service != "" || a.caller.Channel == emergency.Enforcer }

// decide answers what is asked, and the verdict of this moment.
func (s *Service) decide(a *asker, r *gatev1.CheckRequest) (emergency.Request, emergency.Verdict, error) {
	if state := s.watch.State(); state != a.state {
		a.state, a.others = state, a.door() || state.Who.Holds(a.caller, who.CheckAccess)
		clear(a.said)
	}
	q, err := a.question(r)
	if err != nil {
		return q, emergency.Verdict{}, err
	}
	now := s.now()
	if admission := a.state.Emergency.Admission(now); admission != a.admission {
		a.admission = admission
		clear(a.said)
	}
	v := emergency.Decide(a.state.Emergency, q, now)
	if v.Allowed() && s.watch.Stale() && !excepted(a.state.Emergency, q) {
		v.Reason = emergency.Stale
	}
	if v.Allowed() {
		s.watch.Practise(a.state.Emergency, q, now)
	}
	if v.Allowed() && a.door() {
		a.state.Passed(now)
	}
	return q, v, nil
}

// answer puts a verdict into words. A door gets besides what it stamps on the session that it opens.
func (s *Service) answer(a *asker, q emergency.Request, v emergency.Verdict) *gatev1.CheckResponse {
	known := a.state.Emergency
	r := &gatev1.CheckResponse{
		Allowed: v.Allowed(), Reason: gatev1.CheckResponse_Reason(v.Reason), Emergency: v.Emergency, Revision: known.Revision().String(),
	}
	if !v.Back.IsZero() {
		r.Until = timestamppb.New(v.Back)
	}
	switch {
	case !v.Allowed():
		r.Message = s.texts.Refusal(v, q.Device)
		s.note(a, q, v)
	case a.door():
		r.Admission, r.AccessGroups, r.UserGroups = a.admission.Proto(), known.DeviceGroups(q.Device), known.SharedGroups(q.User, q.Device)
	}
	return r
}

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
