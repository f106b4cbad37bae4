package gate

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/access-gate/driver"
	"portcullis.dev/services/internal/attempt"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/internal/watch"
)

// Config is what the gate must be told.
type Config struct {
	// Sealer seals device credentials for the bastion.
	Sealer seal.Sealer
	Texts  emergency.Texts
}

// Deps is what the gate works with.
type Deps struct {
	Journal  *journal.Journal
	Watch    *watch.Watcher
	Acts     emergencyv1.ActsClient
	Users    identityv1.DoorsClient
	Bastions sessionv1.BastionsClient
	// Enforce tells what this gate holds, until the context ends.
	Enforce func(ctx context.Context) error
	// Drive keeps other products as the emergencies are, until the context ends. Optional.
	Drive func(ctx context.Context) error
	// Attempts is told who was refused, and run. Optional.
	Attempts *attempt.Recorder
	Now      func() time.Time
	Log      *slog.Logger
}

// Settings are the gate's own configuration.
type Settings = driver.Settings

// Entry is the gate as a process knows it.
func Entry() run.Entry {
	return run.Entry{Name: "access-gate", Start: Start, Config: driver.Defaults(), Vital: true, Directory: true}
}

// Start makes the service out of its host.
func Start(_ context.Context, h *run.Host) (run.Service, error) {
	var settings Settings
	if err := h.Decode(&settings); err != nil {
		return nil, fmt.Errorf("reading the gate's configuration: %w", err)
	}
	cluster, err := driver.New(settings, driver.Deps{
		View: h.Watch, Texts: h.Texts, Instance: h.Instance, Boot: h.Boot, Beat: h.Journal.Beat, Now: h.Now, Log: h.Log})
	if err != nil {
		return nil, err
	}
	sealer, err := h.Keys.Sealer()
	if err != nil {
		return nil, fmt.Errorf("reading the key that seals credentials: %w", err)
	}
	control, err := h.Dial("emergency-control")
	if err != nil {
		return nil, err
	}
	identity, err := h.Dial("identity")
	if err != nil {
		return nil, err
	}
	bastion, err := h.Dial("bastion")
	if err != nil {
		return nil, err
	}
	attempts, err := attempt.New(attempt.Deps{Journal: h.Journal, Metrics: h.Metrics, Instance: h.Instance, Now: h.Now, Log: h.Log})
	if err != nil {
		return nil, err
	}
	return New(Config{Sealer: sealer, Texts: h.Texts}, Deps{
		Journal: h.Journal, Watch: h.Watch, Now: h.Now, Log: h.Log, Attempts: attempts, Drive: cluster.Run,
		Enforce: func(ctx context.Context) error { return h.Enforce(ctx, nil) },
		Acts:    emergencyv1.NewActsClient(control), Users: identityv1.NewDoorsClient(identity), Bastions: sessionv1.NewBastionsClient(bastion),
	}), nil
}
