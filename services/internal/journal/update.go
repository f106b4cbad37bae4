package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	updateTries = 8
	streamTries = 32                   // more come in between there, and each is taken in first
	firstWait   = 2 * time.Millisecond // after a conflict; doubles, with jitter
	patience    = 2 * time.Second      // with a journal that cannot be reached
	settleIn    = 2 * time.Second      // one attempt, then look whether it is there
	unsureFor   = 10 * time.Second     // looking and trying again
)

// Update appends the next state of a subject: it reads the last entry, lets
// build make the next from it, and appends that on the condition that nothing
// came in between; else it reads and builds again, eight times at most, and
// then fails with ErrConflict. An acknowledgement that got lost is found again
// by reading, so nothing is stored twice.
//
// When build returns ErrUnchanged, nothing is written and the entry returned is
// the last (a zero Entry if there is none). Other errors of build end it and
// are wrapped. ErrUnknown is left only when the journal could not even be read
// any more for ten seconds, or until ctx ended.
func (s *Stream) Update(ctx context.Context, subject string, build func(last Entry, found bool) ([]byte, error)) (Entry, error) {
	var stored Entry
	err := s.j.again(ctx, updateTries, func() error {
		last, err := s.Last(ctx, subject)
		found := err == nil
		if !found && !errors.Is(err, ErrNotFound) {
			return err
		}
		data, err := build(last, found)
		if errors.Is(err, ErrUnchanged) {
			stored = last
			return nil
		}
		if err != nil {
			return &final{err}
		}
		m := Message{subject, data, OnSubject(last.Sequence)}
		sequence, err := s.settle(ctx, []Message{m}, which{Sequence: last.Sequence + 1, Next: subject})
		stored = Entry{Subject: subject, Sequence: sequence, Data: data}
		return err
	})
	if err != nil {
		return Entry{}, fmt.Errorf("updating %s: %w", subject, err)
	}
	return stored, nil
}

// Fold waits until the caller has taken in every entry of the whole stream up
// to atLeast, and returns how far it has got by then, which may be further.
type Fold func(ctx context.Context, atLeast uint64) (at uint64, err error)

// UpdateStream appends messages on the condition that the caller knows the
// whole stream: build decides on what the caller has folded, next is the
// sequence that its first message will have, and nothing is stored if the
// stream has grown since. Then fold is told how far it has, and build is asked
// again. It returns the sequence of the last message, and keeps Update's
// promises. build must not read beyond what fold returned: it would only
// conflict. When build refuses or writes nothing, that was decided on what was
// folded by then, which may lag; a fold that asks LastSequence first does not.
func (s *Stream) UpdateStream(ctx context.Context, fold Fold, build func(next uint64) ([]Message, error)) (uint64, error) {
	var last, atLeast uint64
	err := s.j.again(ctx, streamTries, func() error {
		at, err := fold(ctx, atLeast)
		if err != nil {
			return &final{err}
		}
		messages, err := build(at + 1)
		if errors.Is(err, ErrUnchanged) || err == nil && len(messages) == 0 {
			last = at
			return nil
		}
		if err != nil {
			return &final{err}
		}
		messages = append([]Message{}, messages...)
		messages[0].Expect = OnStream(at)
		last, err = s.settle(ctx, messages, which{Sequence: at + 1})
		if errors.Is(err, ErrConflict) {
			if end, err := s.LastSequence(ctx); err == nil {
				atLeast = end
			}
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("updating %s: %w", s.name, err)
	}
	return last, nil
}

// again calls try until it succeeds, fails for good, has met that many
// conflicts, or could not reach the journal for two seconds.
func (j *Journal) again(ctx context.Context, most int, try func() error) error {
	conflicts, lost := 0, time.Time{}
	for {
		err := try()
		var verdict *final
		switch {
		case errors.As(err, &verdict):
			return verdict.error
		case errors.Is(err, ErrConflict):
			if conflicts++; conflicts == most {
				return err
			}
			lost = time.Time{}
		case errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrUnknown):
			if lost.IsZero() {
				lost = time.Now()
			}
			if time.Since(lost) > patience {
				return err
			}
		default:
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, patience)
		paused := j.pause(waiting, firstWait<<min(conflicts, 6))
		cancel()
		if paused != nil {
			return err
		}
	}
}

// settle appends messages that expect something, and does not leave it open
// whether they are stored for as long as the journal can be read: the entry
// that comes after what they expect is either the first of them or another's.
// While there is none, not even a conflict is an answer: what is in flight
// there may be these very messages, on their way from the first attempt.
func (s *Stream) settle(ctx context.Context, messages []Message, first which) (uint64, error) {
	sequence, err := s.try(ctx, messages)
	if !errors.Is(err, ErrUnknown) {
		return sequence, err
	}
	ctx, cancel := context.WithTimeout(ctx, unsureFor)
	defer cancel()
	for {
		found, readErr := s.patientRead(ctx, first)
		switch {
		case readErr == nil:
			return s.recognize(ctx, found, messages)
		case !errors.Is(readErr, ErrNotFound):
			return 0, fmt.Errorf("%w: %v", ErrUnknown, readErr)
		case errors.Is(err, ErrFull) && errors.Is(err, ErrUnknown):
			return 0, err
		}
		if s.j.pause(ctx, firstWait) != nil {
			return 0, fmt.Errorf("%w: %v", ErrUnknown, err)
		}
		if sequence, err = s.try(ctx, messages); err == nil {
			return sequence, nil
		}
	}
}

func (s *Stream) try(ctx context.Context, messages []Message) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, settleIn)
	defer cancel()
	return s.AppendBatch(ctx, messages)
}

// patientRead reads until the journal answers or ctx ends.
func (s *Stream) patientRead(ctx context.Context, w which) (e Entry, err error) {
	err = s.j.patiently(ctx, func() error {
		e, err = s.read(ctx, w)
		return err
	})
	return e, err
}

// recognize says whether the messages are stored, beginning with found.
func (s *Stream) recognize(ctx context.Context, found Entry, messages []Message) (uint64, error) {
	for i, m := range messages {
		if i > 0 {
			next, err := s.patientRead(ctx, which{Sequence: found.Sequence + 1})
			if err != nil {
				return 0, fmt.Errorf("%w: %v", ErrUnknown, err)
			}
			found = next
		}
		if found.Subject != m.Subject || !bytes.Equal(found.Data, m.Data) {
			return 0, fmt.Errorf("%w (at %d)", ErrConflict, found.Sequence)
		}
	}
	return found.Sequence, nil
}
