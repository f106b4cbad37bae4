package journal

import (
	"context"
	"fmt"
	"time"

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

const (
	beacons       = "BEACON"
	beaconSubject = "beacon.heads"
	beaconMost    = 2 * time.Second // to write or to read one: the next is better than a late one
)

// Light writes a beacon and returns once a majority of the servers that keep
// it has it. It replaces the one before.
func (j *Journal) Light(ctx context.Context, data []byte) error {
	s := &Stream{j: j, name: beacons, copies: 1}
	msg, err := s.message(Message{Subject: beaconSubject, Data: data})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, beaconMost)
	defer cancel()
	if _, err := s.publish(ctx, msg); err != nil {
		return fmt.Errorf("writing a beacon: %w", err)
	}
	return nil
}

// Beacon returns the beacon that was written last, as the leader of its stream
// has it: a replica that was cut off answers nothing, and never an old one.
// There is none (ErrNotFound) before the first was written. One server by
// itself, started anew, has forgotten the whole stream (ErrNoStream); of
// several, each is told of it, and where all were, sequences begin anew.
func (j *Journal) Beacon(ctx context.Context) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, beaconMost)
	defer cancel()
	return (&Stream{j: j, name: beacons}).read(ctx, which{Last: beaconSubject})
}

// Heads returns how far streams are, as their leaders say.
func (j *Journal) Heads(ctx context.Context, streams ...string) (map[string]uint64, error) {
	heads := map[string]uint64{}
	for _, name := range streams {
		last, err := (&Stream{j: j, name: name}).LastSequence(ctx)
		if err != nil {
			return nil, err
		}
		heads[name] = last
	}
	return heads, nil
}
