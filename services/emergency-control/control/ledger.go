package control

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/approval"
	"portcullis.dev/services/emergency-control/condition"
	"portcullis.dev/services/emergency-control/drill"
	"portcullis.dev/services/internal/journal"
)

const genesisSubject = "emergency.genesis"

// ledger is the stream EMERGENCY as control holds it: the whole history folded, and the one way to
// append to it. Entries are chained, signed, and appended under compare-and-set of the whole stream,
// so that what draft has checked is still so when it is written.
type ledger struct {
	key     ed25519.PrivateKey
	product string
	now     func() time.Time
	log     *slog.Logger
	// written is called for each change of an emergency that comes while the record is followed.
	written func(*emergencyv1.Emergency)
	// awaited is called for each window that is still to start once the record has been read.
	awaited func(*emergencyv1.Emergency)
	ready   chan struct{}
	stream  *journal.Stream // set before ready is closed

	mu       sync.Mutex
	chain    *audit.Chain
	broken   error
	records  map[string]*emergencyv1.Emergency
	policy   *emergencyv1.Policy
	requests map[string]request
	grants   map[string]uint64
	drills   *drill.Book
	// approvals is what takes a second administrator.
	approvals *approval.Book
	moved     chan struct{} // closed and replaced whenever the fold moves
	live      bool
}

// request is an accepted request: what it was, and the entry that answers it.
type request struct {
	hash     []byte
	actor    string
	sequence uint64
	time     time.Time
	// asks says that the entry only asks for an approval: what was requested has not been done.
	asks bool
}

func newLedger(c Config, now func() time.Time, log *slog.Logger) *ledger {
	return &ledger{
		key: c.Key, product: c.Product, now: now, log: log, chain: audit.NewChain(c.Trust),
		records: map[string]*emergencyv1.Emergency{}, requests: map[string]request{}, grants: map[string]uint64{}, approvals: approval.NewBook(c.Apart), drills: drill.NewBook(),
		moved: make(chan struct{}), ready: make(chan struct{}), written: func(*emergencyv1.Emergency) {}, awaited: func(*emergencyv1.Emergency) {},
	}
}

// run follows the stream from its first entry until the context ends. A record that is not the one it
// was stops every append: enforcing goes on, and people must look.
func (l *ledger) run(ctx context.Context, stream *journal.Stream) error {
	l.stream = stream
	err := stream.Watch(ctx, journal.WatchConfig{
		All:   true,
		Entry: func(e journal.Entry) error { l.take(e); return nil },
		Ready: sync.OnceFunc(l.follow),
	})
	if !errors.Is(err, journal.ErrDiverged) {
		return err
	}
	l.mu.Lock()
	l.broken = err
	l.mu.Unlock()
	l.log.ErrorContext(ctx, "the record is not the one that was followed; enforcing goes on, nothing more is applied", "error", err)
	<-ctx.Done()
	return nil
}

func (l *ledger) follow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = true
	for _, e := range l.records {
		if _, missing := missingEdge(e); missing && !e.GetStarted() {
			l.awaited(e) // what is still to come is listened for from its start on
		}
	}
	close(l.ready)
}

// begin writes the first entry of an empty record. One that does not verify is not empty, and is still to be looked at.
func (l *ledger) begin(ctx context.Context) error {
	if _, err := l.checkpoint(); err != nil {
		return nil
	}
	_, err := l.append(ctx, func(next uint64) ([]*emergencyv1.Entry, error) {
		if next > 1 {
			return nil, journal.ErrUnchanged
		}
		public := l.key.Public().(ed25519.PublicKey)
		return []*emergencyv1.Entry{{
			Epoch: uint64(l.now().Unix()), Subject: genesisSubject, Change: emergencyv1.Entry_GENESIS, Actor: clockActor,
			Record: &emergencyv1.Entry_Genesis{Genesis: &emergencyv1.Genesis{
				Product: l.product, Key: &emergencyv1.EntryKey{KeyId: audit.KeyID(public), PublicKey: public},
			}},
		}}, nil
	})
	return err
}

// take folds an entry that is stored. What was folded before is passed over.
func (l *ledger) take(e journal.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	head, _, _ := l.chain.Head()
	if e.Sequence <= head || l.broken != nil {
		return
	}
	entry, _, err := l.chain.Next(e.Sequence, e.Subject, e.Data)
	if err != nil {
		l.broken = err
		l.log.Error("the record does not verify; enforcing goes on, nothing more is applied", "error", err)
		return
	}
	l.fold(entry)
	close(l.moved)
	l.moved = make(chan struct{})
}

func (l *ledger) fold(entry *emergencyv1.Entry) {
	if e := entry.GetEmergency(); e != nil {
		l.records[e.GetId()] = e
		if l.live {
			l.written(e)
		}
	}
	if d := entry.GetDrill(); d != nil && l.live {
		l.written(drill.Shadow(d))
	}
	l.drills.Take(entry)
	if p := entry.GetPolicy(); p != nil {
		l.policy = p
	}
	if id := entry.GetRequestId(); id != "" {
		l.requests[id] = request{hash: entry.GetRequestHash(), actor: entry.GetActor(), sequence: entry.GetSequence(), time: entry.GetTime().AsTime(),
			asks: entry.GetChange() == emergencyv1.Entry_APPROVAL_REQUESTED}
	}
	l.approvals.Put(entry)
	if id := entry.GetGrantId(); id != "" {
		l.grants[id] = entry.GetSequence()
	}
}

// draft answers the entries to append if the next one has this sequence, or why there are none. It is
// called again whenever another write came first. The ledger's lock is held.
type draft func(next uint64) ([]*emergencyv1.Entry, error)

// append writes what draft answers, all or nothing, and returns once it is on disk. Where draft answers
// journal.ErrUnchanged, nothing is written and there are no entries.
func (l *ledger) append(ctx context.Context, d draft) ([]*emergencyv1.Entry, error) {
	select {
	case <-l.ready:
	default:
		return nil, fault.New(fault.JournalUnavailable, "The record is still being read. Try again in a moment")
	}
	var entries []*emergencyv1.Entry
	var messages []journal.Message
	last, err := l.stream.UpdateStream(ctx, l.reach, func(next uint64) (_ []journal.Message, err error) {
		entries, messages, err = l.compose(next, d)
		return messages, err
	})
	if err != nil {
		return nil, fmt.Errorf("appending to the record: %w", err)
	}
	for i, m := range messages {
		l.take(journal.Entry{Subject: m.Subject, Sequence: last - uint64(len(messages)-1-i), Data: m.Data})
	}
	return entries, nil
}

// compose drafts against the head, and chains and signs what is to be written behind it.
func (l *ledger) compose(next uint64, d draft) ([]*emergencyv1.Entry, []journal.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return nil, nil, broken(l.broken)
	}
	_, epoch, hash := l.chain.Head()
	entries, err := d(next)
	if err != nil {
		return nil, nil, err
	}
	messages := make([]journal.Message, len(entries))
	for i, e := range entries {
		e.Sequence, e.PreviousHash, e.Time = next+uint64(i), hash, timestamppb.New(l.now())
		e.Epoch = max(e.Epoch, epoch)
		stored, err := audit.Seal(e, l.key)
		if err != nil {
			return nil, nil, err
		}
		messages[i] = journal.Message{Subject: e.GetSubject(), Data: stored}
		link := audit.HashOf(hash, e.GetEpoch(), e.GetSequence(), e.GetSubject(), stored)
		hash = link[:]
	}
	messages[0].Expect = journal.OnStream(next - 1)
	return entries, messages, nil
}

// reach waits until the fold has an entry, which somebody else wrote, and answers how far it is.
func (l *ledger) reach(ctx context.Context, atLeast uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		l.mu.Lock()
		head, _, _ := l.chain.Head()
		moved, wrong := l.moved, l.broken
		l.mu.Unlock()
		switch {
		case wrong != nil:
			return head, broken(wrong)
		case head >= atLeast:
			return head, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return 0, fmt.Errorf("waiting for entry %d: %w", atLeast, ctx.Err())
		}
	}
}

// knows reports whether a request has its answer on record.
func (l *ledger) knows(requestID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, seen := l.requests[requestID]
	return seen && !before.asks && requestID != ""
}

// near reports whether a sequence is one that others may have written just now: far ahead of the head there is nothing
// to wait for.
func (l *ledger) near(sequence uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	head, _, _ := l.chain.Head()
	return sequence > head && sequence-head < 1000
}

// patience is how long an answer may wait for what others wrote.
const patience = 5 * time.Second

// entry reads one stored entry.
func (l *ledger) entry(ctx context.Context, sequence uint64) (*emergencyv1.Entry, error) {
	e, err := l.stream.Get(ctx, sequence)
	if err != nil {
		return nil, fmt.Errorf("reading entry %d: %w", sequence, err)
	}
	signed := new(emergencyv1.SignedEntry)
	if err := proto.Unmarshal(e.Data, signed); err != nil {
		return nil, fmt.Errorf("reading entry %d: %w", sequence, err)
	}
	entry := new(emergencyv1.Entry)
	if err := proto.Unmarshal(signed.GetEntry(), entry); err != nil {
		return nil, fmt.Errorf("reading entry %d: %w", sequence, err)
	}
	return entry, nil
}

// revision is what a sequence of the present epoch is called. The lock is held.
func (l *ledger) revision(sequence uint64) emergency.Revision {
	_, epoch, _ := l.chain.Head()
	return emergency.Revision{Epoch: epoch, Sequence: sequence}
}

// newest is the revision of the last entry that is folded.
func (l *ledger) newest() emergency.Revision {
	l.mu.Lock()
	defer l.mu.Unlock()
	head, epoch, _ := l.chain.Head()
	return emergency.Revision{Epoch: epoch, Sequence: head}
}

// record is an emergency as it was last written, nil if there is none.
func (l *ledger) record(id string) *emergencyv1.Emergency {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records[id]
}

// takes answers why nothing can be added to the record; nil if it can.
func (l *ledger) takes(ctx context.Context, s *journal.Stream) error {
	l.mu.Lock()
	wrong := l.broken
	l.mu.Unlock()
	if wrong != nil {
		return broken(wrong)
	}
	return s.Takes(ctx)
}

// broken is the refusal while the record does not verify.
func broken(err error) error {
	return fault.New(fault.JournalUnavailable, "The record does not verify, so nothing is added to it until people have looked. What is on stays on; portcullis hold shuts the doors meanwhile").
		Because(fmt.Errorf("%w: %w", condition.ErrBroken, err))
}
