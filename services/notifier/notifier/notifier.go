// Package notifier tells people what happened. It alone speaks SMTP, IMAP, POP3, SMS and webhooks, and holds their
// credentials. Nothing that ends a session or refuses one waits for it.
package notifier

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
	"portcullis.dev/services/notifier/hook"
	"portcullis.dev/services/notifier/outbox"
	"portcullis.dev/services/notifier/plan"
	"portcullis.dev/services/notifier/settings"
	"portcullis.dev/services/notifier/witness"
)

// Config is what the notifier must be told.
type Config struct {
	Texts emergency.Texts
	// Host stands behind the @ of each Message-ID.
	Host string
	// GiveUp is how old a delivery gets before it is given up.
	GiveUp time.Duration
	// Public is the address at which the outside reaches this platform, without a slash at its end; empty if nobody said.
	Public string
}

// Deps is what the notifier works with.
type Deps struct {
	Journal *journal.Journal
	// Box seals what the accounts sign in with.
	Box seal.Box
	// Open reads an entry of EMERGENCY that is signed with a key that holds: one of those there were to begin with, or that
	// followed them.
	Open   func(sequence uint64, subject string, stored []byte) (*emergencyv1.Entry, error)
	People plan.People
	Access plan.Access
	Hooks  *hook.Poster
	// Control signs the checkpoints that mails of the emergency panel carry; nil: they carry none.
	Control witness.Control
	Holds   func(ctx context.Context, permission string) bool
	Metrics prometheus.Registerer
	Now     func() time.Time
	Log     *slog.Logger
}

// Notifier is the service.
type Notifier struct {
	*desk
	notificationv1.UnimplementedOutboxServer
	notificationv1.UnimplementedInboxServer
	notificationv1.UnimplementedEventsServer

	config Config
	deps   Deps
	book   *settings.Book
	rounds *rounds
	newest *witness.Witness
	open   atomic.Pointer[parts]
	ready  chan struct{}
}

// parts are what there is once the journal could be reached.
type parts struct {
	box     *outbox.Box
	planner *plan.Planner
	events  *journal.Stream
}

// New answers a notifier; Run starts it.
func New(c Config, d Deps) *Notifier {
	n := &Notifier{config: c, deps: d, rounds: newRounds(), newest: witness.New(d.Control, d.Now, d.Log), ready: make(chan struct{}),
		book: settings.New(settings.Deps{Journal: d.Journal, Box: d.Box, Log: d.Log})}
	n.desk = newDesk(deskDeps{
		Book: n.book, Contacts: d.People, Hooks: d.Hooks, Status: n.status, Reading: n.rounds.reading,
		Public: c.Public, Texts: c.Texts, Holds: d.Holds, Now: d.Now,
	})
	if d.Metrics != nil {
		d.Metrics.Unregister(meter{n}) // that of the life before
		d.Metrics.MustRegister(meter{n})
	}
	return n
}

var _ contacts = identityv1.DoorsClient(nil)

// Register adds what it serves.
func (n *Notifier) Register(to grpc.ServiceRegistrar) {
	notificationv1.RegisterNotificationsServer(to, n)
	notificationv1.RegisterSmtpAccountsServer(to, n)
	notificationv1.RegisterMailboxesServer(to, n)
	notificationv1.RegisterSmsServer(to, n)
	notificationv1.RegisterWebhooksServer(to, n)
	notificationv1.RegisterTemplatesServer(to, n)
	notificationv1.RegisterOutboxServer(to, n)
	notificationv1.RegisterInboxServer(to, n)
	notificationv1.RegisterEventsServer(to, n)
}

// Ready is closed once it can be asked for everything.
func (n *Notifier) Ready() <-chan struct{} { return n.ready }

// Run hears of what happens, plans who is told, and tells them, until the context ends.
func (n *Notifier) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.book.Run(ctx) })
	g.Go(func() error { return n.serve(ctx) })
	return g.Wait()
}

func (n *Notifier) serve(ctx context.Context) error {
	streams := map[string]*journal.Stream{}
	for _, name := range []string{"OUTBOX", "EVENT", "EMERGENCY"} {
		s, err := n.deps.Journal.Await(ctx, name)
		if err != nil {
			return orNil(ctx, err)
		}
		streams[name] = s
	}
	box := outbox.New(outbox.Config{Host: n.config.Host, GiveUp: n.config.GiveUp, Now: n.deps.Now}, outbox.Deps{Stream: streams["OUTBOX"], Log: n.deps.Log})
	o := &parts{box: box, events: streams["EVENT"], planner: plan.New(plan.Deps{
		Settings: n.book.Snapshot, People: n.deps.People, Access: n.deps.Access, Outbox: box, Texts: n.config.Texts, Now: n.deps.Now, Log: n.deps.Log,
	})}
	n.open.Store(o)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return box.Run(ctx) })
	g.Go(func() error {
		for _, ready := range []<-chan struct{}{n.book.Ready(), box.Ready()} {
			select {
			case <-ready:
			case <-ctx.Done():
				return nil
			}
		}
		close(n.ready)
		return n.work(ctx, o, streams["EMERGENCY"])
	})
	return orNil(ctx, g.Wait())
}

// work is what it does once it knows the settings and the outbox.
func (n *Notifier) work(ctx context.Context, o *parts, emergencies *journal.Stream) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return emergencies.Work(ctx, journal.WorkConfig{Name: "notifier", Do: n.hearEntries(o)}) })
	g.Go(func() error { return o.events.Work(ctx, journal.WorkConfig{Name: "notifier", Do: n.hearEvents(o)}) })
	g.Go(func() error { return n.followAttempts(ctx, o) })
	g.Go(func() error { return n.keepRounds(ctx, o) })
	g.Go(func() error { return n.sweep(ctx, o) })
	return g.Wait()
}

func orNil(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
