// Package kubernetes carries people's kubectl to the API servers of Kubernetes clusters, which know them by
// impersonation: an HTTPS proxy that asks the gate at every request, and makes a session of whatever lasts (exec,
// attach, port-forward, logs, watches), which the broker sees and ends.
package kubernetes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/watch"
)

// Protocol is that of the devices that it leads to.
const Protocol = "KUBERNETES"

// Config is what the proxy must be told.
type Config struct {
	// Address is where it serves HTTPS.
	Address string
	// Cert and Key are the files of its certificate, in PEM. They may be replaced while it runs.
	Cert, Key string
	// Prefix stands before the names of people and access groups in a cluster, so that none of them is one of the cluster's own.
	Prefix string
	// Connector is the bastion's name among the connectors.
	Connector string
	Texts     emergency.Texts
}

// Deps is what the proxy works with.
type Deps struct {
	Listen func(network, address string) (net.Listener, error)
	// State is what is known of people, tokens and emergencies; nil while nothing is. Changed nudges after each change of it.
	State   func() *watch.State
	Changed func() (nudges <-chan struct{}, stop func())
	Gate    gatev1.AccessClient
	Devices gatev1.DirectoryClient
	// Credential opens what access-gate has sealed for the bastion.
	Credential func(ctx context.Context, device string) (*gatev1.Credential, error)
	// Open makes a session at the broker.
	Open func(context.Context, connector.Request) (*connector.Session, error)
	// Join and Leave bound the connections of those who have not proven who they are.
	Join, Leave func(net.Conn)
	Now         func() time.Time
	Log         *slog.Logger
}

// Bounds of the server. There is none on how long a session may take.
const (
	maxConnections = 4096
	headerWithin   = 10 * time.Second
	idleFor        = 60 * time.Second
	maxHeader      = 64 << 10
	stopWithin     = 5 * time.Second
	// briefWithin is what an API server itself gives a request that is no session, and a little more.
	briefWithin = 65 * time.Second
	// farewell is how long a peer has to take the reason why its session ends.
	farewell = 200 * time.Millisecond
)

// Proxy is the way to the API servers.
type Proxy struct {
	config      Config
	deps        Deps
	certificate *certificate
	targets     *targets
	guests      *guests
	shares      *shares
	buffers     *buffers

	mu       sync.Mutex
	sessions map[*session]struct{}
	closed   bool // no session begins any more
}

// New checks the configuration and starts nothing.
func New(c Config, d Deps) (*Proxy, error) {
	certificate, err := openCertificate(c.Cert, c.Key)
	if err != nil {
		return nil, err
	}
	return &Proxy{
		config: c, deps: d, certificate: certificate, targets: newTargets(d), guests: newGuests(c, d), shares: newShares(),
		buffers: &buffers{}, sessions: map[*session]struct{}{},
	}, nil
}

type connKey struct{}

func connOf(ctx context.Context) net.Conn {
	conn, _ := ctx.Value(connKey{}).(net.Conn)
	return conn
}

// Run serves until the context ends. Sessions end then, and say so; a request that is none may finish.
func (p *Proxy) Run(ctx context.Context) error {
	listener, err := p.deps.Listen("tcp", p.config.Address)
	if err != nil {
		return fmt.Errorf("listening for kubectl on %s: %w", p.config.Address, err)
	}
	p.deps.Log.InfoContext(ctx, "listening for kubectl", "address", listener.Addr().String())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.serve(ctx, netutil.LimitListener(listener, maxConnections)) })
	g.Go(func() error { return p.guests.watch(ctx) })
	return g.Wait()
}

func (p *Proxy) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: p, ReadHeaderTimeout: headerWithin, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader,
		// A stranger's broken request is no news.
		ErrorLog: slog.NewLogLogger(p.deps.Log.Handler(), slog.LevelDebug),
		// One connection for one request at a time: it can be cut without another's.
		TLSConfig:   &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: p.certificate.get},
		Protocols:   http1(),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState:   p.crowd,
	}
	// Whatever this ends with, no session outlives it: nobody could end it.
	defer p.endAll(p.config.Texts.EndedFor(stopping))
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(l, "", "") }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving kubectl: %w", err)
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	p.endAll(p.config.Texts.EndedFor(stopping))
	return errors.Join(server.Shutdown(finish), server.Close())
}

const stopping = "The bastion stops here. Connect again"

func http1() *http.Protocols {
	only := new(http.Protocols)
	only.SetHTTP1(true)
	return only
}

// crowd counts a new connection among those of strangers, until it closes or its first request proves who is there.
func (p *Proxy) crowd(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		p.deps.Join(raw(c))
	case http.StateClosed, http.StateHijacked:
		p.deps.Leave(raw(c))
	}
}

// ServeHTTP carries one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// What an earlier request on this connection was given does not hold for this one. A request that took too long is told so: TLS
	// does not survive a write that did.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(briefWithin + headerWithin))
	r = r.WithContext(telemetry.WithRequest(r.Context(), telemetry.NewID()))
	q, err := p.read(r)
	if err != nil {
		p.refuse(w, r, q, err)
		return
	}
	leave, err := p.shares.enter(q.user)
	if err != nil {
		p.refuse(w, r, q, err)
		return
	}
	defer leave()
	if q.lasts() {
		p.carrySession(w, r, q)
		return
	}
	p.carryBrief(w, r, q)
}

func (p *Proxy) keep(s *session) (drop func()) {
	p.mu.Lock()
	p.sessions[s] = struct{}{}
	closed := p.closed
	p.mu.Unlock()
	if closed {
		s.end(p.config.Texts.EndedFor(stopping))
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.sessions, s)
	}
}

func (p *Proxy) endAll(reason string) {
	p.mu.Lock()
	p.closed = true
	var ending sync.WaitGroup
	for s := range p.sessions {
		ending.Go(func() { s.end(reason) })
	}
	p.mu.Unlock()
	ending.Wait()
}
