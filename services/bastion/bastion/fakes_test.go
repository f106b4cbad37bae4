package bastion

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// people is identity's door: keys, passwords and codes.
type people struct {
	identityv1.DoorsClient
	mu        sync.Mutex
	keys      map[string][]byte // by user, in wire format
	passwords map[string]string
	codes     map[string]string // a user without one has no MFA
	addresses []string
	locked    bool
}

func (p *people) Authenticate(_ context.Context, r *identityv1.AuthenticateRequest, _ ...grpc.CallOption) (*identityv1.AuthenticateResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses = append(p.addresses, r.GetAddress())
	name := r.GetUsername()
	wrong := fault.New(fault.Unauthenticated, "Wrong user, password or key")
	if p.locked {
		return nil, fault.New(fault.LockedOut, "Too many wrong passwords. Try again in ten minutes")
	}
	if key := r.GetPublicKey(); key != nil {
		if !bytes.Equal(p.keys[name], key) {
			return nil, wrong
		}
		return &identityv1.AuthenticateResponse{User: name}, nil
	}
	proof := r.GetPassword()
	switch {
	case p.passwords[name] == "" || p.passwords[name] != proof.GetPassword():
		return nil, wrong
	case p.codes[name] != "" && proof.GetCode() == "":
		return &identityv1.AuthenticateResponse{CodeRequired: true}, nil
	case p.codes[name] != proof.GetCode():
		return nil, wrong
	}
	return &identityv1.AuthenticateResponse{User: name}, nil
}

// gate decides like the real one, on a snapshot that the test builds; and knows where devices are.
type gate struct {
	gatev1.AccessClient
	gatev1.DirectoryClient
	mu       sync.Mutex
	builder  *emergency.Builder
	sequence uint64
	snapshot *emergency.Snapshot
	devices  map[string]*gatev1.Device
	slow     chan struct{} // while it is open, ResolveDevice waits for those who have registered a session
	live     func() int
}

func newGate() *gate {
	g := &gate{builder: emergency.NewBuilder(), devices: map[string]*gatev1.Device{}}
	g.change(func(b *emergency.Builder) {
		b.PutUser("root", true, false)
		b.PutUser("alice", false, false)
		b.PutUser("carol", false, false)
	})
	return g
}

func (g *gate) change(f func(*emergency.Builder)) emergency.Revision {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sequence++
	g.builder.SetRevision(emergency.Revision{Epoch: 1, Sequence: g.sequence})
	f(g.builder)
	g.snapshot = g.builder.Snapshot(time.Now())
	return g.snapshot.Revision()
}

// add makes a device that root and alice may reach, and that freezes close.
func (g *gate) add(d *gatev1.Device) {
	g.mu.Lock()
	g.devices[d.GetName()] = d
	var names []string
	for name := range g.devices {
		names = append(names, name)
	}
	g.mu.Unlock()
	g.change(func(b *emergency.Builder) {
		b.PutDevice(d.GetName(), false)
		b.PutGroup("payments", []string{"root", "alice"}, names, true)
	})
}

func (g *gate) edit(name string, change func(*gatev1.Device)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g.devices[name])
}

func (g *gate) known() *emergency.Snapshot {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.snapshot
}

func (g *gate) Check(_ context.Context, r *gatev1.CheckRequest, _ ...grpc.CallOption) (*gatev1.CheckResponse, error) {
	s, now := g.known(), time.Now()
	v := emergency.Decide(s, emergency.Request{User: r.GetUser(), Device: r.GetDevice(), Channel: emergency.SessionChannel}, now)
	return &gatev1.CheckResponse{
		Allowed: v.Allowed(), Reason: gatev1.CheckResponse_Reason(v.Reason), Message: emergency.Texts{}.Refusal(v, r.GetDevice()),
		Admission: s.Admission(now).Proto(), AccessGroups: s.DeviceGroups(r.GetDevice()),
	}, nil
}

func (g *gate) ResolveDevice(ctx context.Context, r *gatev1.ResolveDeviceRequest, _ ...grpc.CallOption) (*gatev1.Device, error) {
	g.mu.Lock()
	d, slow := proto.CloneOf(g.devices[r.GetName()]), g.slow
	g.mu.Unlock()
	if slow != nil && g.live() > 0 {
		select {
		case <-slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if d == nil {
		return nil, fault.New(fault.NotFound, "There is no such device")
	}
	return d, nil
}

// hub is the broker: it tells the bastion what must end.
type hub struct {
	mu       sync.Mutex
	standing *sessionv1.Standing
	link     *link
	open     map[string]*sessionv1.Session
	ended    map[string]string // id → cause
	beat     *sessionv1.Heartbeat
	// protocols are what the connector says it carries.
	protocols []string
}

type link struct {
	grpc.ClientStream
	hub  *hub
	ctx  context.Context
	down chan *sessionv1.BrokerMessage
}

func newHub() *hub {
	return &hub{standing: &sessionv1.Standing{Revision: "1-1"}, open: map[string]*sessionv1.Session{}, ended: map[string]string{}}
}

func (h *hub) Attach(ctx context.Context, _ ...grpc.CallOption) (sessionv1.Connectors_AttachClient, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.link = &link{hub: h, ctx: ctx, down: make(chan *sessionv1.BrokerMessage, 1000)}
	h.link.down <- &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Standing{Standing: h.standing}}
	return h.link, nil
}

func (l *link) CloseSend() error { return nil }

func (l *link) Recv() (*sessionv1.BrokerMessage, error) {
	select {
	case m := <-l.down:
		return m, nil
	case <-time.After(time.Second):
		return &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Confirm{Confirm: &sessionv1.Confirm{}}}, nil
	case <-l.ctx.Done():
		return nil, errors.Join(io.EOF, l.ctx.Err())
	}
}

func (l *link) Send(m *sessionv1.ConnectorMessage) error {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	for _, s := range m.GetOpened().GetSessions() {
		l.hub.open[s.GetId()] = s
	}
	for _, e := range m.GetEnded().GetSessions() {
		l.hub.ended[e.GetId()] = e.GetCause()
		delete(l.hub.open, e.GetId())
	}
	for _, id := range m.GetEnded().GetIds() {
		l.hub.ended[id] = m.GetEnded().GetCause()
		delete(l.hub.open, id)
	}
	if m.GetHello() != nil {
		l.hub.protocols = m.GetHello().GetProtocols()
	}
	if m.GetHeartbeat() != nil {
		l.hub.beat = m.GetHeartbeat()
	}
	return nil
}

func (h *hub) send(s *sessionv1.Standing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.standing = s
	h.link.down <- &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Standing{Standing: s}}
}

// suspend has every session held, or lets them go on, and waits until they are.
func (h *hub) suspend(t testing.TB, held bool, reason string) {
	t.Helper()
	h.mu.Lock()
	order := &sessionv1.Suspend{Held: held, Reason: reason}
	for id := range h.open {
		order.Ids = append(order.Ids, id)
	}
	h.link.down <- &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Suspend{Suspend: order}}
	h.mu.Unlock()
	state := sessionv1.Session_OPEN
	if held {
		state = sessionv1.Session_SUSPENDED
	}
	eventually(t, "the sessions are "+state.String(), func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return !slices.ContainsFunc(order.GetIds(), func(id string) bool { return h.open[id] != nil && h.open[id].GetState() != state })
	})
}

// sessions are those in a state.
func (h *hub) sessions(state sessionv1.Session_State) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, s := range h.open {
		if s.GetState() == state {
			n++
		}
	}
	return n
}

// strike applies an emergency to the gate and to the broker, as the journal would.
func (w *world) strike(make func(emergency.Revision) *emergencyv1.Emergency) {
	w.t.Helper()
	r := w.gate.change(func(b *emergency.Builder) { b.PutEmergency(make(b.Revision())) })
	s := &sessionv1.Standing{Revision: r.String()}
	for _, cut := range w.gate.known().Cuts() {
		s.Cuts = append(s.Cuts, cut.Proto())
	}
	w.hub.send(s)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after ten seconds: %s", what)
		}
	}
}
