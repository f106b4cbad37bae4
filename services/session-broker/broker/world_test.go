package broker

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/watch"
)

// view is what the broker knows, as the test says it.
type view struct {
	mu       sync.Mutex
	builder  *emergency.Builder
	sequence uint64
	state    *watch.State
	nudges   map[chan struct{}]struct{}
}

func newView() *view {
	v := &view{builder: emergency.NewBuilder(), nudges: map[chan struct{}]struct{}{}}
	v.change(func(b *emergency.Builder) {
		b.PutUser("root", true, false)
		b.PutUser("alice", false, false)
		b.PutUser("bob", false, false)
		b.PutDevice("db-1", false)
		b.PutDevice("web-1", false)
		b.PutGroup("payments", []string{"root", "alice", "bob"}, []string{"db-1"}, true)
		b.PutGroup("web", []string{"root", "alice", "bob"}, []string{"web-1"}, false)
	})
	return v
}

// change is one more entry of EMERGENCY or of the directory, and answers the revision.
func (v *view) change(f func(*emergency.Builder)) emergency.Revision {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sequence++
	v.builder.SetRevision(emergency.Revision{Epoch: 1, Sequence: v.sequence})
	f(v.builder)
	v.state = &watch.State{Emergency: v.builder.Snapshot(time.Now()), Fresh: true}
	for c := range v.nudges {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	return v.state.Emergency.Revision()
}

func (v *view) State() *watch.State {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state
}

func (v *view) Subscribe() (<-chan struct{}, func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := make(chan struct{}, 1)
	v.nudges[c] = struct{}{}
	return c, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.nudges, c)
	}
}

// terminate applies a termination now, and answers its id.
func (v *view) terminate(sel *emergencyv1.Selector) string {
	var id string
	v.change(func(b *emergency.Builder) {
		r := b.Revision()
		id = fmt.Sprintf("T-%04d", r.Sequence)
		b.PutEmergency(&emergencyv1.Emergency{Id: id, Kind: emergencyv1.Emergency_TERMINATION, Selector: sel,
			CutoffRevision: r.String(), Revision: r.String(), CreateTime: timestamppb.Now()})
	})
	return id
}

func window(kind emergencyv1.Emergency_Kind, r emergency.Revision, start time.Time, d time.Duration) *emergencyv1.Emergency {
	return &emergencyv1.Emergency{Id: fmt.Sprintf("%.1s-%04d", kind, r.Sequence), Kind: kind, CutoffRevision: r.String(), Revision: r.String(),
		CreateTime: timestamppb.Now(), StartTime: timestamppb.New(start), EndTime: timestamppb.New(start.Add(d)), Duration: durationpb.New(d)}
}

// lockdown applies a lockdown that starts then, and answers its record.
func (v *view) lockdown(start time.Time) *emergencyv1.Emergency {
	var e *emergencyv1.Emergency
	v.change(func(b *emergency.Builder) {
		e = window(emergencyv1.Emergency_LOCKDOWN, b.Revision(), start, time.Hour)
		e.Started = !start.After(time.Now())
		b.PutEmergency(e)
	})
	return e
}

// pulses is the heartbeats' way between replicas, in memory.
type pulses struct {
	mu    sync.Mutex
	last  map[string]*emergencyv1.Beat
	hears []func(string, []byte)

	folded int // how many came together with others
}

func newPulses() *pulses { return &pulses{last: map[string]*emergencyv1.Beat{}} }

func (p *pulses) Beat(subject string, data []byte) error {
	beat := new(emergencyv1.Beat)
	if err := proto.Unmarshal(data, beat); err != nil {
		return err
	}
	p.mu.Lock()
	if len(beat.GetFolded()) == 0 {
		p.last[subject] = beat
	}
	for _, one := range beat.GetFolded() {
		p.last[subjectHosts+one.GetEnforcer()], p.folded = one, p.folded+1
	}
	hears := p.hears
	p.mu.Unlock()
	for _, hear := range hears {
		go hear(subject, data)
	}
	return nil
}

func (p *pulses) Beats(ctx context.Context, subject string, fn func(string, []byte)) error {
	p.mu.Lock()
	p.hears = append(p.hears, func(s string, data []byte) {
		if strings.HasPrefix(s, strings.TrimSuffix(subject, ">")) && ctx.Err() == nil {
			fn(s, data)
		}
	})
	p.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (p *pulses) of(connector string) *emergencyv1.Beat {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[subjectHosts+connector]
}

// cut is what the last receipt of a connector says of an emergency.
func (p *pulses) cut(connector, id string) *emergencyv1.CutProgress {
	for _, c := range p.of(connector).GetCuts() {
		if c.GetEmergency() == id {
			return c
		}
	}
	return nil
}

// ground is what replicas share.
type ground struct {
	t       testing.TB
	view    *view
	pulses  *pulses
	index   both
	journal *journal.Journal
	trace   *telemetry.Tracer
}

func newGround(t testing.TB, index both) *ground {
	dir, err := os.MkdirTemp("", "broker")
	if err != nil {
		t.Fatal(err)
	}
	server, err := local.Start(local.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Shutdown(); _ = os.RemoveAll(dir) })
	j, err := journal.Connect(t.Context(), journal.Config{InProcess: server.InProcess()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	if err := journal.Create(t.Context(), j, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	return &ground{t: t, view: newView(), pulses: newPulses(), index: index, journal: j}
}

// replica is a running broker with a gRPC server in front of it.
type replica struct {
	*Broker
	t      testing.TB
	addr   string
	server *grpc.Server
	stop   context.CancelFunc
	done   chan error
}

func (g *ground) replica() *replica { return g.replicaAt("127.0.0.1:0") }

func (g *ground) replicaAt(addr string) *replica {
	g.t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	b, err := New(Config{Instance: "broker-" + strings.ToLower(rand.Text()[:4])}, Deps{
		View: g.view, Pulse: g.pulses, Store: g.index, Index: g.index, Log: log, Trace: g.trace,
		Records: func(ctx context.Context) (Records, error) { return g.journal.Stream(ctx, "SESSION") },
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return g.serve(b, addr)
}

func (g *ground) serve(b *Broker, addr string) *replica {
	g.t.Helper()
	var l net.Listener
	var err error
	for range 100 { // the port may be in use by those who still say goodbye to the one before
		if l, err = net.Listen("tcp", addr); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &replica{Broker: b, t: g.t, addr: l.Addr().String(), server: grpc.NewServer(), stop: stop, done: make(chan error, 1)}
	b.Register(r.server)
	go func() { _ = r.server.Serve(l) }()
	go func() { r.done <- b.Run(ctx) }()
	g.t.Cleanup(r.kill)
	return r
}

// kill takes the replica away at once.
func (r *replica) kill() {
	if r.stop == nil {
		return
	}
	r.server.Stop()
	r.stop()
	r.stop = nil
	if err := <-r.done; err != nil {
		r.t.Errorf("Run answered %v when its context ended", err)
	}
}

func dial(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond}, MinConnectTimeout: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// site is a session host: a real connector on a real connection.
type site struct {
	*connector.Connector
	t    testing.TB
	view *view
	stop context.CancelFunc
}

func (g *ground) site(id, addr string) *site {
	g.t.Helper()
	s := &site{t: g.t, view: g.view}
	conn := dial(g.t, addr)
	c, err := connector.New(connector.Config{ID: id, Protocols: []string{"SSH"}}, connector.Deps{
		Broker: sessionv1.NewConnectorsClient(conn), Gate: s.gate})
	if err != nil {
		g.t.Fatal(err)
	}
	s.Connector = c
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	s.stop = sync.OnceFunc(func() { stop(); _ = conn.Close(); <-done })
	g.t.Cleanup(s.stop)
	eventually(g.t, "the connector holds what the broker does", func() bool { return !c.Held().IsZero() })
	return s
}

// gate lets everyone in, with the stamp that a real one would give.
func (s *site) gate(_ context.Context, r connector.Request) (connector.Admitted, error) {
	known := s.view.State().Emergency
	return connector.Admitted{Admission: known.Admission(time.Now()), Groups: known.DeviceGroups(r.Device)}, nil
}

// live is one session, and what it was told at its end.
type live struct {
	*connector.Session
	reasons chan string
}

func (s *site) open(user, device string) *live {
	s.t.Helper()
	l := &live{reasons: make(chan string, 8)}
	session, err := s.Open(context.Background(), connector.Request{User: user, Device: device, Protocol: "SSH", End: func(reason string) { l.reasons <- reason }})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := session.Admit(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	l.Session = session
	return l
}

func (l *live) mustEnd(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-l.reasons:
		if !strings.Contains(got, want) {
			t.Errorf("it was told %q, want %q in it", got, want)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("a session was not ended that should be: %s", want)
	}
}

// mustLive waits until the connector holds the broker's latest, and looks then.
func (s *site) mustLive(l *live) {
	s.t.Helper()
	eventually(s.t, "the connector holds the latest", func() bool { return s.Held() == s.view.State().Emergency.Revision() })
	time.Sleep(50 * time.Millisecond) // what must not come has had its time
	select {
	case got := <-l.reasons:
		s.t.Errorf("a session was ended that should live: %q", got)
	default:
	}
}
