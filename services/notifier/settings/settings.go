// Package settings keeps what administrators have set for notifications: who is told of what, and what it
// goes out by. The stream NOTIFICATION holds it; a Book is how it stands.
package settings

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/seal"
)

// Stream is where settings are.
const Stream = "NOTIFICATION"

// Collection is one sort of setting.
type Collection string

// The collections. There is one record of Sms, with the id SmsID; a template's id is "<type>.<language>".
const (
	Notifications Collection = "notification"
	SmtpAccounts  Collection = "smtp"
	Mailboxes     Collection = "mailbox"
	Sms           Collection = "sms"
	Webhooks      Collection = "webhook"
	Templates     Collection = "template"

	keys Collection = "key"
)

// SmsID is the id of the one record of Sms.
const SmsID = "settings"

const (
	prefix     = "notification."
	requestKey = "request" // what requests are hashed with
)

func (c Collection) subject(id string) string { return prefix + string(c) + "." + id }

// Deps is what a book works with.
type Deps struct {
	Journal *journal.Journal
	// Box seals secrets under their records' subjects.
	Box seal.Box
	Log *slog.Logger
}

// Book is how the settings stand. It is safe for any number of goroutines.
type Book struct {
	deps    Deps
	stream  atomic.Pointer[journal.Stream]
	current atomic.Pointer[Snapshot] // nil until all is read
	ready   chan struct{}
	// writing lets one edit at a time at the stream, so that those of one notifier don't conflict.
	writing *semaphore.Weighted

	// For the watching goroutine alone, until it is published.
	loading *Snapshot

	mu          sync.Mutex
	requests    *requests
	subscribers map[chan struct{}]struct{}
}

// New answers a book; Run opens it.
func New(d Deps) *Book {
	return &Book{deps: d, ready: make(chan struct{}), writing: semaphore.NewWeighted(1),
		loading: newSnapshot(d.Box.Opener), requests: newRequests(), subscribers: map[chan struct{}]struct{}{}}
}

// Run follows the stream until the context ends. It is called once.
func (b *Book) Run(ctx context.Context) error {
	stream, err := b.deps.Journal.Await(ctx, Stream)
	if err != nil {
		return orEnded(ctx, fmt.Errorf("opening the settings: %w", err))
	}
	b.stream.Store(stream)
	loaded := make(chan struct{}, 1)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.follow(ctx, stream, loaded) })
	g.Go(func() error { return b.open(ctx, stream, loaded) })
	return orEnded(ctx, g.Wait())
}

func orEnded(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// follow folds what the stream has and gets. A journal that holds something else than before, as after a
// restore, is read anew; until that is done the settings stand as they were.
func (b *Book) follow(ctx context.Context, stream *journal.Stream, loaded chan<- struct{}) error {
	ready := func() {
		b.publish(b.loading)
		select {
		case loaded <- struct{}{}:
		default:
		}
	}
	for {
		err := stream.Watch(ctx, journal.WatchConfig{Entry: b.fold, Ready: ready})
		if !errors.Is(err, journal.ErrDiverged) {
			return err
		}
		b.deps.Log.ErrorContext(ctx, "reading the settings anew", "error", err)
		b.loading = newSnapshot(b.deps.Box.Opener)
		b.mu.Lock()
		b.requests = newRequests()
		b.mu.Unlock()
	}
}

// open makes the key that requests are hashed with whenever all has been read, and lets callers in.
func (b *Book) open(ctx context.Context, stream *journal.Stream, loaded <-chan struct{}) error {
	opened := sync.OnceFunc(func() { close(b.ready) })
	for {
		select {
		case <-loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := b.haveKey(ctx, stream); err != nil {
			return fmt.Errorf("making the key of requests: %w", err)
		}
		opened()
	}
}

// haveKey makes a key unless there is one that opens.
func (b *Book) haveKey(ctx context.Context, stream *journal.Stream) error {
	subject := keys.subject(requestKey)
	entry, err := stream.Update(ctx, subject, func(last journal.Entry, found bool) ([]byte, error) {
		r := new(notificationv1.SettingRecord)
		if found && proto.Unmarshal(last.Data, r) == nil {
			if _, err := b.deps.Box.Open(r.GetSealed(), subject); err == nil {
				return nil, journal.ErrUnchanged
			}
			b.deps.Log.WarnContext(ctx, "the settings were sealed with another key; their secrets have to be entered again", "file", seal.NotifierAEADFile)
		}
		return b.newKey(subject)
	})
	if err != nil {
		return err
	}
	return b.wait(ctx, entry.Sequence)
}

func (b *Book) newKey(subject string) ([]byte, error) {
	sealed, err := b.deps.Box.Seal([]byte(rand.Text()+rand.Text()), subject)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&notificationv1.SettingRecord{Sealed: sealed})
}

// Ready is closed once settings can be read and edited.
func (b *Book) Ready() <-chan struct{} { return b.ready }

// Snapshot is how the settings stand now; nil before Ready.
func (b *Book) Snapshot() *Snapshot { return b.current.Load() }

// Opened is the same for a caller, who is told to come back before Ready.
func (b *Book) Opened() (*Snapshot, error) {
	select {
	case <-b.ready:
		return b.current.Load(), nil
	default:
		return nil, fault.New(fault.Unavailable, "The notifier is still starting. Try again in a moment")
	}
}

// Subscribe answers a channel that is nudged after changes, and a function to stop. One nudge stands for
// any number of changes: take a Snapshot after each.
func (b *Book) Subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscribers[c] = struct{}{}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subscribers, c)
	}
}

// fold takes an entry in. One that can't be read changes nothing: the others still count.
func (b *Book) fold(e journal.Entry) error {
	next, loading := b.loading, b.loading != nil
	if !loading {
		next = b.current.Load().clone()
	}
	next.sequence = e.Sequence
	if err := b.take(next, e); err != nil {
		b.deps.Log.Error("leaving out a setting that can't be read", "subject", e.Subject, "sequence", e.Sequence, "error", err)
	}
	if !loading {
		b.publish(next)
	}
	return nil
}

func (b *Book) take(into *Snapshot, e journal.Entry) error {
	collection, id, ok := strings.Cut(strings.TrimPrefix(e.Subject, prefix), ".")
	if !ok {
		return errors.New("no such subject in NOTIFICATION")
	}
	r := new(notificationv1.SettingRecord)
	if err := proto.Unmarshal(e.Data, r); err != nil {
		return err
	}
	b.mu.Lock()
	b.requests.remember(e.Subject, r.GetOperations())
	b.mu.Unlock()
	into.put(Collection(collection), id, r)
	return nil
}

func (b *Book) publish(s *Snapshot) {
	b.loading = nil
	b.current.Store(s)
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.subscribers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// wait blocks until the snapshot includes an entry.
func (b *Book) wait(ctx context.Context, sequence uint64) error {
	changed, stop := b.Subscribe()
	defer stop()
	for {
		if s := b.current.Load(); s != nil && s.sequence >= sequence {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the settings: %w", ctx.Err())
		}
	}
}
