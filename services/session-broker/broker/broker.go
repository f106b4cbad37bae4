// Package broker is where session hosts join. It tells each of them the desired state: every cut that
// may still concern a session; and it keeps what they say of their sessions: in memory for those that
// are attached here, in an index for all, and on record in the stream SESSION.
//
// Nothing that is stored stands in the way of ending: the index and the record are written behind, and
// what can't be written is written later. A connector that is silent is unreachable, and what it holds is
// never called ended before the connector says so.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/crowd"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/session-broker/registry"
)

const (
	// silence is how long a connector may be quiet before what it does is not known.
	silence = 3 * time.Second
	pulse   = 500 * time.Millisecond
	batch   = 128 // ids in a message
)

// View is what is known of emergencies and people: a *watch.Watcher.
type View interface {
	State() *watch.State
	Subscribe() (changed <-chan struct{}, stop func())
}

// Pulse carries receipts: a *journal.Journal.
type Pulse interface {
	Beat(subject string, data []byte) error
	Beats(ctx context.Context, subject string, fn func(subject string, data []byte)) error
}

// Records is the stream SESSION.
type Records interface {
	AppendBatch(context.Context, []journal.Message) (uint64, error)
	Last(ctx context.Context, subject string) (journal.Entry, error)
	Watch(context.Context, journal.WatchConfig) error
}

// Config is what the broker must be told.
type Config struct {
	// Instance tells this replica from the others.
	Instance string
	Texts    emergency.Texts
	Now      func() time.Time
	// FoldAfter is for how long each connector is told of by itself, even of many: until an upgrade has reached whoever knows no
	// other way.
	FoldAfter time.Duration
}

// Deps is what the broker works with.
type Deps struct {
	View  View
	Pulse Pulse
	// Records opens the stream SESSION.
	Records func(context.Context) (Records, error)
	Store   registry.Store
	Index   registry.Index
	// Tell adds to a beat how fresh the View is. Optional.
	Tell func(*emergencyv1.Beat)
	Log  *slog.Logger
	// Trace makes a span of what connectors say has ended by what is traced; nil makes none.
	Trace *telemetry.Tracer
}

// Broker is the service.
type Broker struct {
	sessionv1.UnimplementedSessionsServer
	sessionv1.UnimplementedConnectorsServer
	config  Config
	deps    Deps
	boot    string
	cuts    *resolver
	traces  *traces
	record  *recorder
	index   *indexer
	orders  *orders // to end
	history *history
	crowd   *crowd.Crowd // of connectors

	suspensions *orders // to hold, or to let go on

	records atomic.Pointer[Records] // nil until the journal is there

	mu    sync.Mutex
	hosts map[string]*host
}

// New answers a broker that Run starts.
func New(c Config, d Deps) (*Broker, error) {
	if c.Instance == "" || d.View == nil || d.Pulse == nil || d.Records == nil || d.Store == nil || d.Index == nil {
		return nil, errors.New("making a broker: something that it works with is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if d.Tell == nil {
		d.Tell = func(b *emergencyv1.Beat) { b.Mode = emergencyv1.Enforcer_BEST_EFFORT }
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{config: c, deps: d, boot: newBoot(), hosts: map[string]*host{}, cuts: newResolver(c.Now), traces: &traces{of: map[string]string{}}, orders: newOrders(), history: newHistory(), suspensions: newOrders()}
	b.record = newRecorder(d.Log)
	b.crowd = crowd.New(crowd.Config{Service: serviceHosts, Instance: c.Instance, After: c.FoldAfter, Beat: d.Pulse.Beat, Log: d.Log})
	b.index = newIndexer(d.Store, c.Now, d.Log)
	return b, nil
}

// Register adds what the broker serves.
func (b *Broker) Register(r grpc.ServiceRegistrar) {
	sessionv1.RegisterSessionsServer(r, b)
	sessionv1.RegisterConnectorsServer(r, b)
}

// Run blocks until the context ends.
func (b *Broker) Run(ctx context.Context) error {
	b.recall(ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.followView(ctx) })
	g.Go(func() error { return b.followPeople(ctx) })
	g.Go(func() error { return b.beat(ctx) })
	g.Go(func() error { return b.crowd.Run(ctx) })
	g.Go(func() error { return b.hearOthers(ctx) })
	g.Go(func() error { return b.keepRecords(ctx) })
	g.Go(func() error { return b.index.run(ctx, b.attached) })
	g.Go(func() error { return b.sweep(ctx) })
	return g.Wait()
}

// keepRecords waits for the journal, while everything else goes on.
func (b *Broker) keepRecords(ctx context.Context) error {
	records, err := b.deps.Records(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the stream SESSION: %w", err)
	}
	b.records.Store(&records)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.followOrders(ctx, records) })
	g.Go(func() error { return b.record.run(ctx, records) })
	g.Go(func() error { return b.followHistory(ctx, records) })
	g.Go(func() error { return b.keepHistory(ctx, records) })
	return g.Wait()
}

// followView gives every connector its new desired state at each change of what is known.
func (b *Broker) followView(ctx context.Context) error {
	changed, stop := b.deps.View.Subscribe()
	defer stop()
	for {
		for _, h := range b.all() {
			h.restand()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
		b.beatOwn()
	}
}

// followPeople ends, at each change of what is known, the sessions of those who were disabled or removed.
// It is behind what emergencies end.
func (b *Broker) followPeople(ctx context.Context) error {
	changed, stop := b.deps.View.Subscribe()
	defer stop()
	for pause(ctx, judgeGather) {
		for _, h := range b.all() {
			b.judge(h)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// host answers what is known of a connector, making room for one that is new.
func (b *Broker) host(id string) *host {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.hosts[id]
	if h == nil {
		h = newHost(id)
		b.hosts[id] = h
		b.crowd.Add(1)
	}
	return h
}

func (b *Broker) known(id string) *host {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hosts[id]
}

func (b *Broker) all() []*host {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*host, 0, len(b.hosts))
	for _, h := range b.hosts {
		all = append(all, h)
	}
	return all
}

// attached are the connectors that this replica speaks for.
func (b *Broker) attached() []*host {
	var here []*host
	for _, h := range b.all() {
		if h.attachedHere() {
			here = append(here, h)
		}
	}
	return here
}

// sweep forgets, once a minute, what nobody has vouched for in a day.
func (b *Broker) sweep(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := b.deps.Index.Sweep(ctx, b.config.Now().Add(-registry.Kept)); err != nil && ctx.Err() == nil {
			b.deps.Log.WarnContext(ctx, "the index could not be swept", "error", err)
		}
		b.forget()
	}
}

func (b *Broker) forget() {
	long := b.config.Now().Add(-registry.Kept)
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, h := range b.hosts {
		if h.lastHeard().Before(long) {
			delete(b.hosts, id)
			b.crowd.Add(-1)
		}
	}
}
