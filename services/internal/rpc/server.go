package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/services/internal/pace"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/watch"
)

const (
	usual = 4 << 20  // bytes of a message
	large = 32 << 20 // of one that carries a directory

	workers = 64 // goroutines that answer one call after the other, with stacks that have grown already

	inside  = 10_000 // streams on a connection between services: the gateway has one for everybody's
	outside = 100    // and on one from the outside

	pingEvery  = 10 * time.Second // clients look whether their server is there
	pingWithin = 3 * time.Second
	stopWithin = 5 * time.Second // calls that are on may finish
)

// View is what a server decides on: a *watch.Watcher.
type View interface {
	State() *watch.State
	Subscribe() (changed <-chan struct{}, stop func())
}

// Config is what a server needs.
type Config struct {
	// Service is whose rows of the table it serves.
	Service string
	View    View
	Texts   emergency.Texts
	// Stale reports whether the View is older than this strict service may go by; nil where it goes by any.
	Stale func() bool
	// Practise hears of each request that is let through, by what was known then; nil for nobody.
	Practise func(known *emergency.Snapshot, r emergency.Request, now time.Time)
	// Credentials say which service is on the other end: Pipes.Credentials or TLS.Server.
	Credentials credentials.TransportCredentials
	Now         func() time.Time
	Log         *slog.Logger
	Metrics     prometheus.Registerer
	// Paces are how often each client of the outside may call each kind of method; by themselves nobody's own.
	Paces *PaceTable
	// Pace is the same for all of them instead. For tests.
	Pace pace.Pace
	// Trace makes the spans of calls; nil makes none.
	Trace *telemetry.Tracer
}

// Server serves one service's methods to those whom the table lets in.
type Server struct {
	config    Config
	grpc      *grpc.Server
	health    *health.Server
	table     map[string]Row
	validator protovalidate.Validator
	metrics   *metrics
	wrong     []error
	live      registry
	pacer     *pacer
	handlers  sync.WaitGroup
}

// method is a row of the table as the server serves it.
type method struct {
	name  string
	row   Row
	class class
	*meter
}

// NewServer answers a server that Serve starts.
func NewServer(c Config) (*Server, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("compiling the rules of requests: %w", err)
	}
	measured, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering the metrics of calls: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{config: c, table: Table(), validator: validator, metrics: measured, health: health.NewServer(), live: newRegistry(measured.streams), pacer: newPacer(c.Paces, c.Pace, c.Now)}
	options := append(limits(largest(s.table, c.Service), inside), c.Trace.ServerOptions(false)...)
	s.grpc = grpc.NewServer(append(options, grpc.Creds(c.Credentials), grpc.ForceServerCodecV2(raw{}), grpc.NumStreamWorkers(workers))...)
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	s.health.SetServingStatus("live", grpc_health_v1.HealthCheckResponse_SERVING)
	s.health.SetServingStatus("ready", grpc_health_v1.HealthCheckResponse_NOT_SERVING) // until something is known
	return s, nil
}

// limits bound what any client can make a server keep.
func limits(bytes int, streams uint32) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(bytes), grpc.MaxConcurrentStreams(streams), grpc.MaxHeaderListSize(32 << 10),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingWithin}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2, PermitWithoutStream: true}),
	}
}

func largest(table map[string]Row, owner string) int {
	bytes := usual
	for _, row := range table {
		if row.Owner == owner {
			bytes = max(bytes, row.Bytes)
		}
	}
	return bytes
}

// RegisterService adds a generated service. Serve refuses to start if one of its methods has no row.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	guarded := *desc
	guarded.Methods = slices.Clone(desc.Methods)
	for i, m := range guarded.Methods {
		guarded.Methods[i].Handler = s.unary(s.method(desc, m.MethodName), m.Handler)
	}
	guarded.Streams = slices.Clone(desc.Streams)
	for i, m := range guarded.Streams {
		guarded.Streams[i].Handler = s.stream(s.method(desc, m.StreamName), m.Handler)
	}
	s.grpc.RegisterService(&guarded, impl)
}

func (s *Server) method(desc *grpc.ServiceDesc, name string) *method {
	full := "/" + desc.ServiceName + "/" + name
	row, ok := s.table[full]
	switch {
	case !ok:
		s.wrong = append(s.wrong, fmt.Errorf("%s has no row in the table of who may call it", full))
	case row.Owner != s.config.Service && row.Owner != Every:
		s.wrong = append(s.wrong, fmt.Errorf("%s is for %s to serve", full, row.Owner))
	}
	return &method{name: full, row: row, class: classOf(full, row), meter: s.metrics.of(full)}
}

// unary is all that happens to a request before and after its handler. Nothing is read of a request whose
// sender is not let in.
func (s *Server) unary(m *method, handle grpc.MethodHandler) grpc.MethodHandler {
	validate := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if err := s.validate(request); err != nil {
			return nil, err
		}
		return next(ctx, request)
	}
	return func(impl any, ctx context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (answer any, err error) {
		c := &call{method: m, start: time.Now()}
		defer func() { err = s.end(ctx, c, recover(), err) }()
		within, err := s.admit(ctx, c)
		if err != nil {
			return nil, err
		}
		return handle(impl, within, func(into any) error { return decode(m.row, receive, into) }, validate)
	}
}

// Serve answers calls until the context ends, and then lets those that are on finish; streams are told to
// come back. A method without a row, or of another service, is an error.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if err := errors.Join(s.wrong...); err != nil {
		return errors.Join(fmt.Errorf("serving %s: %w", s.config.Service, err), l.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { s.follow(ctx) })
	stopped := context.AfterFunc(ctx, s.stop)
	err := s.grpc.Serve(l)
	ended := ctx.Err() != nil
	if stopped() {
		s.stop()
	}
	cancel()
	following.Wait()
	s.await()
	if err != nil && !ended {
		return fmt.Errorf("serving %s: %w", s.config.Service, err)
	}
	return nil
}

func (s *Server) stop() {
	s.health.Shutdown()
	s.live.each(func(l *live) { l.cut(errLeaving()) })
	hard := time.AfterFunc(stopWithin, s.grpc.Stop)
	defer hard.Stop()
	s.grpc.GracefulStop()
}

// await gives the handlers of streams that were cut a moment to notice.
func (s *Server) await() {
	done := make(chan struct{})
	go func() { s.handlers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(stopWithin):
		s.config.Log.Warn("a stream's handler does not end when its context does", "service", s.config.Service)
	}
}
