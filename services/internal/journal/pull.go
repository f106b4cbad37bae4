package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"portcullis.dev/services/internal/telemetry"
)

const (
	heartbeat  = 500 * time.Millisecond // two of them missed: the server is gone
	pullExpiry = time.Second
	idleAfter  = 10 * time.Second // the server forgets a consumer that nobody pulls from
	stalled    = 2 * time.Second  // in the middle of the history
	retryWait  = 10 * time.Millisecond
	retryMost  = time.Second
)

// consumer selects what one run of pull delivers.
type consumer struct {
	subjects []string // none: all
	latest   bool     // the last entry of each subject, then what comes; else everything
	from     uint64   // the first sequence, where latest is false
}

func (c consumer) jetstream(user string) jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{
		Name: strings.ReplaceAll(cmp.Or(user, "anyone"), ".", "_") + "-" + nuid.Next(), AckPolicy: jetstream.AckNonePolicy,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(c.from, 1),
		InactiveThreshold: idleAfter, MemoryStorage: true, Replicas: 1,
		FilterSubjects: c.subjects,
	}
	if c.latest {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverLastPerSubjectPolicy, 0
		if len(c.subjects) == 0 {
			config.FilterSubjects = []string{">"}
		}
	}
	return config
}

// final is an error of the one who is delivered to: there is no use in trying
// again.
type final struct{ error }

func (f *final) Unwrap() error { return f.error }

// delivery takes one entry and how many more there are at the moment. It says
// whether the caller has all that it waits for: if not, and nothing comes, the
// pull fails. The first call has a zero Entry, before anything arrived.
type delivery func(e Entry, pending uint64) (enough bool, err error)

// pull creates a consumer and hands each entry to deliver until ctx ends,
// deliver fails (final), or it is no longer certain that nothing is left out:
// then the caller pulls again from where it got to.
//
// This is what JetStream calls an ordered consumer, made by hand: theirs
// starts anew by itself, with waits of its own, before anyone could compare
// what the caller holds with what the journal holds.
func (s *Stream) pull(ctx context.Context, c consumer, deliver delivery) error {
	ctx, done := s.j.link.while(ctx)
	defer done()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	stall := time.AfterFunc(stalled, func() { giveUp(errStalled) })
	defer stall.Stop()
	created, err := s.j.js.CreateConsumer(ctx, s.name, c.jetstream(s.j.user))
	if err != nil {
		return fmt.Errorf("creating a consumer: %w", err)
	}
	messages, err := created.Messages(jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(heartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("pulling: %w", err)
	}
	defer messages.Stop()
	enough, err := deliver(Entry{}, created.CachedInfo().NumPending)
	for count := uint64(1); err == nil; count++ {
		if enough {
			stall.Stop()
		} else {
			stall.Reset(stalled)
		}
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("pulling: %w", cmp.Or(context.Cause(ctx), err))
		}
		at, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading where an entry stands: %w", err)
		}
		if at.Sequence.Consumer != count {
			return fmt.Errorf("delivery %d comes after %d", at.Sequence.Consumer, count-1)
		}
		e := Entry{m.Subject(), at.Sequence.Stream, at.Timestamp, m.Data(), telemetry.Carried(m.Headers())}
		if enough, err = deliver(e, at.NumPending); err != nil {
			return &final{err}
		}
	}
	return &final{err}
}

var errStalled = errors.New("nothing comes, though there is more")

// pause waits a moment, not the same for all, and then for the connection.
func (j *Journal) pause(ctx context.Context, about time.Duration) error {
	select {
	case <-time.After(about/2 + rand.N(about)): // #nosec G404 -- spreads attempts, hides nothing
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := j.link.await(ctx); err != nil {
		return errors.Join(ErrUnavailable, err)
	}
	return nil
}
