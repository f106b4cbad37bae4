package control

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"time"

	"portcullis.dev/pkg/audit"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/emergency-control/measure"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/watch"
)

// Config is what control must be told.
type Config struct {
	// Key signs entries of EMERGENCY; Trust verifies them, this key's among them.
	Key   ed25519.PrivateKey
	Trust audit.Keys
	// Product is noted in the first entry.
	Product string
}

// Deps is what control works with.
type Deps struct {
	Journal  *journal.Journal
	Watch    *watch.Watcher
	Sessions sessionv1.SessionsClient
	Identity identityv1.DoorsClient
	// Doors are the processes that holds are pushed to.
	Doors func(ctx context.Context) []run.Door
	Now   func() time.Time
	Log   *slog.Logger
}

// Start makes the service out of its host.
func Start(_ context.Context, h *run.Host) (run.Service, error) {
	c, err := configOf(h)
	if err != nil {
		return nil, err
	}
	broker, err := h.Dial("session-broker")
	if err != nil {
		return nil, err
	}
	identity, err := h.Dial("identity")
	if err != nil {
		return nil, err
	}
	s := New(c, Deps{
		Journal: h.Journal, Watch: h.Watch, Now: h.Now, Log: h.Log, Doors: h.Doors,
		Sessions: sessionv1.NewSessionsClient(broker), Identity: identityv1.NewDoorsClient(identity),
	})
	s.receipts.measure, err = measure.New(h.Metrics, s.receipts.stale)
	return s, err
}

func configOf(h *run.Host) (Config, error) {
	key, err := h.Keys.EntrySigner()
	if err != nil {
		return Config{}, fmt.Errorf("reading the key that signs entries: %w", err)
	}
	trust, err := h.Keys.Trust()
	if err != nil {
		return Config{}, fmt.Errorf("reading the trust root: %w", err)
	}
	return Config{Key: key, Trust: trust, Product: h.Texts.Product}, nil
}

// Note writes what is about to be done on the host to the record, while the service itself does not run.
func Note(ctx context.Context, h *run.Host, a HostAct) error {
	c, err := configOf(h)
	if err != nil {
		return err
	}
	return note(ctx, c, h.Journal, h.Now, h.Log, a)
}
