package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/watch"
)

// ground is what a service stands on: the pipes and the embedded journal of one process, or the network.
type ground struct {
	settings    *Settings
	log         *slog.Logger
	registry    *prometheus.Registry
	export      *telemetry.Export
	health      *health
	keys        seal.Keys
	credentials credentials.TransportCredentials
	instance    func(service string) string
	journal     func(ctx context.Context, service string) (*journal.Journal, error)
	dial        func(from, to string) (*grpc.ClientConn, error)
	// replicas are the addresses of a service's processes; "" is the one that dial reaches.
	replicas func(ctx context.Context, service string) []string
	dialAt   func(service, address string) (*grpc.ClientConn, error)
	// holds is the folder where a service keeps holds; empty for none.
	holds func(service string) string
	// memory is the file by which what a service knows outlives it, and the key that proves that it is its own; none where the
	// journal is in the process.
	memory   func(service string) (file string, key []byte, err error)
	doorstep *doorstep
	listen   func(service string) (net.Listener, error)
}

// roomy keeps the collector from running a hundred times a second until done is called: it waits for as
// much to be thrown away as is kept, and a service keeps some MiB only. The bytes are never touched, so
// that they take no memory.
func roomy() (done func()) {
	untouched := make([]byte, 64<<20)
	return func() { runtime.KeepAlive(untouched) }
}

// life runs a service until the context ends, which is nil, or until it fails. What is asked of it then is answered
// first: until then it goes on hearing the journal, and whatever else an answer may take.
func (g *ground) life(ctx context.Context, e Entry) error {
	h, leave, err := g.host(ctx, e)
	if err != nil {
		return err
	}
	defer leave()
	service, err := e.Start(ctx, h)
	if err != nil {
		return fmt.Errorf("starting %s: %w", e.Name, err)
	}
	server, err := rpc.NewServer(rpc.Config{Service: e.Name, View: h.Watch, Texts: h.Texts, Credentials: g.credentials,
		Stale: h.Watch.Stale, Practise: h.Watch.Practise, Paces: g.settings.paces, Now: h.Now, Log: h.Log, Metrics: h.Metrics, Trace: h.Trace})
	if err != nil {
		return fmt.Errorf("starting %s: %w", e.Name, err)
	}
	service.Register(server)
	emergencyv1.RegisterDoorkeepersServer(server, doorkeeper{watch: h.Watch, instance: h.Instance})
	parts, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	running, rest := context.WithCancel(failed)
	serving, leaving := context.WithCancel(ctx)
	defer leaving()
	defer context.AfterFunc(failed, leaving)()
	parts.Go(func() error { return lasting(running, "following the journal for "+e.Name, h.Watch.Run) })
	parts.Go(func() error {
		defer rest()
		select {
		case <-h.Watch.Ready():
		case <-serving.Done():
			return nil
		}
		l, err := g.listen(e.Name)
		if err != nil {
			return err
		}
		parts.Go(func() error { return lasting(running, "running "+e.Name, service.Run) })
		parts.Go(func() error { return g.reach(running, h, service) })
		return server.Serve(serving, l)
	})
	return parts.Wait()
}

// reach waits for what a service does before it can answer, where it has something of the kind. One that goes by its memory
// decides already, and whoever asks must find it.
func (g *ground) reach(ctx context.Context, h *Host, s Service) error {
	if starting, ok := s.(interface{ Ready() <-chan struct{} }); ok {
		select {
		case <-starting.Ready():
		case <-h.Watch.Recalled():
		case <-ctx.Done():
			return nil
		}
	}
	settle(ctx, h.Watch.Stale)
	g.health.reached(h.Name)
	return nil
}

// settle gives a strict service a moment to learn that what it knows is all there is: until then it refuses what nothing forbids. One that
// can't learn it is found all the same, for it lets administrators in.
func settle(ctx context.Context, stale func() bool) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	for tick := time.Tick(20 * time.Millisecond); stale(); {
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
	}
}

const settleWithin = 5 * time.Second

// lasting runs what should end with its context only, and turns a panic into an error.
func lasting(ctx context.Context, what string, run func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", what, p, debug.Stack())
		}
	}()
	err = run(ctx)
	switch {
	case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
		return nil
	case err == nil:
		return fmt.Errorf("%s: it ended by itself", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// host makes what a service has of its process, and answers how to give it back.
func (g *ground) host(ctx context.Context, e Entry) (*Host, func(), error) {
	may, err := rights(e.Name)
	if err != nil {
		return nil, nil, err
	}
	keys := g.keys.Only(may.keys...)
	trust, err := keys.Trust()
	if err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", e.Name, err)
	}
	knows := watch.Config{Trust: trust, Directory: e.Directory, Holds: g.holds(e.Name), Staleness: g.settings.stale, Now: clock}
	if knows.Memory, knows.MemoryKey, err = g.memory(e.Name); err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", e.Name, err)
	}
	j, err := g.journal(ctx, e.Name)
	if err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", e.Name, err)
	}
	log := g.log.With("service", e.Name)
	trace := g.trace(e.Name)
	knows.Journal, knows.Log, knows.Trace = j, log, trace
	out := &lines{ground: g, from: e.Name, open: map[string]*grpc.ClientConn{}}
	h := &Host{
		Name: e.Name, Instance: g.instance(e.Name), Boot: rand.Text(), Log: log, Trace: trace, Journal: j,
		Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"service": e.Name}, g.registry),
		Watch:   watch.New(knows),
		Texts:   g.settings.texts(), Keys: keys, Now: clock, Decode: g.settings.Decode, Dial: out.to, Doors: out.doors, Listen: net.Listen,
		Ready: g.health.Ready, Gather: promhttp.HandlerFor(g.registry, promhttp.HandlerOpts{}),
	}
	if err := follows(h); err != nil {
		out.close()
		j.Close()
		return nil, nil, err
	}
	g.doorstep.put(e.Name, h.Watch)
	return h, func() { out.close(); j.Close() }, nil
}

// trace makes the spans of a service.
func (g *ground) trace(service string) *telemetry.Tracer {
	return g.export.Of(service, g.instance(service))
}

// lines are a service's connections to the others, each made when it is first asked for.
type lines struct {
	*ground
	from string
	mu   sync.Mutex
	open map[string]*grpc.ClientConn
}

func (l *lines) to(service string) (grpc.ClientConnInterface, error) {
	return l.kept(service, func() (*grpc.ClientConn, error) { return l.dial(l.from, service) })
}

func (l *lines) kept(name string, dial func() (*grpc.ClientConn, error)) (grpc.ClientConnInterface, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.open[name]; c != nil {
		return c, nil
	}
	c, err := dial()
	if err != nil {
		return nil, err
	}
	l.open[name] = c
	return c, nil
}

func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		_ = c.Close() // whoever uses it is ending
	}
}
