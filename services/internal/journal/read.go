package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Entry is one message of a stream. Nobody may write to Data.
type Entry struct {
	Subject  string
	Sequence uint64
	Time     time.Time // of the server's clock; zero in what Update returns
	Data     []byte

	// Header names the request and the trace that it was written in, for telemetry.From, where it comes from a watch or
	// is worked on; nil if nobody said. No decision rests on it.
	Header map[string][]string
}

// ask sends one question to JetStream. It changes nothing there, so that
// whatever goes wrong it may be asked again.
func (j *Journal) ask(ctx context.Context, subject string, question, answer any) error {
	data, err := json.Marshal(question)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	ctx, done := j.link.while(ctx)
	defer done()
	reply, err := j.conn.RequestWithContext(ctx, "$JS.API."+subject, data)
	if err != nil {
		return unanswered(ctx, err)
	}
	var failed struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &failed); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if failed.Error != nil {
		return refusal(failed.Error)
	}
	return json.Unmarshal(reply.Data, answer)
}

// which selects one message, by its sequence or by a subject.
type which struct {
	Sequence uint64 `json:"seq,omitempty"`
	Last     string `json:"last_by_subj,omitempty"`
	Next     string `json:"next_by_subj,omitempty"` // the first at or after Sequence
}

// read asks the stream's leader. A direct get would be cheaper, and may come
// from a replica that has not heard of the latest write: a compare-and-set on
// what it says would fail for as long as it lags.
func (s *Stream) read(ctx context.Context, w which) (Entry, error) {
	var a struct {
		Message struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := s.j.ask(ctx, "STREAM.MSG.GET."+s.name, w, &a); err != nil {
		return Entry{}, fmt.Errorf("reading %s: %w", s.name, err)
	}
	return Entry{Subject: a.Message.Subject, Sequence: a.Message.Sequence, Time: a.Message.Time, Data: a.Message.Data}, nil
}

// Get returns one entry, or ErrNotFound.
func (s *Stream) Get(ctx context.Context, sequence uint64) (Entry, error) {
	if sequence == 0 {
		return Entry{}, fmt.Errorf("reading %s at 0: %w", s.name, ErrNotFound)
	}
	return s.read(ctx, which{Sequence: sequence})
}

// Last returns the last entry of a subject, which may have wildcards, or
// ErrNotFound.
func (s *Stream) Last(ctx context.Context, subject string) (Entry, error) {
	return s.read(ctx, which{Last: subject})
}

// LastSequence returns the sequence of the last entry, 0 of an empty stream.
func (s *Stream) LastSequence(ctx context.Context) (uint64, error) {
	info, err := s.j.info(ctx, s.name)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

func (j *Journal) info(ctx context.Context, stream string) (*jetstream.StreamInfo, error) {
	var info jetstream.StreamInfo
	if err := j.ask(ctx, "STREAM.INFO."+stream, struct{}{}, &info); err != nil {
		return nil, fmt.Errorf("asking about %s: %w", stream, err)
	}
	return &info, nil
}

// Replay calls fn with every entry from a sequence up to what is the end now,
// in order, and fails with ErrGap when one is missing. A stream that lets go of
// old entries may have lost some at its beginning, which is not a gap.
func (s *Stream) Replay(ctx context.Context, from uint64, fn func(Entry) error) error {
	return s.replay(ctx, from, false, fn)
}

// Scan is Replay from the first entry, for who looks for what is missing: a gap
// is none of its errors.
func (s *Stream) Scan(ctx context.Context, fn func(Entry) error) error {
	return s.replay(ctx, 1, true, fn)
}

// nothingFrom says whether there is no entry at or after a sequence, though the
// server counts some: it has found their bytes damaged.
func (s *Stream) nothingFrom(ctx context.Context, sequence uint64) bool {
	_, err := s.read(ctx, which{Sequence: sequence, Next: ">"})
	return errors.Is(err, ErrNotFound)
}

func (s *Stream) replay(ctx context.Context, from uint64, gaps bool, fn func(Entry) error) error {
	info, err := s.j.info(ctx, s.name)
	if err != nil {
		return err
	}
	next, end := max(from, info.State.FirstSeq, 1), info.State.LastSeq
	deliver := func(e Entry, pending uint64) (bool, error) {
		switch {
		case e.Sequence == 0 && pending > 0:
			return false, nil
		case e.Sequence == 0 && gaps:
			return false, errEnough
		case e.Sequence == 0:
			return false, fmt.Errorf("replaying %s, it ends before %d: %w", s.name, next, ErrGap)
		case e.Sequence != next && !s.forgets && !gaps:
			return false, fmt.Errorf("replaying %s, %d comes after %d: %w", s.name, e.Sequence, next-1, ErrGap)
		case e.Sequence > end:
			return false, errEnough
		}
		if err := fn(e); err != nil {
			return false, err
		}
		if next = e.Sequence + 1; next > end || gaps && pending == 0 {
			return false, errEnough
		}
		return false, nil
	}
	for next <= end {
		err := s.pull(ctx, consumer{from: next}, deliver)
		var verdict *final
		switch {
		case errors.As(err, &verdict) && verdict.error == errEnough:
			return nil
		case errors.As(err, &verdict):
			return verdict.error
		}
		if gaps && s.nothingFrom(ctx, next) {
			return nil
		}
		if err := s.j.pause(ctx, retryWait); err != nil {
			return fmt.Errorf("replaying %s: %w", s.name, err)
		}
	}
	return nil
}

// Since calls fn with each entry of some subjects, which may have wildcards, from a moment up to what is the end now, in
// order. It goes on past a server that dies, until ctx ends: then not all was read, and it fails. Whole is false if the
// stream has let go of entries of that time.
func (s *Stream) Since(ctx context.Context, at time.Time, subjects []string, fn func(Entry) error) (whole bool, err error) {
	from, whole, err := s.sequenceAt(ctx, at)
	if err != nil {
		return whole, err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	read := false
	err = s.Watch(reading, WatchConfig{Subjects: subjects, All: true, From: from, Entry: fn, Ready: func() { read = true; stop() }})
	if err == nil && !read {
		err = fmt.Errorf("reading %s: %w", s.name, ctx.Err())
	}
	return whole, err
}

// sequenceAt is that of the first entry that was stored at a moment or later, or of the next one to come.
func (s *Stream) sequenceAt(ctx context.Context, at time.Time) (sequence uint64, whole bool, err error) {
	info, err := s.j.info(ctx, s.name)
	if err != nil {
		return 0, false, err
	}
	low, high := max(info.State.FirstSeq, 1), info.State.LastSeq+1
	whole = low == 1 || !info.State.FirstTime.After(at)
	for low < high {
		middle := low + (high-low)/2
		e, err := s.Get(ctx, middle)
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return 0, whole, err
		case err != nil || e.Time.Before(at): // what has aged out meanwhile was before
			low = middle + 1
		default:
			high = middle
		}
	}
	return low, whole, nil
}
