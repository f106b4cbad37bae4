package journal

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Beat sends a heartbeat to whoever listens now. It is stored nowhere and may
// get lost: what it says must be said again, and nothing is ever enforced
// because of it. The subject must belong to no stream.
func (j *Journal) Beat(subject string, data []byte) error {
	if err := j.conn.Publish(subject, data); err != nil {
		return fmt.Errorf("sending a beat to %s: %w (%w)", subject, ErrUnavailable, err)
	}
	return nil
}

// Beats calls fn, one at a time, with the heartbeats of a subject, which may
// have wildcards, until ctx ends; then it returns nil. It must never be given
// the subject of a stream: there it would hear what is not stored yet, and
// what is then refused.
func (j *Journal) Beats(ctx context.Context, subject string, fn func(subject string, data []byte)) error {
	beats := make(chan *nats.Msg, 1024)
	heard, err := j.conn.ChanSubscribe(subject, beats)
	if err != nil {
		return fmt.Errorf("listening to %s: %w", subject, err)
	}
	defer func() { _ = heard.Unsubscribe() }()
	for {
		select {
		case m := <-beats:
			fn(m.Subject, m.Data)
		case <-ctx.Done():
			return nil
		}
	}
}
