// Package guards tells programs that decide in process what they must know, and speaks for them: it is the gate's end of the package
// guard. A guard hears what concerns the devices behind it, and nothing that concerns nobody at a door.
package guards

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/crowd"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

const (
	service   = "guard"
	pulse     = 500 * time.Millisecond
	silence   = 5 * time.Second
	usersPart = 4096 // in a message
)

// Deps is what the package works with.
type Deps struct {
	Watch *watch.Watcher
	// Beat tells control how a guard is: a subject, and an emergencyv1.Beat.
	Beat func(subject string, data []byte) error
	// Instance names this gate, without dots.
	Instance string
	Now      func() time.Time
	Log      *slog.Logger
}

// Service serves guards.
type Service struct {
	gatev1.UnimplementedGuardsServer
	deps  Deps
	crowd *crowd.Crowd
}

// New answers the service.
func New(d Deps) *Service {
	return &Service{deps: d, crowd: crowd.New(crowd.Config{Service: service, Instance: d.Instance, Beat: d.Beat, Log: d.Log})}
}

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// Attach lives as long as a guard does, or its token.
func (s *Service) Attach(stream gatev1.Guards_AttachServer) error {
	hello, err := stream.Recv()
	if err != nil {
		return err
	}
	if !name.MatchString(hello.GetName()) {
		return fault.New(fault.InvalidArgument, "name: take 1 to 64 letters, digits, - and _").With("field", "name")
	}
	held, err := emergency.ParseRevision(hello.GetHeldRevision())
	if err != nil {
		return fault.New(fault.InvalidArgument, "heldRevision: %v", err).With("field", "heldRevision")
	}
	l := &link{service: s, stream: stream, hello: hello, once: held, id: hello.GetName() + "@" + who.FromContext(stream.Context()).Token}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	s.crowd.Add(1)
	defer s.crowd.Add(-1)
	var listening sync.WaitGroup
	listening.Go(func() { cancel(l.listen(ctx)) })
	err = l.tell(ctx)
	cancel(err)
	// Receive ends with the stream, which ends when this returns.
	return err
}

// link is one guard that is attached.
type link struct {
	service *Service
	stream  gatev1.Guards_AttachServer
	hello   *gatev1.GuardReport
	id      string
	once    emergency.Revision
	told    *emergency.Snapshot
	said    *emergencyv1.Beat // of it, by itself
}

var errSilent = fault.New(fault.Unavailable, "The guard has not been heard for a while. Attach again")

// listen passes on how the guard is.
func (l *link) listen(ctx context.Context) error {
	reports := make(chan *gatev1.GuardReport)
	failed := make(chan error, 1)
	go func() {
		for {
			r, err := l.stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case reports <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	deaf := time.NewTimer(silence)
	defer deaf.Stop()
	for r := l.hello; ; {
		if r.GetLeaving() {
			l.service.crowd.Leave(ctx, l.id, l.tells(r))
			return nil
		}
		l.beat(ctx, r)
		select {
		case r = <-reports:
			deaf.Reset(silence)
		case err := <-failed:
			return err
		case <-deaf.C:
			return errSilent
		case <-ctx.Done():
			return nil
		}
	}
}

// tell says what has changed, at every change; and twice a second whether what was said is whole.
func (l *link) tell(ctx context.Context) error {
	changed, stop := l.service.deps.Watch.Subscribe()
	defer stop()
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for due := true; ; {
		old, vouched := l.service.deps.Watch.Vouch() // first: what is vouched for is in the State that is then sent
		state := l.service.deps.Watch.State()
		if state != nil && (due || state.Emergency != l.told) {
			if err := l.send(state, old, vouched); err != nil {
				return err
			}
		}
		select {
		case <-changed:
			due = state == nil || l.service.deps.Watch.State().Fresh != state.Fresh
		case <-tick.C:
			due = true
		case <-ctx.Done():
			return cause(ctx)
		}
	}
}

func cause(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// send tells of a State, and how old it is, in as many messages as it takes.
func (l *link) send(state *watch.State, old time.Duration, vouched bool) error {
	change := state.Emergency.Since(l.told, l.hello.GetDevices(), l.once)
	whole := change.Proto()
	whole.Emergencies = reduced(whole.GetEmergencies())
	whole.Policy = reducedPolicy(whole.GetPolicy())
	for users := whole.GetUsers(); len(users) > usersPart; users = whole.GetUsers() {
		if err := l.stream.Send(&gatev1.GuardUpdate{Whole: whole.GetWhole(), More: true, Users: users[:usersPart]}); err != nil {
			return err
		}
		whole.Users = users[usersPart:]
	}
	whole.Fresh, whole.Age, whole.Time = vouched, durationpb.New(old), timestamppb.New(l.service.deps.Now())
	l.told, l.once = state.Emergency, change.Revision
	return l.stream.Send(whole)
}

// reduced are emergencies with what concerns a door.
func reduced(all []*emergencyv1.Emergency) []*emergencyv1.Emergency {
	few := make([]*emergencyv1.Emergency, len(all))
	for i, e := range all {
		few[i] = &emergencyv1.Emergency{
			Id: e.GetId(), Kind: e.GetKind(), StartTime: e.GetStartTime(), EndTime: e.GetEndTime(), Duration: e.GetDuration(), CreateTime: e.GetCreateTime(),
			CancelTime: e.GetCancelTime(), Revision: e.GetRevision(), CutoffRevision: e.GetCutoffRevision(), Started: e.GetStarted(), Hold: e.GetHold(),
			Selector: e.GetSelector(), EndLiveSessions: e.EndLiveSessions, BreakGlassUsers: e.GetBreakGlassUsers(), BreakGlassTokens: e.GetBreakGlassTokens(),
			RevokeTokens: e.RevokeTokens, SparedSignIn: e.GetSparedSignIn(), JustificationPublic: e.GetJustificationPublic(),
		}
		if e.GetJustificationPublic() {
			few[i].Justification = e.GetJustification()
		}
		few[i].ProtoReflect().SetUnknown(e.ProtoReflect().GetUnknown()) // by which a guard knows what it can't know all of
	}
	return slices.Clip(few)
}

func reducedPolicy(p *emergencyv1.Policy) *emergencyv1.Policy {
	if p == nil {
		return nil
	}
	return &emergencyv1.Policy{BreakGlassUsers: p.GetBreakGlassUsers(), BreakGlassTokens: p.GetBreakGlassTokens()}
}
