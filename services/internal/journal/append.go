package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"portcullis.dev/services/internal/telemetry"
)

// MaxBatch is how many messages one batch holds at most.
const MaxBatch = 1000

const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// Expectation is what an append compares before it sets.
type Expectation struct {
	header   string
	sequence uint64
}

// OnSubject expects the last entry of the message's subject at this sequence;
// 0 expects none.
func OnSubject(sequence uint64) Expectation {
	return Expectation{jetstream.ExpectedLastSubjSeqHeader, sequence}
}

// OnStream expects the last entry of the whole stream at this sequence.
func OnStream(sequence uint64) Expectation {
	return Expectation{jetstream.ExpectedLastSeqHeader, sequence}
}

// Message is what becomes an entry. Its zero Expectation expects nothing.
type Message struct {
	Subject string
	Data    []byte
	Expect  Expectation
}

// acknowledgement is what the server answers an append, or the last of a batch.
type acknowledgement struct {
	Error    *jetstream.APIError `json:"error"`
	Stream   string              `json:"stream"`
	Sequence uint64              `json:"seq"`
	Count    int                 `json:"count"`
}

// Append stores one message and returns its sequence once it is on disk. The
// deadline of ctx, else five seconds, is how long it waits for the
// acknowledgement.
func (s *Stream) Append(ctx context.Context, m Message) (uint64, error) {
	msg, err := s.message(m)
	if err != nil {
		return 0, fmt.Errorf("appending to %s: %w", s.name, err)
	}
	ctx, end := s.sign(ctx, msg)
	a, err := s.publish(ctx, msg)
	if end(err); err != nil {
		return 0, fmt.Errorf("appending to %s: %w", m.Subject, err)
	}
	return a.Sequence, nil
}

// AppendBatch stores all the messages or none, one after the other and with
// one sync, and returns the sequence of the last. Only the first may expect
// something of the stream, and a subject only of its first message. A watcher
// may see a part of the batch before the rest, never a part of a batch that
// failed, but for one case: a disk that fails in the middle of the write.
func (s *Stream) AppendBatch(ctx context.Context, messages []Message) (last uint64, err error) {
	if len(messages) == 1 {
		return s.Append(ctx, messages[0])
	}
	batch, err := s.batch(messages)
	if err != nil {
		return 0, fmt.Errorf("appending a batch to %s: %w", s.name, err)
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("appending a batch to %s: %w", s.name, err)
	}
	ctx, end := s.sign(ctx, batch...)
	defer func() { end(err) }()
	commit := len(batch) - 1
	for _, m := range batch[:commit] {
		// Without the last nothing is stored: any error here is a certain no.
		if err := s.j.conn.PublishMsg(m); err != nil {
			return 0, fmt.Errorf("appending a batch to %s: %w", s.name, unanswered(ctx, err))
		}
	}
	a, err := s.publish(ctx, batch[commit])
	if err != nil {
		return 0, fmt.Errorf("appending a batch to %s: %w", s.name, err)
	}
	if a.Count != len(batch) {
		return 0, fmt.Errorf("appending a batch to %s, %d of %d acknowledged: %w", s.name, a.Count, len(batch), ErrUnknown)
	}
	return a.Sequence, nil
}

func (s *Stream) batch(messages []Message) ([]*nats.Msg, error) {
	if len(messages) == 0 || len(messages) > MaxBatch {
		return nil, fmt.Errorf("%d messages, of 1 to %d", len(messages), MaxBatch)
	}
	id, seen := nuid.Next(), map[string]bool{}
	batch := make([]*nats.Msg, len(messages))
	for i, m := range messages {
		msg, err := s.message(m)
		if err != nil {
			return nil, err
		}
		switch {
		case i > 0 && m.Expect.header == jetstream.ExpectedLastSeqHeader:
			return nil, errors.New("only the first message may expect something of the stream")
		case seen[m.Subject] && m.Expect.header != "":
			return nil, fmt.Errorf("a second message of %s may expect nothing", m.Subject)
		}
		seen[m.Subject] = true
		msg.Header.Set(headerBatchID, id)
		msg.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
		batch[i] = msg
	}
	batch[len(batch)-1].Header.Set(headerBatchCommit, "1")
	return batch, nil
}

func (s *Stream) message(m Message) (*nats.Msg, error) {
	for token := range strings.SplitSeq(m.Subject, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") {
			return nil, fmt.Errorf("%q is no subject of one entry", m.Subject)
		}
	}
	msg := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
	msg.Header.Set(jetstream.ExpectedStreamHeader, s.name)
	if m.Expect.header != "" {
		msg.Header.Set(m.Expect.header, strconv.FormatUint(m.Expect.sequence, 10))
	}
	return msg, nil
}

// tracedMost is how many messages of a batch carry the trace that they were written in: an import of thousands of rows
// is one append to it, and not thousands.
const tracedMost = 16

// sign writes into the headers of messages what request they are of, and begins the span of appending them. Headers are
// for logs and traces: no one decides by them.
func (s *Stream) sign(ctx context.Context, messages ...*nats.Msg) (context.Context, func(error)) {
	ctx, span := s.j.trace.Send(ctx, s.name, len(messages))
	for i, m := range messages {
		telemetry.Carry(ctx, m.Header, i < tracedMost)
	}
	return ctx, func(err error) { telemetry.Failed(span, why(err)) }
}

// publish sends one message and waits for its acknowledgement.
func (s *Stream) publish(ctx context.Context, m *nats.Msg) (acknowledgement, error) {
	var a acknowledgement
	if err := ctx.Err(); err != nil {
		return a, err // nothing was sent
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, ackTimeout)
		defer cancel()
	}
	waiting, done := s.j.link.while(ctx)
	defer done()
	if waiting.Err() != nil || !s.j.conn.IsConnected() {
		return a, fmt.Errorf("%w (not connected)", ErrUnavailable)
	}
	reply, err := s.j.conn.RequestMsgWithContext(waiting, m)
	if err != nil {
		if sure := unsent(err); sure != nil {
			return a, sure
		}
		return a, s.unacknowledged(ctx, context.Cause(waiting))
	}
	if err := json.Unmarshal(reply.Data, &a); err != nil {
		return a, fmt.Errorf("%w (reading the acknowledgement: %w)", ErrUnknown, err)
	}
	if a.Error != nil {
		return a, refusal(a.Error)
	}
	if a.Stream != s.name {
		return a, fmt.Errorf("%w (acknowledged by %q)", ErrUnknown, a.Stream)
	}
	return a, nil
}

// unacknowledged finds out why no acknowledgement came. A server that failed
// to write stays silent, and only its own health says so.
func (s *Stream) unacknowledged(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answersIn/4)
	defer cancel()
	var failed string
	_ = s.j.servers(ctx, Health, func(_ string, data json.RawMessage) error {
		var is struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(data, &is); err != nil {
			return err
		}
		failed += is.Error
		if s.copies == 1 {
			return errEnough
		}
		return nil
	})
	switch {
	case strings.Contains(failed, "no space left"):
		return fmt.Errorf("%w: %w (%s)", ErrFull, ErrUnknown, failed)
	case failed != "":
		return fmt.Errorf("%w (%s)", ErrUnknown, failed)
	case errors.Is(cause, ErrUnavailable):
		return fmt.Errorf("%w: %w", ErrUnknown, errLost)
	}
	return fmt.Errorf("%w: %w", ErrUnknown, cause)
}

// Takes says whether an append would be stored now, without one: nil, ErrFull where the disks of most servers that keep
// the stream are, or ErrUnavailable. It takes a second or two where servers don't answer.
func (s *Stream) Takes(ctx context.Context) error {
	info, err := s.j.info(ctx, s.name)
	if err != nil {
		return err
	}
	if info.Cluster != nil && info.Cluster.Leader == "" {
		return fmt.Errorf("%w (%s has no leader)", ErrUnavailable, s.name)
	}
	if s.j.assumed {
		return nil // servers that can't be asked
	}
	waiting, failed := s.j.holders(info), ""
	need := info.Config.Replicas/2 + 1
	err = s.j.servers(ctx, Health, func(server string, data json.RawMessage) error {
		i := slices.Index(waiting, server)
		if i < 0 {
			return nil
		}
		waiting = slices.Delete(waiting, i, i+1)
		var is struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(data, &is); err != nil {
			return err
		}
		if broken(is.Error) {
			failed = is.Error
			return nil
		}
		if need--; need == 0 {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil:
		return err
	case strings.Contains(failed, "no space left"):
		return fmt.Errorf("%w (%s)", ErrFull, failed)
	case failed != "":
		return fmt.Errorf("%w (%s)", ErrUnavailable, failed)
	}
	return fmt.Errorf("%w (of %s, %d more servers would have to answer)", ErrUnavailable, s.name, need)
}

// broken reports whether a server that says this of its health stores nothing more. It may be about another stream: the
// disk is the same.
func broken(health string) bool { return strings.Contains(health, "write error") }
