package attempt

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
)

const (
	keepFor  = time.Minute // what can't be stored
	keepMost = 1024
)

// store is what is on its way into the journal.
type store struct {
	stream     *journal.Stream
	waiting    []waiting
	complained bool
}

// waiting is an entry that is not stored yet.
type waiting struct {
	since time.Time
	tries uint64
	journal.Message
}

// append stores what waits, and answers how many tries it gave up: what has waited too long, or all if it is the last
// time.
func (s *store) append(ctx context.Context, j *journal.Journal, due []*gatev1.AttemptRecord, now time.Time, last bool) (lost uint64, err error) {
	for _, r := range due {
		data, err := proto.Marshal(r)
		if err != nil {
			lost += r.GetCount()
			continue
		}
		s.waiting = append(s.waiting, waiting{now, r.GetCount(), journal.Message{Subject: Subject(r), Data: data}})
	}
	err = s.send(ctx, j)
	if err == nil {
		return lost, nil
	}
	for i, w := range s.waiting {
		if !last && now.Sub(w.since) < keepFor && len(s.waiting)-i <= keepMost {
			s.waiting = s.waiting[i:]
			return lost, err
		}
		lost += w.tries
	}
	s.waiting = nil
	return lost, err
}

func (s *store) send(ctx context.Context, j *journal.Journal) (err error) {
	if s.stream == nil && len(s.waiting) > 0 {
		if s.stream, err = j.Stream(ctx, Stream); err != nil {
			return fmt.Errorf("opening %s: %w", Stream, err)
		}
	}
	for len(s.waiting) > 0 {
		some := s.waiting[:min(len(s.waiting), journal.MaxBatch)]
		messages := make([]journal.Message, len(some))
		for i, w := range some {
			messages[i] = w.Message
		}
		if _, err := s.stream.AppendBatch(ctx, messages); err != nil {
			return err
		}
		s.waiting = s.waiting[len(some):]
	}
	s.waiting = nil
	return nil
}

// Subject is where an entry is kept: attempt.<door>.<emergency>, with none for no emergency.
func Subject(r *gatev1.AttemptRecord) string {
	emergency := r.GetEmergency()
	odd := func(c rune) bool {
		return !(c == '-' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z')
	}
	if emergency == "" || strings.ContainsFunc(emergency, odd) {
		emergency = "none"
	}
	return "attempt." + Name(r.GetDoor()) + "." + emergency
}
