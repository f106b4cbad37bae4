package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// hub is a broker for one connector, in memory: it answers each attachment with its standing, keeps
// what it hears, and confirms ends if it is told to.
type hub struct {
	mu       sync.Mutex
	standing *sessionv1.Standing
	down     bool
	frozen   bool
	busy     sync.WaitGroup // nothing that is sent passes before it is done
	confirms bool
	links    []*link
	hellos   []*sessionv1.Hello
	sessions map[string]*sessionv1.Session
	ended    map[string][]*sessionv1.EndedSession
	beat     *sessionv1.Heartbeat
}

type link struct {
	grpc.ClientStream
	hub  *hub
	ctx  context.Context
	down chan *sessionv1.BrokerMessage
}

func newHub(cuts ...*emergencyv1.Cut) *hub {
	return &hub{standing: standing("1-1", cuts...), sessions: map[string]*sessionv1.Session{},
		ended: map[string][]*sessionv1.EndedSession{}, confirms: true}
}

func standing(revision string, cuts ...*emergencyv1.Cut) *sessionv1.Standing {
	return &sessionv1.Standing{Revision: revision, Cuts: cuts, Generation: 1}
}

func (h *hub) Attach(ctx context.Context, _ ...grpc.CallOption) (sessionv1.Connectors_AttachClient, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return nil, errors.New("there is no broker")
	}
	l := &link{hub: h, ctx: ctx, down: make(chan *sessionv1.BrokerMessage, 1000)}
	h.links = append(h.links, l)
	go l.breathe()
	return l, nil
}

// breathe says once a second that the broker is there.
func (l *link) breathe() {
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-time.After(time.Second):
			l.hub.mu.Lock()
			if !l.hub.frozen {
				l.say(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Confirm{Confirm: &sessionv1.Confirm{}}})
			}
			l.hub.mu.Unlock()
		}
	}
}

func (l *link) say(m *sessionv1.BrokerMessage) {
	select {
	case l.down <- m:
	default:
	}
}

func (l *link) Recv() (*sessionv1.BrokerMessage, error) {
	select {
	case m, ok := <-l.down:
		if !ok {
			return nil, io.EOF
		}
		return m, nil
	case <-l.ctx.Done():
		return nil, l.ctx.Err()
	}
}

func (l *link) Send(m *sessionv1.ConnectorMessage) error {
	h := l.hub
	h.busy.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.ctx.Err() != nil || h.down {
		return io.EOF
	}
	if h.frozen {
		return nil
	}
	switch m := m.GetMessage().(type) {
	case *sessionv1.ConnectorMessage_Hello:
		h.hellos = append(h.hellos, m.Hello)
		for _, s := range m.Hello.GetSessions() {
			h.sessions[s.GetId()] = s
		}
		h.hear(l, m.Hello.GetEnded())
		if !m.Hello.GetMore() {
			l.stand(h.standing)
		}
	case *sessionv1.ConnectorMessage_Opened:
		for _, s := range m.Opened.GetSessions() {
			h.sessions[s.GetId()] = s
		}
	case *sessionv1.ConnectorMessage_Ended:
		h.hear(l, m.Ended.GetSessions())
		for _, id := range m.Ended.GetIds() {
			h.hear(l, []*sessionv1.EndedSession{{Id: id, Cause: m.Ended.GetCause(), Time: m.Ended.GetTime()}})
		}
	case *sessionv1.ConnectorMessage_Heartbeat:
		h.beat = m.Heartbeat
	}
	return nil
}

func (l *link) CloseSend() error { return nil }

func (h *hub) hear(l *link, ends []*sessionv1.EndedSession) {
	confirm := &sessionv1.Confirm{}
	for _, e := range ends {
		h.ended[e.GetId()] = append(h.ended[e.GetId()], e)
		confirm.Ids = append(confirm.Ids, e.GetId())
	}
	if h.confirms {
		l.say(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Confirm{Confirm: confirm}})
	}
}

func (l *link) stand(s *sessionv1.Standing) {
	l.say(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Standing{Standing: s}})
}

// send makes it the desired state, and says it to who is attached.
func (h *hub) send(s *sessionv1.Standing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.standing = s
	h.links[len(h.links)-1].stand(s)
}

// kill ends the attachments and refuses new ones.
func (h *hub) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = true
	for _, l := range h.links {
		close(l.down)
	}
	h.links = nil
}

func (h *hub) revive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = false
}

func (h *hub) with(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// gate is one whose knowledge the test sets; it lets everyone in, or refuses everyone.
type gate struct {
	mu    sync.Mutex
	stamp emergency.Admission
	no    error
	asked func()
}

func (g *gate) check(context.Context, Request) (Admitted, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked != nil {
		g.asked()
	}
	return Admitted{Admission: g.stamp, Groups: []string{"payments"}}, g.no
}

func (g *gate) knows(sequence uint64, pending ...time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stamp = emergency.Admission{Revision: emergency.Revision{Epoch: 1, Sequence: sequence}}
	if len(pending) > 0 {
		g.stamp.PendingCut = pending[0]
	}
}

func (g *gate) refuses(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.no = err
}

func (g *gate) asks(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = f
}

// world is a connector on a hub, inside a bubble of time.
type world struct {
	*Connector
	t    *testing.T
	hub  *hub
	gate *gate
}

func run(t *testing.T, h *hub, f func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		g := &gate{}
		g.knows(1)
		c, err := New(Config{ID: "host-1", Protocols: []string{"SSH"}}, Deps{Broker: h, Gate: g.check})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		synctest.Wait()
		f(&world{Connector: c, t: t, hub: h, gate: g})
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run answered %v when its context ended", err)
		}
	})
}

// live is a session with what End was told.
type live struct {
	*Session
	mu      sync.Mutex
	reasons []string
}

func (l *live) told() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reasons
}

func (w *world) try(user, device string) (*live, error) {
	l := &live{}
	s, err := w.Open(w.t.Context(), Request{User: user, Device: device, Protocol: "SSH", End: func(reason string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.reasons = append(l.reasons, reason)
	}})
	if err != nil {
		return nil, err
	}
	l.Session = s
	return l, s.Admit(w.t.Context())
}

func (w *world) open(user, device string) *live {
	w.t.Helper()
	l, err := w.try(user, device)
	if err != nil {
		w.t.Fatalf("opening a session of %s: %v", user, err)
	}
	return l
}

func (w *world) send(s *sessionv1.Standing) {
	w.hub.send(s)
	w.settle()
}

// settle lets what is on its way arrive, ids of ended sessions too.
func (w *world) settle() { w.pass(2 * countsFirst) }

func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) mustLive(l *live) {
	w.t.Helper()
	if got := l.told(); len(got) > 0 {
		w.t.Errorf("a session of %s was ended: %q", l.request.User, got)
	}
}

func (w *world) mustBeOver(l *live, want string) {
	w.t.Helper()
	if got := l.told(); len(got) != 1 || want != "" && got[0] != want {
		w.t.Errorf("a session of %s was told %q, want once %q", l.request.User, got, want)
	}
}

func termination(sequence uint64, sel *emergencyv1.Selector) *emergencyv1.Cut {
	return &emergencyv1.Cut{Emergency: fmt.Sprintf("T-%04d", sequence), Kind: emergencyv1.Emergency_TERMINATION,
		CutoffRevision: fmt.Sprintf("1-%d", sequence), Selector: sel, Reason: "Terminated"}
}

func lockdown(sequence uint64, start time.Time) *emergencyv1.Cut {
	return &emergencyv1.Cut{Emergency: fmt.Sprintf("L-%04d", sequence), Kind: emergencyv1.Emergency_LOCKDOWN,
		CutoffRevision: fmt.Sprintf("1-%d", sequence), Selector: all(), Reason: "Locked down",
		StartTime: timestamppb.New(start), Until: timestamppb.New(start.Add(time.Hour))}
}

func all() *emergencyv1.Selector { return &emergencyv1.Selector{All: true} }
