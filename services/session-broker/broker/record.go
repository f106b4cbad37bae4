package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
)

const (
	subjectRecord = "session.record."      // + id
	recordGather  = 250 * time.Millisecond // what ends goes first
	recordRetry   = time.Second
	recordBatch   = journal.MaxBatch
	// recordMost bounds what waits for a journal that can't be reached. Ends that find no room are said
	// again by their connectors; openings that find none are only missing from the history.
	recordMost = 200_000
	// recordLargest is more than the fields that the protos know can take, and less than the journal takes: what a connector
	// has put beside them must not keep the others from being written.
	recordLargest = 256 << 10
)

// recorder puts openings and ends of sessions on record, behind everything else.
type recorder struct {
	log  *slog.Logger
	wake chan struct{}

	mu      sync.Mutex
	chunks  [][]entry // as they came
	waiting int
}

// entry is one line of the record: an opening, or an end if it has a cause.
type entry struct {
	h       *host
	session *sessionv1.Session // nil if this broker never heard of it
	id      string
	cause   string
	time    time.Time
	confirm bool // to the connector, when it is on record
}

func newRecorder(log *slog.Logger) *recorder {
	return &recorder{log: log, wake: make(chan struct{}, 1)}
}

// add never waits. The callers hold the host's lock.
func (r *recorder) add(entries ...entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting+len(entries) > recordMost {
		for _, e := range entries {
			delete(e.h.closing, e.id)
		}
		return
	}
	r.chunks, r.waiting = append(r.chunks, entries), r.waiting+len(entries)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *recorder) take() []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	var taken []entry
	for len(r.chunks) > 0 && len(taken) < recordBatch {
		first := r.chunks[0]
		n := min(len(first), recordBatch-len(taken))
		taken = append(taken, first[:n]...)
		if r.chunks[0] = first[n:]; n == len(first) {
			r.chunks = r.chunks[1:]
		}
	}
	r.waiting -= len(taken)
	return taken
}

func (r *recorder) run(ctx context.Context, records Records) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		if !pause(ctx, recordGather) {
			return nil
		}
		for entries := r.take(); len(entries) > 0; entries = r.take() {
			if !r.write(ctx, records, entries) {
				return nil
			}
		}
	}
}

// write goes on until the entries are on record, or the context ends.
func (r *recorder) write(ctx context.Context, records Records, entries []entry) bool {
	for attempt := 0; ; attempt++ {
		err := r.append(ctx, records, entries)
		if err == nil {
			confirm(entries)
			return true
		}
		if attempt == 0 && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "sessions can't be put on record now; they end all the same", "waiting", len(entries), "error", err)
		}
		if !pause(ctx, recordRetry) {
			return false
		}
	}
}

func (r *recorder) append(ctx context.Context, records Records, entries []entry) error {
	var messages []journal.Message
	for i := range entries {
		e := &entries[i]
		if !sessionID.MatchString(e.id) {
			continue // no session of ours: it must not keep the others from being written
		}
		if e.session == nil && e.cause != "" {
			if err := recall(ctx, records, e); err != nil {
				return err
			}
		}
		s := e.session
		if e.cause != "" {
			if s.GetState() == sessionv1.Session_ENDED || s.GetState() == sessionv1.Session_OPENING {
				continue // on record already, or never let in
			}
			s = e.ended()
		}
		data, err := proto.Marshal(&sessionv1.SessionRecord{Session: s})
		if err != nil {
			return fmt.Errorf("writing session %s: %w", e.id, err)
		}
		if len(data) > recordLargest {
			r.log.WarnContext(ctx, "a session is too large to be put on record", "session", e.id, "connector", e.h.id, "bytes", len(data))
			continue
		}
		messages = append(messages, journal.Message{Subject: subjectRecord + e.id, Data: data})
	}
	if len(messages) == 0 {
		return nil
	}
	_, err := records.AppendBatch(ctx, messages)
	return err
}

// recall finds out about a session whose opening another broker heard.
func recall(ctx context.Context, records Records, e *entry) error {
	e.session = &sessionv1.Session{Id: e.id, Connector: e.h.id}
	last, err := records.Last(ctx, subjectRecord+e.id)
	if errors.Is(err, journal.ErrNotFound) {
		return nil
	}
	if err != nil {
		e.session = nil
		return err
	}
	record := new(sessionv1.SessionRecord)
	if err := proto.Unmarshal(last.Data, record); err != nil {
		return fmt.Errorf("reading the record of session %s: %w", e.id, err)
	}
	e.session = record.GetSession()
	if e.session.GetConnector() != e.h.id {
		e.session.State = sessionv1.Session_ENDED // another's: not this connector's to end
	}
	return nil
}

var sessionID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func confirm(entries []entry) {
	of := map[*host][]string{}
	for _, e := range entries {
		if e.confirm {
			of[e.h] = append(of[e.h], e.id)
		}
	}
	for h, ids := range of {
		h.confirm(ids)
	}
}

const (
	endedWithin = 5 * time.Second // of reading
	endedMost   = 200_000         // of one cause are told apart
	endedSlack  = time.Minute     // the journal's clock and a connector's differ
)

// Past is what the record has of earlier times: a *journal.Stream.
type Past interface {
	Since(ctx context.Context, at time.Time, subjects []string, fn func(journal.Entry) error) (whole bool, err error)
}

// ListEndedSessions reads from the record which sessions one cause has ended, whoever held them and whichever replica heard of
// it. What it can't read in time is left out, and said to be.
func (b *Broker) ListEndedSessions(ctx context.Context, r *sessionv1.ListEndedSessionsRequest) (*sessionv1.ListEndedSessionsResponse, error) {
	records := b.records.Load()
	if records == nil {
		return nil, fault.New(fault.JournalUnavailable, "The record of sessions can't be read yet. Try again in a moment")
	}
	past, ok := (*records).(Past)
	if !ok {
		return nil, fault.New(fault.Internal, "This record of sessions can't be read")
	}
	within, cancel := context.WithTimeout(ctx, endedWithin)
	defer cancel()
	t := newToll(r.GetCause())
	whole, err := past.Since(within, r.GetSince().AsTime().Add(-endedSlack), []string{subjectRecord + ">"}, t.take)
	switch {
	case errors.Is(err, errEnough) || err != nil && within.Err() != nil && ctx.Err() == nil:
		t.answer.Cut = true
	case err != nil:
		return nil, fmt.Errorf("reading which sessions have ended: %w", err)
	}
	t.answer.Aged = !whole
	return t.sum(), nil
}

var errEnough = errors.New("enough was read")

// toll is what one cause has ended.
type toll struct {
	cause               string
	seen, users, places map[string]struct{}
	answer              *sessionv1.ListEndedSessionsResponse
}

func newToll(cause string) *toll {
	return &toll{cause: cause, seen: map[string]struct{}{}, users: map[string]struct{}{}, places: map[string]struct{}{},
		answer: &sessionv1.ListEndedSessionsResponse{Protocols: map[string]uint32{}}}
}

// take counts an entry once, however often its end was put on record. One that can't be read is passed over.
func (t *toll) take(e journal.Entry) error {
	record := new(sessionv1.SessionRecord)
	if err := proto.Unmarshal(e.Data, record); err != nil {
		return nil
	}
	s := record.GetSession()
	if _, again := t.seen[s.GetId()]; again || s.GetEndCause() != t.cause || s.GetState() != sessionv1.Session_ENDED {
		return nil
	}
	if len(t.seen) == endedMost {
		return errEnough
	}
	t.seen[s.GetId()], t.users[s.GetUser()], t.places[s.GetDevice()] = struct{}{}, struct{}{}, struct{}{}
	t.answer.Protocols[s.GetProtocol()]++
	if len(t.answer.Sessions) < namedAtMost {
		s.AccessGroups = nil
		s.ProtoReflect().SetUnknown(nil)
		t.answer.Sessions = append(t.answer.Sessions, s)
	}
	return nil
}

func (t *toll) sum() *sessionv1.ListEndedSessionsResponse {
	t.answer.Total, t.answer.Users, t.answer.Devices = uint32(len(t.seen)), uint32(len(t.users)), uint32(len(t.places))
	return t.answer
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
