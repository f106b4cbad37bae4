// Package checkpoint signs how far the record is, and how far what stands beside it, and puts that where whoever could
// change the record can't reach it.
package checkpoint

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

// Streams are those whose heads are in a checkpoint beside that of the record: they keep every message for good.
func Streams() []string { return []string{watch.Identity, watch.Directory} }

// Heads folds what the streams hold, from their first message on, and never in anybody's way.
type Heads struct {
	journal *journal.Journal
	log     *slog.Logger

	anew sync.Mutex // one at a time, for it takes a disk's whole breadth

	once  sync.Once
	whole chan struct{} // closed once all were read to their end

	mu  sync.Mutex
	now map[string]audit.StreamHead // of those that are read to their end
}

// NewHeads answers heads that know nothing yet.
func NewHeads(j *journal.Journal, log *slog.Logger) *Heads {
	return &Heads{journal: j, log: log, whole: make(chan struct{}), now: map[string]audit.StreamHead{}}
}

// Run follows the streams until the context ends. It fails on nothing: what can't be read is not in a checkpoint.
func (h *Heads) Run(ctx context.Context) error {
	var g errgroup.Group
	for _, name := range Streams() {
		g.Go(func() error {
			if err := h.follow(ctx, name); err != nil && ctx.Err() == nil {
				h.log.ErrorContext(ctx, "a stream can't be followed: checkpoints don't say any more how far it is", "stream", name, "error", err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (h *Heads) follow(ctx context.Context, name string) error {
	stream, err := h.journal.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	head, ready := audit.StreamHead{Stream: name}, false
	err = stream.Watch(ctx, journal.WatchConfig{
		All: true,
		Entry: func(e journal.Entry) error {
			if head.Add(e.Sequence, e.Subject, e.Data); ready {
				h.keep(head)
			}
			return nil
		},
		Ready: func() { ready = true; h.keep(head) },
	})
	if errors.Is(err, journal.ErrDiverged) {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.now, name)
	}
	return err
}

func (h *Heads) keep(head audit.StreamHead) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, again := h.now[head.Stream]
	if h.now[head.Stream] = head; !again && len(h.now) == len(Streams()) {
		h.once.Do(func() { close(h.whole) })
	}
}

// Whole is closed once checkpoints have the heads of all streams.
func (h *Heads) Whole() <-chan struct{} { return h.whole }

// Now answers the heads of the streams that were read to their end, as far as that was.
func (h *Heads) Now() (all []audit.StreamHead) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range Streams() {
		if head, ready := h.now[name]; ready && head.Sequence > 0 {
			all = append(all, head)
		}
	}
	return all
}

// Anew reads a stream from its first message on, as the journal has it now, and calls found with its head at each of
// the sequences, in order, and with the last one there is.
func (h *Heads) Anew(ctx context.Context, name string, sequences []uint64, found func(head audit.StreamHead, last bool) error) error {
	stream, err := h.journal.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	h.anew.Lock()
	defer h.anew.Unlock()
	wanted, head := slices.Sorted(slices.Values(sequences)), audit.StreamHead{Stream: name}
	err = stream.Scan(ctx, func(e journal.Entry) error {
		head.Add(e.Sequence, e.Subject, e.Data)
		if _, asked := slices.BinarySearch(wanted, e.Sequence); asked {
			return found(head, false)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return found(head, true)
}

// Signer signs checkpoints.
type Signer struct {
	Config
	Heads *Heads
	now   func() time.Time
}

// NewSigner answers a signer. Without a key of its own it signs with that of entries.
func NewSigner(c Config, entries ed25519.PrivateKey, j *journal.Journal, now func() time.Time, log *slog.Logger) Signer {
	if c.Key == nil {
		c.Key = entries
	}
	return Signer{Config: c, Heads: NewHeads(j, log), now: now}
}

// Sign answers the head of the record as a signed note, with the time and the heads of the streams.
func (s Signer) Sign(head audit.Checkpoint) (string, error) {
	head.Time, head.Streams = s.now(), s.Heads.Now()
	return head.Sign(s.Key)
}

// VKey verifies what it signs.
func (s Signer) VKey() string {
	public, _ := s.Key.Public().(ed25519.PublicKey)
	return audit.VKey(public)
}
