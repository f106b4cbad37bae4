package guard_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/guard"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const token = "pct_abc_secret"

// gate tells guards what it is told itself, as a gate does. It is here because pkg may not know the services; deploy/e2e/guard has the real one.
type gate struct {
	gatev1.UnimplementedGuardsServer
	t       *testing.T
	address string

	mu      sync.Mutex
	server  *grpc.Server
	builder *emergency.Builder
	seq     uint64
	fresh   bool
	changed chan struct{}
	reports chan *gatev1.GuardReport
}

func newGate(t *testing.T) *gate {
	g := &gate{t: t, builder: emergency.NewBuilder(), fresh: true, changed: make(chan struct{}), reports: make(chan *gatev1.GuardReport, 1000)}
	g.change(func(b *emergency.Builder) {
		b.PutUser("root", true, false)
		b.PutUser("alice", false, false)
		b.PutDevice("orders", false)
		b.PutGroup("shop", []string{"alice", "root"}, []string{"orders"}, true)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.address = listener.Addr().String()
	g.serve(listener)
	t.Cleanup(g.stop)
	return g
}

func (g *gate) serve(l net.Listener) {
	server := grpc.NewServer()
	gatev1.RegisterGuardsServer(server, g)
	g.mu.Lock()
	g.server = server
	g.mu.Unlock()
	go func() { _ = server.Serve(l) }()
}

func (g *gate) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.server.Stop()
}

func (g *gate) startAgain() {
	listener, err := net.Listen("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.serve(listener)
}

// change changes what the gate knows, and answers the revision since.
func (g *gate) change(do func(*emergency.Builder)) emergency.Revision {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seq++
	r := emergency.Revision{Epoch: 1, Sequence: g.seq}
	g.builder.SetRevision(r)
	do(g.builder)
	if g.changed != nil {
		close(g.changed)
	}
	g.changed = make(chan struct{})
	return r
}

func (g *gate) state() (*emergency.Snapshot, bool, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.builder.Snapshot(time.Now()), g.fresh, g.changed
}

func (g *gate) Attach(stream gatev1.Guards_AttachServer) error {
	in, _ := metadata.FromIncomingContext(stream.Context())
	if v := in.Get("authorization"); len(v) != 1 || v[0] != "Bearer "+token {
		return status.Error(16, "no token")
	}
	hello, err := stream.Recv()
	if err != nil {
		return err
	}
	g.reports <- hello
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			g.reports <- r
		}
	}()
	once, err := emergency.ParseRevision(hello.GetHeldRevision())
	if err != nil {
		return err
	}
	var told *emergency.Snapshot
	for {
		now, fresh, changed := g.state()
		c := now.Since(told, hello.GetDevices(), once)
		u := c.Proto()
		for len(u.Users) > 1 { // in parts, as of many
			if err := stream.Send(&gatev1.GuardUpdate{Whole: u.Whole, More: true, Users: u.Users[:1]}); err != nil {
				return err
			}
			u.Users = u.Users[1:]
		}
		u.Fresh, told = fresh, now
		if err := stream.Send(u); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		case <-stream.Context().Done():
			return nil
		}
	}
}

// lockdown puts one that is on, and answers the revision since.
func (g *gate) lockdown(id string, change ...func(*emergencyv1.Emergency)) emergency.Revision {
	return g.change(func(b *emergency.Builder) {
		b.PutEmergency(g.emergency(id, emergencyv1.Emergency_LOCKDOWN, change...))
	})
}

// emergency is one from now for an hour. The lock is held.
func (g *gate) emergency(id string, kind emergencyv1.Emergency_Kind, change ...func(*emergencyv1.Emergency)) *emergencyv1.Emergency {
	now, r := time.Now(), emergency.Revision{Epoch: 1, Sequence: g.seq}.String()
	e := &emergencyv1.Emergency{
		Id: id, Kind: kind, CreateTime: timestamppb.New(now), StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(time.Hour)),
		Revision: r, CutoffRevision: r, Started: true,
	}
	for _, do := range change {
		do(e)
	}
	return e
}

// clock is one that tests set.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// newGuard runs one, and waits until it can decide.
func newGuard(t *testing.T, g *gate, change ...func(*guard.Config)) *guard.Guard {
	t.Helper()
	c := guard.Config{Address: g.address, Token: token, Name: "orders-1", Devices: []string{"orders"}, Texts: emergency.Texts{Product: "Acme"}}
	for _, do := range change {
		do(&c)
	}
	one, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := one.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	select {
	case <-one.Ready():
	case <-time.After(10 * time.Second):
		t.Fatal("the guard has heard no gate")
	}
	return one
}

// until waits for what the gate hears of the guard.
func (g *gate) until(what string, true_ func(*gatev1.GuardReport) bool) {
	g.t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case r := <-g.reports:
			if true_(r) {
				return
			}
		case <-late:
			g.t.Fatalf("the guard never reported %s", what)
		}
	}
}

func (g *gate) untilHeld(r emergency.Revision) {
	g.t.Helper()
	g.until("that it holds "+r.String(), func(got *gatev1.GuardReport) bool { return got.GetHeldRevision() == r.String() })
}
