// Package outbox keeps everything that is to be said to somebody, and how saying it goes: what is queued is on
// disk before anybody is told, and what a server has confirmed is on disk before the next thing is said.
//
// The stream OUTBOX is the truth. A delivery is one entry under outbox.queue.<lane>.<bucket>.<id> and, once
// something became of it, the latest under outbox.row.<id>; every replica folds both into the same Box. A lane is
// what goes out by one account. Its queue is worked on by whichever replica is free, through a durable consumer for
// each bucket: what many contacts are told of one event stands in a bucket beside that of the next event.
//
// Whatever was handed out when a replica died is handed out again, with the same id: a message may then arrive
// twice, and is marked so, but none that was recorded as sent is ever sent again.
package outbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
)

const (
	subjectPlan  = "outbox.plan."
	subjectText  = "outbox.text."
	subjectQueue = "outbox.queue."
	subjectRow   = "outbox.row."

	keptFor    = 90 * 24 * time.Hour // as long as the stream keeps them
	pruneEvery = time.Hour
	idLength   = 15 // bytes of a hash
)

// Config is what an outbox must be told.
type Config struct {
	// Host stands behind the @ of each Message-ID.
	Host string
	// GiveUp is how old a delivery gets before it is given up; 0: a day.
	GiveUp time.Duration
	// Again is how long a delivery waits after its first attempt, Rest a lane after its server failed for the
	// first time; both grow. 0: 20 seconds, and one.
	Again, Rest time.Duration
	Now         func() time.Time
}

// Deps is what an outbox works with.
type Deps struct {
	// Stream is OUTBOX.
	Stream *journal.Stream
	Log    *slog.Logger
}

// Box is the outbox.
type Box struct {
	config Config
	stream *journal.Stream
	log    *slog.Logger
	ready  chan struct{}
	over   chan struct{} // closed once nobody folds any more
	texts  *texts

	mu      sync.RWMutex // guards all below
	at      uint64       // the last entry that was folded
	moved   chan struct{}
	rows    map[key]*row
	order   []*row // by age, oldest first
	early   map[key]progress
	plans   map[string]time.Time
	screens map[word]*screen
	words   *words
	shelf   []row
	lanes   map[string]*Lane
	counts  map[Count]int
	alerts  map[alert][]*row
}

// New answers an outbox that Run keeps.
func New(c Config, d Deps) *Box {
	c.GiveUp, c.Again, c.Rest = cmp.Or(c.GiveUp, 24*time.Hour), cmp.Or(c.Again, firstAgain), cmp.Or(c.Rest, firstRest)
	return &Box{
		config: c, stream: d.Stream, log: d.Log, ready: make(chan struct{}), over: make(chan struct{}), texts: newTexts(d.Stream),
		moved: make(chan struct{}), rows: map[key]*row{}, early: map[key]progress{}, plans: map[string]time.Time{},
		screens: map[word]*screen{}, words: newWords(), lanes: map[string]*Lane{}, counts: map[Count]int{}, alerts: map[alert][]*row{},
	}
}

// Run follows the stream until the context ends, once. A stream that is not the one it was is read anew.
func (b *Box) Run(ctx context.Context) error {
	defer close(b.over)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.follow(ctx) })
	g.Go(func() error { return b.forget(ctx) })
	return g.Wait()
}

func (b *Box) follow(ctx context.Context) error {
	var once sync.Once
	err := b.stream.Watch(ctx, journal.WatchConfig{
		Entry: b.fold,
		Ready: func() { once.Do(func() { close(b.ready) }) },
	})
	if errors.Is(err, journal.ErrDiverged) {
		return fmt.Errorf("the outbox is not the one that was followed: %w", err)
	}
	return err
}

// Ready is closed once all that was on record is known.
func (b *Box) Ready() <-chan struct{} { return b.ready }

// forget lets go of what the stream lets go of.
func (b *Box) forget(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.prune(b.config.Now().Add(-keptFor))
		case <-ctx.Done():
			return nil
		}
	}
}

// fold takes one entry. One that can't be read is passed over: it keeps nobody from the others.
func (b *Box) fold(e journal.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.take(e); err != nil {
		b.log.Error("an entry of the outbox can't be read", "subject", e.Subject, "sequence", e.Sequence, "error", err)
	}
	b.at = e.Sequence
	close(b.moved)
	b.moved = make(chan struct{})
	return nil
}

func (b *Box) take(e journal.Entry) error {
	if strings.HasPrefix(e.Subject, subjectText) {
		return nil // read when it is needed
	}
	if key, ok := strings.CutPrefix(e.Subject, subjectPlan); ok {
		b.plans[key] = e.Time
		return nil
	}
	if name, ok := strings.CutPrefix(e.Subject, subjectRow); ok {
		id, ok := keyOf(name)
		if !ok {
			return fmt.Errorf("%.60q is no delivery's id", name)
		}
		p := new(notificationv1.ProgressRecord)
		if err := proto.Unmarshal(e.Data, p); err != nil {
			return err
		}
		b.progressed(id, progress{p, e.Sequence})
		return nil
	}
	q := new(notificationv1.QueuedRecord)
	if err := proto.Unmarshal(e.Data, q); err != nil {
		return err
	}
	return b.queued(e, q)
}

// wait returns once the entry at a sequence has been folded, or nothing is folded any more: what was under way at
// the end of Run is on disk all the same.
func (b *Box) wait(ctx context.Context, sequence uint64) error {
	for {
		b.mu.RLock()
		at, moved := b.at, b.moved
		b.mu.RUnlock()
		if at >= sequence {
			return nil
		}
		select {
		case <-moved:
		case <-b.over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var base = base32.StdEncoding.WithPadding(base32.NoPadding)

// ID is made of what it stands for, so that the same thing again has the same one: 24 letters and digits without
// capitals, for the left side of an address.
func ID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base.EncodeToString(sum[:idLength]))
}

// ValidID reports whether it could be a delivery's.
func ValidID(id string) bool {
	_, ok := keyOf(id)
	return ok
}

// row answers a delivery's; nil if there is none.
func (b *Box) row(id string) *row {
	k, ok := keyOf(id)
	if !ok {
		return nil
	}
	return b.rows[k]
}
