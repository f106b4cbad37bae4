// Package gate is the service that holds devices and access groups, and decides who gets where. It is
// the only one that writes the directory.
package gate

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/access-gate/door"
	"portcullis.dev/services/access-gate/guards"
	"portcullis.dev/services/access-gate/spop"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/watch"
)

// Service is access-gate.
type Service struct {
	gatev1.UnimplementedAccessServer
	gatev1.UnimplementedPostureServer
	gatev1.UnimplementedDevicesServer
	gatev1.UnimplementedAccessGroupsServer
	gatev1.UnimplementedDirectoryServer

	journal  *journal.Journal
	watch    *watch.Watcher
	acts     emergencyv1.ActsClient
	users    identityv1.DoorsClient
	bastions sessionv1.BastionsClient
	enforce  func(context.Context) error
	drive    func(context.Context) error
	attempts *attempt.Recorder
	sealer   seal.Sealer
	texts    emergency.Texts
	now      func() time.Time
	log      *slog.Logger

	seen    *seen
	streams atomic.Pointer[streams]
	ready   chan struct{}
	// writing lets one edit at a time at the directory, so that those of one gate don't conflict.
	writing *semaphore.Weighted
	posture atomic.Pointer[picture]
	guards  *guards.Service
	doors   *door.Service
	haproxy func() (net.Listener, error) // nil: nowhere
}

// streams are what the gate writes to; it may not read CREDENTIAL.
type streams struct{ directory, credentials *journal.Stream }

// New answers the service; Run starts it.
func New(c Config, d Deps) *Service {
	s := &Service{
		journal: d.Journal, watch: d.Watch, acts: d.Acts, users: d.Users, bastions: d.Bastions, enforce: d.Enforce, drive: d.Drive, attempts: d.Attempts,
		sealer: c.Sealer, texts: c.Texts, now: d.Now, log: d.Log, seen: newSeen(), writing: semaphore.NewWeighted(1),
		ready: make(chan struct{}), haproxy: c.HAProxy,
		guards: guards.New(guards.Deps{Watch: d.Watch, Beat: d.Journal.Beat, Instance: d.Instance, Now: d.Now, Log: d.Log}),
		doors:  door.New(door.Deps{View: d.Watch, Stale: d.Watch.Stale, Practise: d.Watch.Practise, Texts: c.Texts, Attempts: d.Attempts, Now: d.Now}),
	}
	d.Watch.Tap(watch.Directory, s.seen.directory)
	d.Watch.Tap(watch.Identity, s.seen.identity)
	return s
}

// Register offers the service's RPCs.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	gatev1.RegisterAccessServer(r, s)
	gatev1.RegisterPostureServer(r, s)
	gatev1.RegisterDevicesServer(r, s)
	gatev1.RegisterAccessGroupsServer(r, s)
	gatev1.RegisterDirectoryServer(r, s)
	gatev1.RegisterGuardsServer(r, s.guards)
	gatev1.RegisterDoorsServer(r, s.doors)
	s.doors.RegisterEnvoy(r)
}

// Run tells what the gate holds, finishes imports that are committed, and takes deleted users out of
// their groups, until the context ends.
func (s *Service) Run(ctx context.Context) error {
	directory, err := s.journal.Stream(ctx, watch.Directory)
	if err != nil {
		return fmt.Errorf("opening the directory: %w", err)
	}
	credentials, err := s.journal.Stream(ctx, "CREDENTIAL")
	if err != nil {
		return fmt.Errorf("opening the credentials: %w", err)
	}
	s.streams.Store(&streams{directory, credentials})
	close(s.ready)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.enforce(ctx) })
	if s.drive != nil {
		g.Go(func() error { return s.drive(ctx) })
	}
	g.Go(func() error { return s.tidy(ctx) })
	g.Go(func() error { return s.guards.Run(ctx) })
	g.Go(func() error { return s.attempts.Run(ctx) })
	g.Go(func() error { return s.answerHAProxy(ctx) })
	return g.Wait()
}

func (s *Service) answerHAProxy(ctx context.Context) error {
	if s.haproxy == nil {
		return nil
	}
	l, err := s.haproxy()
	if err != nil {
		return err
	}
	return (&spop.Agent{Answer: s.doors.HAProxy, Log: s.log}).Serve(ctx, l)
}

// Ready is closed once the directory can be edited; decisions are made before.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// opened answers the streams, once they are.
func (s *Service) opened() (*streams, error) {
	if opened := s.streams.Load(); opened != nil {
		return opened, nil
	}
	return nil, fault.New(fault.Unavailable, "The gate is still starting. Try again in a moment")
}

func (s *Service) snapshot() *emergency.Snapshot { return s.watch.State().Emergency }
