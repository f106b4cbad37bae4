package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"portcullis.dev/services/internal/telemetry"
)

const (
	workWait     = 30 * time.Second // without a sign of life somebody else gets an entry
	aliveEvery   = 10 * time.Second
	askFor       = 10 * time.Second // one question for the next entry
	askHeartbeat = 2 * time.Second
	againIn      = time.Second // after a failure; doubles
	againMost    = 5 * time.Minute
	forgottenIn  = 7 * 24 * time.Hour // a name that nobody works under
	outstanding  = 1_000_000          // entries that wait to be worked on again
)

// WorkConfig says who works on what.
type WorkConfig struct {
	Name     string   // workers of one name share the entries, over restarts too
	Subjects []string // may have wildcards; none: all
	Most     int      // how many tasks Do is given at once; 0: 1

	// Do works on some entries, in the order of the stream, and answers an error
	// for each, at the same place. After nil an entry is done for ever. After an
	// error it comes again, soon at first and later and later, or when After says.
	// After a crash, somebody of the same name is given it again.
	Do func(context.Context, []Task) []error
}

// Task is an entry to be worked on.
type Task struct {
	Entry
	// Times is how often it was handed out, this time included. More than the
	// worker remembers: somebody had it and did not say what became of it.
	Times int

	stream *Stream
}

// Begin answers a context that belongs to the request that wrote the entry, with a span in its trace. End it with how
// it went.
func (t Task) Begin(ctx context.Context) (_ context.Context, end func(error)) {
	ctx, span := t.stream.j.trace.Take(ctx, "work on "+t.stream.name, t.stream.name, t.Header)
	return ctx, func(err error) { telemetry.Failed(span, why(err)) }
}

// After has a task come again after a while: an error for Do to answer.
func After(wait time.Duration, because error) error { return &later{because, wait} }

type later struct {
	error
	wait time.Duration
}

func (l *later) Unwrap() error { return l.error }

// Work gives each entry to one worker of the name, at least once, until ctx
// ends; then it returns nil. An entry that fails lets the others pass. Like a
// watch it goes on for ever when the server dies.
func (s *Stream) Work(ctx context.Context, c WorkConfig) error {
	for wait := retryWait; ; wait = min(2*wait, retryMost) {
		worked, err := s.work(ctx, c)
		if ctx.Err() != nil {
			return nil
		}
		if worked {
			wait = retryWait
		}
		s.j.log.InfoContext(ctx, "working again", "stream", s.name, "name", c.Name, "error", err)
		if s.j.pause(ctx, wait) != nil {
			return nil
		}
	}
}

func (c WorkConfig) jetstream() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: c.Name, FilterSubjects: c.Subjects, AckPolicy: jetstream.AckExplicitPolicy, AckWait: workWait,
		MaxAckPending: outstanding, InactiveThreshold: forgottenIn,
	}
}

// work joins the workers and works until something breaks.
func (s *Stream) work(ctx context.Context, c WorkConfig) (worked bool, err error) {
	connected, done := s.j.link.while(ctx)
	defer done()
	joining, cancel := context.WithTimeout(connected, readTimeout)
	defer cancel()
	worker, err := s.j.js.CreateOrUpdateConsumer(joining, s.name, c.jetstream())
	if err != nil {
		return false, fmt.Errorf("joining the workers: %w", err)
	}
	for {
		tasks, err := next(connected, worker, max(c.Most, 1))
		if err != nil {
			return worked, fmt.Errorf("asking for work: %w", err)
		}
		if err := s.do(ctx, c, tasks); err != nil {
			return worked, err
		}
		worked = true
	}
}

// next answers what there is, at most so many; where there is nothing it waits.
func next(ctx context.Context, worker jetstream.Consumer, most int) ([]jetstream.Msg, error) {
	for {
		now, err := worker.FetchNoWait(most)
		if err != nil {
			return nil, err
		}
		if tasks, err := taken(ctx, now); len(tasks) > 0 || err != nil {
			return tasks, err
		}
		first, err := worker.Fetch(1, jetstream.FetchMaxWait(askFor), jetstream.FetchHeartbeat(askHeartbeat))
		if err != nil {
			return nil, err
		}
		if tasks, err := taken(ctx, first); len(tasks) > 0 || err != nil {
			return tasks, err
		}
	}
}

// taken are the messages of a batch; what had been handed out when ctx ended
// comes again to somebody else.
func taken(ctx context.Context, batch jetstream.MessageBatch) ([]jetstream.Msg, error) {
	var all []jetstream.Msg
	for {
		select {
		case m, more := <-batch.Messages():
			if !more {
				return all, batch.Error()
			}
			all = append(all, m)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// do works on tasks, says meanwhile that it does, and then how it went.
func (s *Stream) do(ctx context.Context, c WorkConfig, messages []jetstream.Msg) error {
	tasks := make([]Task, len(messages))
	for i, m := range messages {
		at, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading where an entry stands: %w", err)
		}
		tasks[i] = Task{Entry{m.Subject(), at.Sequence.Stream, at.Timestamp, m.Data(), telemetry.Carried(m.Headers())}, int(at.NumDelivered), s}
	}
	stop := alive(messages)
	answers := c.Do(ctx, tasks)
	stop()
	for i, m := range messages {
		if err := s.answer(ctx, c, tasks[i], m, answers[i]); err != nil {
			return fmt.Errorf("saying how it went: %w", err)
		}
	}
	return nil
}

// alive keeps others from being given what is being worked on.
func alive(messages []jetstream.Msg) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(aliveEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				for _, m := range messages {
					_ = m.InProgress() // if it can't be said, it comes again
				}
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

func (s *Stream) answer(ctx context.Context, c WorkConfig, t Task, m jetstream.Msg, err error) error {
	if err == nil {
		return m.Ack()
	}
	var when *later
	if errors.As(err, &when) {
		return m.NakWithDelay(when.wait)
	}
	if ctx.Err() == nil {
		s.j.log.WarnContext(ctx, "work to be done again", "stream", s.name, "name", c.Name, "sequence", t.Sequence, "times", t.Times, "error", err)
	}
	return m.NakWithDelay(backoff(t.Times))
}

func backoff(times int) time.Duration {
	return min(againIn<<min(times-1, 20), againMost)
}
