package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	workWait  = 30 * time.Second // for one entry; then somebody else gets it
	againIn   = time.Second      // after a failure; doubles
	againMost = 5 * time.Minute
)

// WorkConfig says who works on what.
type WorkConfig struct {
	Name     string   // workers of one name share the entries, over restarts too
	Subjects []string // may have wildcards; none: all

	// Do works on one entry. After nil it is done for ever. After an error, or
	// 30 seconds, or a crash, somebody of the same name is given it again.
	Do func(context.Context, Entry) error
}

// Work gives each entry to one worker of the name, at least once, from the
// first entry of the stream on, until ctx ends; then it returns nil. A worker
// has one at a time; an entry that fails lets the others pass. Like a watch it
// goes on for ever when the server dies.
func (s *Stream) Work(ctx context.Context, c WorkConfig) error {
	for wait := retryWait; ; wait = min(2*wait, retryMost) {
		err := s.work(ctx, c)
		if ctx.Err() != nil {
			return nil
		}
		s.j.log.Info("working again", "stream", s.name, "name", c.Name, "error", err)
		if s.j.pause(ctx, wait) != nil {
			return nil
		}
	}
}

func (s *Stream) work(ctx context.Context, c WorkConfig) error {
	connected, done := s.j.link.while(ctx)
	defer done()
	creating, cancel := context.WithTimeout(connected, readTimeout)
	defer cancel()
	worker, err := s.j.js.CreateOrUpdateConsumer(creating, s.name, jetstream.ConsumerConfig{
		Durable: c.Name, FilterSubjects: c.Subjects, AckPolicy: jetstream.AckExplicitPolicy, AckWait: workWait,
	})
	if err != nil {
		return fmt.Errorf("joining the workers: %w", err)
	}
	messages, err := worker.Messages(jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(heartbeat),
		jetstream.PullMaxMessages(1), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("pulling: %w", err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(connected))
		if err != nil {
			return fmt.Errorf("pulling: %w", err)
		}
		if err := s.do(ctx, c, m); err != nil {
			return err
		}
	}
}

func (s *Stream) do(ctx context.Context, c WorkConfig, m jetstream.Msg) error {
	at, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading where an entry stands: %w", err)
	}
	doing, cancel := context.WithTimeout(ctx, workWait)
	defer cancel()
	err = c.Do(doing, Entry{m.Subject(), at.Sequence.Stream, at.Timestamp, m.Data()})
	if err == nil {
		return m.Ack()
	}
	if ctx.Err() == nil {
		s.j.log.Warn("work to be done again", "stream", s.name, "name", c.Name, "sequence", at.Sequence.Stream, "times", at.NumDelivered, "error", err)
	}
	return m.NakWithDelay(backoff(at.NumDelivered))
}

func backoff(times uint64) time.Duration {
	return min(againIn<<min(times-1, 20), againMost)
}
