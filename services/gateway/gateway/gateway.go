// Package gateway is the face to the public: REST by grpc-gateway, the gRPC port, the OpenAPI document
// and its page, and the plain page that works when nothing else does.
//
// It holds no secret and decides nothing. Every call goes on to the service that answers for it, with
// the caller's own credential, which that service verifies itself.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/gateway/console"
	"portcullis.dev/services/gateway/doors"
	"portcullis.dev/services/gateway/federation"
	"portcullis.dev/services/gateway/plain"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/who"
)

// Config is what the gateway can be told. An empty address is not served.
type Config struct {
	HTTP string `koanf:"http" help:"the address of REST and of the pages"`
	GRPC string `koanf:"grpc" help:"the address of gRPC"`

	TrustedProxies []string `koanf:"trusted-proxies" help:"addresses or networks whose X-Forwarded-For is believed, by commas"`

	MaxConnections           int `koanf:"max-connections" help:"how many connections may be open at once on each of the two"`
	MaxConnectionsPerAddress int `koanf:"max-connections-per-address" help:"how many of them from one address that is no trusted proxy"`
}

// Default is the configuration where nothing was said.
func Default() Config {
	return Config{
		HTTP: "127.0.0.1:8080", GRPC: "127.0.0.1:9090",
		MaxConnections: 8192, MaxConnectionsPerAddress: 1024,
	}
}

// Deps is what the gateway needs of the process around it.
type Deps struct {
	// Dial answers a connection to a service.
	Dial func(service string) (grpc.ClientConnInterface, error)
	// Listen opens a public port.
	Listen func(network, address string) (net.Listener, error)
	// Proxy passes gRPC calls of the outside on; nil serves none.
	Proxy Proxy
	// Ready says what is still waited for, nil if nothing.
	Ready func() error
	// Gather answers the process's metrics.
	Gather  http.Handler
	Metrics prometheus.Registerer
	// Trace makes the spans of calls; nil makes none.
	Trace *telemetry.Tracer
	// Attempts is told whom a lockdown refused, and run; Verify answers whose credential it is. Optional.
	Attempts *attempt.Recorder
	Verify   func(bearer string) (who.Caller, error)
	Texts    emergency.Texts
	Log      *slog.Logger
	Now      func() time.Time
}

func (d Deps) tries() tries { return tries{d.Attempts, d.Verify} }

// Proxy is the gRPC server of the outside.
type Proxy interface {
	Serve(context.Context, net.Listener) error
}

// Bounds of the HTTP server. There is none on how long an answer may take, for streams last; see answer.
const (
	headerWithin = 10 * time.Second
	idleFor      = 60 * time.Second
	maxHeader    = 32 << 10
	stopWithin   = 5 * time.Second
)

// Gateway is the service.
type Gateway struct {
	config  Config
	deps    Deps
	trusted proxies
	front   *front
	stop    context.CancelFunc
}

// New checks the configuration and starts nothing.
func New(c Config, d Deps) (*Gateway, error) {
	if c.MaxConnections <= 0 || c.MaxConnectionsPerAddress <= 0 {
		return nil, errors.New("max-connections and max-connections-per-address must be above 0")
	}
	trusted, err := parseProxies(c.TrustedProxies)
	if err != nil {
		return nil, err
	}
	r := refusals{texts: d.Texts, now: d.Now}
	api, err := newAPI(d, r, bodies{share: semaphore.NewWeighted(largeBodies), limit: limits()})
	if err != nil {
		return nil, fmt.Errorf("joining the services: %w", err)
	}
	pages, err := pages(d, r)
	if err != nil {
		return nil, fmt.Errorf("preparing the pages: %w", err)
	}
	identity, err := d.Dial(rpc.Identity)
	if err != nil {
		return nil, fmt.Errorf("joining identity: %w", err)
	}
	maps.Copy(pages, (&federation.Pages{
		Identity: identityv1.NewProviderSignInsClient(identity), Browser: jar{}, Now: d.Now,
		Outgoing: beside,
	}).All())
	gate, err := d.Dial(rpc.Gate)
	if err != nil {
		return nil, fmt.Errorf("joining access-gate: %w", err)
	}
	maps.Copy(pages, (&doors.Pages{
		Gate: gatev1.NewDoorsClient(gate), Outgoing: beside,
		Address: func(ctx context.Context) string { return exchangeOf(ctx).address },
		Refuse:  func(w http.ResponseWriter, err error) { r.read(err).write(w) },
	}).All())
	web, err := console.New()
	if err != nil {
		return nil, fmt.Errorf("preparing the console: %w", err)
	}
	metrics, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	f := &front{
		api: api, pages: pages, console: web, trusted: trusted, strict: strict(), refusals: r, metrics: metrics, log: d.Log,
		haste: newHaste(),
	}
	f.plain = &plain.Panel{API: f, Texts: d.Texts}
	return &Gateway{config: c, deps: d, trusted: trusted, stop: api.stop, front: f}, nil
}

// beside tells a service where a request of a page comes from.
func beside(ctx context.Context) context.Context {
	return metadata.NewOutgoingContext(ctx, accompany(ctx, nil))
}

// limits is how large the body of each call may be.
func limits() func(rpc string) int {
	table := rpc.Table()
	return func(name string) int { return max(maxBody, table[name].Bytes) }
}

// ServeHTTP answers a request of the public.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.front.ServeHTTP(w, r) }

// Register adds nothing: nobody calls the gateway from inside.
func (g *Gateway) Register(grpc.ServiceRegistrar) {}

// Run serves the public ports until the context ends; what is under way then has some seconds left.
func (g *Gateway) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if g.config.HTTP != "" {
		listener, err := g.listen(g.config.HTTP)
		if err != nil {
			return err
		}
		group.Go(func() error { return g.serveHTTP(ctx, listener) })
	}
	if g.config.GRPC != "" && g.deps.Proxy != nil {
		listener, err := g.listen(g.config.GRPC)
		if err != nil {
			return err
		}
		group.Go(func() error { return g.deps.Proxy.Serve(ctx, listener) })
	}
	group.Go(func() error { return g.deps.Attempts.Run(ctx) })
	return group.Wait()
}

func (g *Gateway) listen(address string) (net.Listener, error) {
	listener, err := g.deps.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	g.deps.Log.Info("listening to the public", "address", listener.Addr().String())
	return limit(listener, g.config.MaxConnections, g.config.MaxConnectionsPerAddress, g.trusted), nil
}

func (g *Gateway) serveHTTP(ctx context.Context, listener net.Listener) error {
	leaving := &leave{Handler: g}
	server := &http.Server{
		Handler: leaving, ConnState: leaving.count, ReadHeaderTimeout: headerWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(g.deps.Log.Handler(), slog.LevelDebug), // strangers' broken requests
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}
	g.stop() // streams end now; other calls may finish
	leaving.wait()
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := server.Shutdown(finish); err != nil {
		_ = server.Close() // what did not finish in time is broken off
	}
	return nil
}
