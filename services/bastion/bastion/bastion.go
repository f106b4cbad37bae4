// Package bastion carries people's sessions to devices, over SSH, PostgreSQL and kubectl, as a connector of the
// broker: it asks the gate before it opens one, and ends it when an emergency does. It alone touches devices.
package bastion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/bastion/kubernetes"
	"portcullis.dev/services/bastion/postgres"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/telemetry"
)

// Config is what the bastion must be told.
type Config struct {
	// Address is where SSH is served.
	Address string
	// ID is its name among the connectors.
	ID string
	// HostKey is its own.
	HostKey ssh.Signer
	// Postgres is how PostgreSQL is served; PostgresAddress, where.
	Postgres        postgres.Config
	PostgresAddress string
	// Kubernetes is how kubectl is served; not at all without an address.
	Kubernetes kubernetes.Config
	Texts      emergency.Texts
}

// Deps is what the bastion works with.
type Deps struct {
	Listen   func(network, address string) (net.Listener, error)
	Journal  *journal.Journal
	Opener   seal.Opener
	Identity identityv1.DoorsClient
	Gate     gatev1.AccessClient
	Devices  gatev1.DirectoryClient
	Broker   sessionv1.ConnectorsClient
	// Watch is needed by Kubernetes alone.
	Watch watched
	Now   func() time.Time
	Log   *slog.Logger
}

// Service is the bastion.
type Service struct {
	sessionv1.UnimplementedBastionsServer
	config     Config
	deps       Deps
	connector  *connector.Connector
	door       *door
	vault      *vault
	crowd      *crowd
	postgres   *postgres.Door
	kubernetes *kubernetes.Proxy // nil if kubectl is not served

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// New answers the service; Run starts it.
func New(c Config, d Deps) (*Service, error) {
	s := &Service{config: c, deps: d, open: map[net.Conn]struct{}{}, vault: &vault{opener: d.Opener}, crowd: &crowd{}}
	protocols := []string{"SSH", postgres.Protocol, "TCP"}
	if c.Kubernetes.Address != "" {
		protocols = append(protocols, kubernetes.Protocol)
	}
	var err error
	s.connector, err = connector.New(
		connector.Config{ID: c.ID, Protocols: protocols, Texts: c.Texts, Now: d.Now},
		connector.Deps{Broker: d.Broker, Gate: s.ask, Log: d.Log})
	if err != nil {
		return nil, err
	}
	s.door = newDoor(c.HostKey, d.Identity)
	s.postgres = postgres.New(c.Postgres, postgres.Deps{Connector: s.connector, Identity: d.Identity, Login: login, Resolve: s.server, Log: d.Log})
	if c.Kubernetes.Address != "" {
		s.kubernetes, err = s.proxy(c.Kubernetes)
	}
	return s, err
}

// Register offers the service's RPCs.
func (s *Service) Register(r grpc.ServiceRegistrar) { sessionv1.RegisterBastionsServer(r, s) }

// Run serves until the context ends. What has an empty address is served nowhere.
func (s *Service) Run(ctx context.Context) error {
	s.postgres.Resume()
	defer s.postgres.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.connector.Run(ctx) })
	g.Go(func() error { return s.openVault(ctx) })
	g.Go(func() error { return s.listen(ctx, "SSH", s.config.Address, s.handle) })
	g.Go(func() error { return s.listen(ctx, "PostgreSQL", s.config.PostgresAddress, s.handlePostgres) })
	g.Go(func() error { return s.serveKubectl(ctx) })
	return g.Wait()
}

// handlePostgres serves a connection from its first byte to its last.
func (s *Service) handlePostgres(ctx context.Context, conn net.Conn) {
	s.crowd.join(conn)
	proven := sync.OnceFunc(func() { s.crowd.leave(conn) })
	defer proven()
	s.postgres.Serve(telemetry.WithRequest(ctx, telemetry.NewID()), conn, proven)
}

func (s *Service) listen(ctx context.Context, what, address string, handle func(context.Context, net.Conn)) error {
	if address == "" {
		return nil
	}
	listener, err := s.deps.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening for %s on %s: %w", what, address, err)
	}
	return s.serve(ctx, listener, handle)
}

// openVault waits for the journal. Without it no device can be signed in to; everything else goes on.
func (s *Service) openVault(ctx context.Context) error {
	stream, err := s.deps.Journal.Await(ctx, "CREDENTIAL")
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the credentials: %w", err)
	}
	s.vault.stream.Store(stream)
	return nil
}

// serve takes connections.
func (s *Service) serve(ctx context.Context, l net.Listener, handle func(context.Context, net.Conn)) error {
	defer context.AfterFunc(ctx, func() { s.close(l) })()
	var handling sync.WaitGroup
	defer handling.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if !s.wait(ctx, err) {
				return fmt.Errorf("accepting connections: %w", err)
			}
			continue
		}
		handling.Go(func() {
			s.keep(conn)
			defer s.drop(conn)
			if ctx.Err() == nil {
				handle(ctx, conn)
			}
		})
	}
}

// wait lets a shortage of file descriptors pass, which ends with some connection.
func (s *Service) wait(ctx context.Context, err error) bool {
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) && !errors.Is(err, syscall.ECONNABORTED) {
		return false
	}
	s.deps.Log.WarnContext(ctx, "no more connections can be taken now", "error", err)
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
	return true
}

func (s *Service) keep(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
}

func (s *Service) drop(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	_ = c.Close() // mostly closed already
}

func (s *Service) close(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := l.Close()
	for c := range s.open {
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		s.deps.Log.Debug("closing what was open", "error", err)
	}
}
