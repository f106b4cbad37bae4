// Package watch keeps a service's view of the journal: it folds EMERGENCY, IDENTITY and, where asked,
// DIRECTORY into one State, which never changes and is replaced as a whole. Every door decides on the
// State that it holds; none asks another service before it refuses.
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"portcullis.dev/pkg/age"
	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/who"
)

// The streams that are watched.
const (
	Emergency = "EMERGENCY"
	Identity  = "IDENTITY"
	Directory = "DIRECTORY"
)

// State is what a service knows at one moment. It never changes.
type State struct {
	Emergency *emergency.Snapshot
	Who       *who.View
	// Fresh is false while some stream can't be followed: what happened since is not known.
	Fresh bool
	// Since is when Fresh last changed.
	Since time.Time
	// hold is when the newest emergency in it took hold.
	hold *hold
}

// Config is what a Watcher needs.
type Config struct {
	Journal *journal.Journal
	// Trust are the keys that may sign entries of EMERGENCY.
	Trust audit.Keys
	// Directory asks for DIRECTORY too.
	Directory bool
	// Holds is the folder where holds outlive the process; empty for none.
	Holds string
	// Memory is the file by which what is known outlives the process, and MemoryKey proves that it is this service's; none if empty.
	Memory    string
	MemoryKey []byte
	// Staleness is what the service does with a view that may be old; by itself it goes on, and calls one stale after 5 s.
	Staleness Staleness
	Now       func() time.Time
	// Boot is how long the machine has been on; nil asks it.
	Boot func() time.Duration
	Log  *slog.Logger
	// Trace makes a span of each State that takes in what is traced; nil makes none.
	Trace *telemetry.Tracer
}

// Watcher follows the journal for one service.
type Watcher struct {
	config Config
	taps   map[string]func(journal.Entry) error
	state  atomic.Pointer[State]
	ready  chan struct{}
	dirty  chan struct{}
	// recalled is closed once State is what the memory had.
	recalled chan struct{}
	clock    *age.Clock
	proven   atomic.Pointer[age.Moment]
	memory   *memory       // nil for none
	came     atomic.Uint64 // entries
	practice practice      // what a drill would have refused

	mu          sync.Mutex // guards all below
	forgotten   bool       // it has been said that nothing is known
	sighted     sighting
	proofs      []proof
	whole       map[string]uint64 // what the State has of each stream of the journal as it is now
	fold        *fold
	holds       map[string]*emergencyv1.Emergency // those that the journal does not have
	stale       map[string]bool
	since       time.Time
	published   map[string]uint64
	coming      []map[string][]string // headers of the entries of EMERGENCY that the next State takes in
	waiting     map[chan struct{}]struct{}
	subscribers map[chan struct{}]struct{}
}

// New answers a watcher that Run starts.
func New(c Config) *Watcher {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Staleness.Bound == 0 {
		c.Staleness.Bound = Bound
	}
	w := &Watcher{
		clock: &age.Clock{Wall: c.Now, Boot: c.Boot}, recalled: make(chan struct{}), whole: map[string]uint64{},
		config: c, holds: map[string]*emergencyv1.Emergency{}, taps: map[string]func(journal.Entry) error{}, ready: make(chan struct{}), dirty: make(chan struct{}, 1),
		stale: map[string]bool{}, published: map[string]uint64{},
		waiting: map[chan struct{}]struct{}{}, subscribers: map[chan struct{}]struct{}{},
	}
	w.keptHolds()
	if c.Memory != "" {
		w.memory = newMemory(c.Memory, c.MemoryKey, c.Log)
	}
	return w
}

// Tap adds a service's own fold of a stream: called for each entry, in order, before the State that
// includes it is published. It is for use before Run.
func (w *Watcher) Tap(stream string, fn func(journal.Entry) error) { w.taps[stream] = fn }

// Ready is closed once the whole journal has been read for the first time.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// State is the latest; nil before Ready.
func (w *Watcher) State() *State { return w.state.Load() }

// Recalled is closed if the journal was not there, and the State is what this process's last life knew.
func (w *Watcher) Recalled() <-chan struct{} { return w.recalled }

// Bound is how old a view may be, where nobody says otherwise.
const Bound = 5 * time.Second

// anew is how long a watcher waits before it tries a journal anew that it could not follow.
const anew = 200 * time.Millisecond

// Run follows the journal until the context ends. A journal that is not the one it was (a restore, a
// broken disk) is read anew, and what was on before stays on; one that is not whole yet is awaited. Only
// one that would lose entries is an error.
func (w *Watcher) Run(ctx context.Context) error {
	var looking sync.WaitGroup
	looking.Go(func() { w.lookOut(ctx) })
	looking.Go(func() { w.memory.run(ctx) })
	defer looking.Wait()
	for {
		err := w.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, journal.ErrUnsafe):
			return err
		case errors.Is(err, errAway):
			w.recall(ctx)
			continue
		case errors.Is(err, journal.ErrDiverged):
			w.config.Log.ErrorContext(ctx, "the journal is not the one that was followed; reading it anew, and keeping what was on", "error", err)
		default:
			w.config.Log.ErrorContext(ctx, "the journal can't be followed; trying again", "error", err)
		}
		select {
		case <-time.After(anew):
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *Watcher) follow(ctx context.Context) error {
	w.mu.Lock()
	w.begin()
	w.memory.begin()
	for _, e := range w.holds {
		if w.config.Now().Before(e.GetEndTime().AsTime()) {
			w.fold.hold(e)
		}
	}
	w.mu.Unlock()
	g, ctx := errgroup.WithContext(ctx)
	names := w.streams()
	read := make(chan string, len(names))
	for _, name := range names {
		g.Go(func() error { return w.stream(ctx, name, func() { read <- name }) })
	}
	g.Go(func() error { return w.publish(ctx, read, len(names)) })
	if w.memory != nil && w.State() == nil {
		g.Go(func() error { return w.despair(ctx) })
	}
	err := g.Wait()
	w.lose()
	return err
}

// begin starts the fold over: nothing is known of this journal yet. The lock is held.
func (w *Watcher) begin() {
	w.fold = newFold(w.config, w.fold)
	w.whole = map[string]uint64{}
}

// lose makes what is known count as stale until the journal is followed again.
func (w *Watcher) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.state.Load()
	if before == nil || !before.Fresh {
		return
	}
	state := *before
	state.Fresh, state.Since = false, w.config.Now()
	w.state.Store(&state)
	w.nudge()
}

func (w *Watcher) stream(ctx context.Context, name string, done func()) error {
	stream, err := w.config.Journal.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	err = stream.Watch(ctx, journal.WatchConfig{
		Entry: func(e journal.Entry) error { return w.entry(name, e) },
		Ready: done,
		Fresh: func(fresh bool) { w.fresh(name, fresh) },
	})
	if err != nil {
		return fmt.Errorf("following %s: %w", name, err)
	}
	return nil
}

func (w *Watcher) entry(name string, e journal.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.came.Add(1)
	w.memory.add(name, e)
	w.take(name, e)
	return nil
}

// take folds an entry. The lock is held.
func (w *Watcher) take(name string, e journal.Entry) {
	ctx := telemetry.From(context.Background(), e.Header)
	if err := w.fold.put(name, e); err != nil {
		w.config.Log.ErrorContext(ctx, "an entry was refused", "stream", name, "sequence", e.Sequence, "subject", e.Subject, "error", err)
	}
	for id := range w.holds {
		if w.fold.recorded[id] {
			w.onRecord(id)
		}
	}
	if tap := w.taps[name]; tap != nil {
		if err := tap(e); err != nil {
			w.config.Log.ErrorContext(ctx, "an entry was not understood", "stream", name, "sequence", e.Sequence, "subject", e.Subject, "error", err)
		}
	}
	if name == Emergency && e.Header != nil && w.state.Load() != nil && len(w.coming) < tracedMost {
		w.coming = append(w.coming, e.Header)
	}
	w.touch()
}

// tracedMost is how many entries one State is told of in traces and logs.
const tracedMost = 16

func (w *Watcher) fresh(name string, fresh bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stale[name] == !fresh {
		return
	}
	w.stale[name], w.since = !fresh, w.config.Now()
	w.touch()
}

func (w *Watcher) touch() {
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}

// publish replaces the State whenever something was folded, once for all that came meanwhile, from when
// all streams have been read on.
func (w *Watcher) publish(ctx context.Context, read <-chan string, streams int) error {
	for range streams {
		select {
		case <-read:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.memory.all()
	for {
		if err := w.replace(); err != nil {
			return err
		}
		select {
		case <-w.dirty:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *Watcher) replace() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	ctx, span := w.config.Trace.TakeAll(context.Background(), "hold "+Emergency, Emergency, w.coming)
	defer span.End()
	state, err := w.fold.state(w.config.Now())
	if err != nil {
		return err
	}
	state.Fresh, state.Since = true, w.since
	state.hold = w.state.Load().next(w.fold.emergencies, w.config.Now())
	for _, stale := range w.stale {
		state.Fresh = state.Fresh && !stale
	}
	for name, sequence := range w.fold.held {
		w.published[name], w.whole[name] = sequence, sequence
	}
	if w.state.Swap(state) == nil {
		close(w.ready)
	}
	w.prove()
	if w.coming != nil {
		w.coming = nil
		w.config.Log.DebugContext(ctx, "what is on is held", "revision", state.Emergency.Revision().String())
	}
	w.nudge()
	return nil
}

// nudge tells everyone who waits that the State is another. The lock is held.
func (w *Watcher) nudge() {
	for _, set := range []map[chan struct{}]struct{}{w.subscribers, w.waiting} {
		for c := range set {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}
