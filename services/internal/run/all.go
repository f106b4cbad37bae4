package run

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/telemetry"
)

const (
	againAfter = 100 * time.Millisecond // a part that is not vital starts again; the wait doubles
	againMost  = 30 * time.Second
	steady     = time.Minute // after which a failure counts as the first again
)

// All runs all these services in this process, with the journal, until the context ends or a vital one
// fails. It calls ready once, when all are there.
func All(ctx context.Context, entries []Entry, s *Settings, ready func()) error {
	log, err := newLog(os.Stderr, s.process)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	g, server, err := open(ctx, s, log, names, newHealth(names, ready))
	if err != nil {
		return err
	}
	defer g.export.Close()
	defer server.Shutdown()
	defer roomy()()
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return lasting(ctx, "keeping the journal", server.Run) })
	parts.Go(func() error { return g.doorstep.serve(ctx, s.values.String("data")) })
	for _, e := range entries {
		parts.Go(func() error { return g.supervise(ctx, e) })
	}
	return parts.Wait()
}

// supervise starts a service again when it fails, unless it is vital.
func (g *ground) supervise(ctx context.Context, e Entry) error {
	for wait := againAfter; ; wait = min(2*wait, againMost) {
		began := time.Now()
		err := g.life(ctx, e)
		if ctx.Err() != nil || e.Vital {
			return err
		}
		g.log.ErrorContext(ctx, "a service failed and starts again", "service", e.Name, "in", wait, "error", err)
		g.health.reached(e.Name) // the others don't wait for it
		if time.Since(began) > steady {
			wait = againAfter
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// Alone opens the data folder for one service, which must not be in use, and calls do when its view of
// the journal is complete: for what must be done on the host when nobody can sign in.
func Alone(ctx context.Context, e Entry, s *Settings, do func(context.Context, *Host) error) error {
	log, err := newLog(os.Stderr, s.process)
	if err != nil {
		return err
	}
	g, server, err := open(ctx, s, log, []string{e.Name}, newHealth(nil, nil))
	if err != nil {
		return err
	}
	defer server.Shutdown()
	h, leave, err := g.host(ctx, e)
	if err != nil {
		return err
	}
	defer leave()
	parts, following := errgroup.WithContext(ctx)
	following, stop := context.WithCancel(following)
	parts.Go(func() error { return lasting(following, "following the journal", h.Watch.Run) })
	parts.Go(func() error {
		defer stop()
		select {
		case <-h.Watch.Ready():
			return do(following, h)
		case <-following.Done():
			return ctx.Err()
		}
	})
	return parts.Wait()
}

// open starts the journal in the data folder and makes what is missing there: streams and keys.
func open(ctx context.Context, s *Settings, log *slog.Logger, names []string, h *health) (*ground, *local.Server, error) {
	own := together{}
	if err := s.Decode(&own); err != nil {
		return nil, nil, err
	}
	users, passwords, err := users(names)
	if err == nil {
		err = finished(own.Data)
	}
	if err != nil {
		return nil, nil, err
	}
	server, err := local.Start(local.Config{Dir: filepath.Join(own.Data, "nats"), Users: users, Log: log.With("service", "journal")})
	if err != nil {
		return nil, nil, fmt.Errorf("opening the data folder %s (is another process using it?): %w", own.Data, err)
	}
	export, err := telemetry.Open(ctx, os.Environ(), log)
	if err != nil {
		server.Shutdown()
		return nil, nil, err
	}
	instance := func(service string) string { return service + "-1" }
	connect := func(ctx context.Context, name string) (*journal.Journal, error) {
		return journal.Connect(ctx, journal.Config{InProcess: server.InProcess(), User: name, Password: passwords[name], Name: name, Log: log.With("service", name),
			Trace: export.Of(name, instance(name))})
	}
	if err := errors.Join(create(ctx, connect, 1), seal.Create(filepath.Join(own.Data, "keys"))); err != nil {
		server.Shutdown()
		return nil, nil, err
	}
	pipes := rpc.NewPipes()
	return &ground{
		settings: s, log: log, export: export, registry: newRegistry(), health: h, keys: seal.Open(filepath.Join(own.Data, "keys")),
		credentials: pipes.Credentials(), instance: instance,
		journal: connect, dial: func(from, to string) (*grpc.ClientConn, error) {
			return pipes.Dial(from, to, export.Of(from, instance(from)).DialOptions()...)
		},
		replicas: func(context.Context, string) []string { return []string{""} },
		doorstep: keeper(own.Data, connect),
		holds:    func(service string) string { return filepath.Join(own.Data, "holds", service) },
		memory:   func(string) (string, []byte, error) { return "", nil, nil },
		listen:   func(service string) (net.Listener, error) { return pipes.Listen(service), nil },
	}, server, nil
}

// users gives each service, and those who make the streams and take backups, a credential of this life of the process.
func users(names []string) (all []local.User, passwords map[string]string, err error) {
	passwords = map[string]string{bootstrap: rand.Text(), backup: rand.Text()}
	publish, subscribe := journal.BootstrapGrants(bootstrap)
	all = append(all, local.User{Name: bootstrap, Password: passwords[bootstrap], Publish: publish, Subscribe: subscribe})
	publish, subscribe = journal.BackupGrants(backup)
	all = append(all, local.User{Name: backup, Password: passwords[backup], Publish: publish, Subscribe: subscribe})
	for _, name := range names {
		may, err := rights(name)
		if err != nil {
			return nil, nil, err
		}
		passwords[name] = rand.Text()
		publish, subscribe := may.grants(name)
		all = append(all, local.User{Name: name, Password: passwords[name], Publish: publish, Subscribe: subscribe})
	}
	return all, passwords, nil
}

// create makes the streams, as the one credential that may.
func create(ctx context.Context, connect func(context.Context, string) (*journal.Journal, error), replicas int) error {
	j, err := connect(ctx, bootstrap)
	if err != nil {
		return err
	}
	defer j.Close()
	return journal.Create(ctx, j, append(journal.Streams(replicas), journal.Beacons(replicas)))
}
