package control

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/emergency-control/checkpoint"
	"portcullis.dev/services/emergency-control/measure"
	"portcullis.dev/services/emergency-control/ticket"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/run"
	"portcullis.dev/services/internal/watch"
)

// Config is what control must be told.
type Config struct {
	// Key signs entries of EMERGENCY; Trust verifies them, this key's among them.
	Key   ed25519.PrivateKey
	Trust audit.Keys
	// Apart is for how long nobody is approved by whom they gave the means to act.
	Apart time.Duration
	// Product is noted in the first entry.
	Product string
	// Checkpoints says how they are signed and published; without a key, by that of entries.
	Checkpoints checkpoint.Config
}

// Settings are the service's own configuration.
type Settings struct {
	Checkpoints checkpoint.Settings `koanf:",squash,flatten"`
	Tickets     ticket.Config       `koanf:",squash,flatten"`
	Apart       time.Duration       `koanf:"approver-min-age" help:"for how long somebody can't approve what is asked for by whoever gave them the role, a password or an MFA; if that was before they became an administrator, it counts from then"`
}

// Entry is the service as a process knows it.
func Entry() run.Entry {
	return run.Entry{Name: rpc.Control, Start: Start, Vital: true, Directory: true, Config: defaults()}
}

// Deps is what control works with.
type Deps struct {
	Journal  *journal.Journal
	Watch    *watch.Watcher
	Sessions sessionv1.SessionsClient
	Identity identityv1.DoorsClient
	Outbox   notificationv1.OutboxClient
	// Doors are the processes that holds are pushed to.
	Doors func(ctx context.Context) []run.Door
	// Texts has the product's name and the zone of the times that people read.
	Texts emergency.Texts
	// Tickets is where governance codes are looked up.
	Tickets *ticket.Desk
	// Instance tells this replica from the others.
	Instance string
	Now      func() time.Time
	Log      *slog.Logger
}

func defaults() Settings {
	return Settings{Checkpoints: checkpoint.Defaults(), Tickets: ticket.Defaults(), Apart: 24 * time.Hour}
}

// Start makes the service out of its host.
func Start(_ context.Context, h *run.Host) (run.Service, error) {
	c, err := configOf(h)
	if err != nil {
		return nil, err
	}
	settings := defaults()
	if err := h.Decode(&settings); err != nil {
		return nil, fmt.Errorf("reading emergency-control's configuration: %w", err)
	}
	c.Apart = settings.Apart
	tickets, err := ticket.New(settings.Tickets, h.Log)
	if err != nil {
		return nil, err
	}
	if err := c.publish(h, settings.Checkpoints); err != nil {
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
	notifier, err := h.Dial("notifier")
	if err != nil {
		return nil, err
	}
	s := New(c, Deps{
		Journal: h.Journal, Watch: h.Watch, Instance: h.Instance, Now: h.Now, Log: h.Log, Doors: h.Doors, Tickets: tickets,
		Sessions: sessionv1.NewSessionsClient(broker), Identity: identityv1.NewDoorsClient(identity),
		Outbox: notificationv1.NewOutboxClient(notifier), Texts: h.Texts,
	})
	if err := h.Metrics.Register(s.condition); err != nil {
		return nil, fmt.Errorf("measuring whether the journal takes anything: %w", err)
	}
	s.receipts.Measure, err = measure.New(h.Metrics, s.receipts.Stale, s.receipts.Ages, s.missing)
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

// publish reads how checkpoints are signed, and where they go.
func (c *Config) publish(h *run.Host, s checkpoint.Settings) (err error) {
	c.Checkpoints, err = checkpoint.ConfigOf(h.Keys, s, h.Log)
	c.Checkpoints.Instance = h.Instance
	return err
}

// Note writes what is about to be done on the host to the record, while the service itself does not run.
func Note(ctx context.Context, h *run.Host, a HostAct) error {
	c, err := configOf(h)
	if err != nil {
		return err
	}
	return note(ctx, c, h.Journal, h.Now, h.Log, a)
}

// HostAct is what whoever runs the host does there, while nothing else runs and nobody can be asked.
type HostAct struct {
	// Kind is for instance "user.recover", Target the name of what is acted on.
	Kind, Target string
	// Actor is who, as the host knows them.
	Actor         string
	Justification string
}

// Restoration is a record that was put back from a backup, as it ended there.
type Restoration struct {
	Key             ed25519.PrivateKey
	Epoch, Sequence uint64
	Hash            []byte
	// Taken is when the backup was begun, Now when it is put back.
	Taken, Now time.Time
	// Actor is who put it back, as the host knows them.
	Actor         string
	Justification string
}

// Restored is the entry that comes behind such a record before anybody reads it. It starts a new epoch: what was
// admitted under a revision that is lost is below every cut that is still to come.
func Restored(r Restoration) (journal.Message, error) {
	entry := &emergencyv1.Entry{
		Epoch: max(r.Epoch+1, uint64(r.Now.Unix())), Sequence: r.Sequence + 1, PreviousHash: r.Hash, Time: timestamppb.New(r.Now),
		Subject: fmt.Sprintf("emergency.restored.R-%04d", r.Sequence+1), Change: emergencyv1.Entry_RESTORED,
		Actor: r.Actor, Justification: r.Justification,
		Record: &emergencyv1.Entry_Restore{Restore: &emergencyv1.Restore{BackupTime: timestamppb.New(r.Taken)}},
	}
	stored, err := audit.Seal(entry, r.Key)
	return journal.Message{Subject: entry.GetSubject(), Data: stored}, err
}

// note writes the act to the record before it is done: what a host's owner does is no secret either.
func note(ctx context.Context, c Config, j *journal.Journal, now func() time.Time, log *slog.Logger, a HostAct) error {
	stream, err := j.Stream(ctx, watch.Emergency)
	if err != nil {
		return fmt.Errorf("opening the record: %w", err)
	}
	l := newLedger(c, now, log)
	g, ctx := errgroup.WithContext(ctx)
	following, stop := context.WithCancel(ctx)
	g.Go(func() error {
		if err := l.run(following, stream); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		defer stop()
		select {
		case <-l.ready:
		case <-following.Done():
			return following.Err()
		}
		if err := l.begin(ctx); err != nil {
			return err
		}
		_, err := l.append(ctx, a.draft)
		return err
	})
	return g.Wait()
}

func (a HostAct) draft(next uint64) ([]*emergencyv1.Entry, error) {
	return []*emergencyv1.Entry{{
		Subject: fmt.Sprintf("emergency.act.A-%04d", next), Change: emergencyv1.Entry_ACT, Actor: a.Actor, Justification: a.Justification,
		Record: &emergencyv1.Entry_Act{Act: &emergencyv1.Act{Kind: a.Kind, Target: a.Target, Detail: "on the host"}},
	}}, nil
}
