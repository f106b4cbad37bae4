package broker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
)

const (
	subjectCount = "session.count." // + the mark, in Unix seconds
	marksApart   = 5 * time.Minute
	historyMost  = 168 // hours
	historyUsual = 24  // hours
	marksMost    = historyMost * int(time.Hour/marksApart)
	pointsMost   = 336
	// settled is how long a broker must be there before it counts: by then every connector that is well
	// has attached, here or with another replica that has said so.
	settled = 10 * time.Second
	// markLate is how late a count may be and still be called that of its mark.
	markLate = 10 * time.Second
)

// history is how many sessions there were at each mark of the last week, as it is on record.
type history struct {
	mu    sync.Mutex
	read  bool                              // all that was on record
	marks map[int64]*sessionv1.SessionCount // by Unix seconds
}

func newHistory() *history { return &history{marks: map[int64]*sessionv1.SessionCount{}} }

// take keeps a count of the last week, and forgets what is older. One that can't be read is passed over:
// it keeps nobody from the others.
func (h *history) take(e journal.Entry, now time.Time) {
	c := new(sessionv1.SessionCount)
	mark, oldest := int64(0), beforeWeek(now)
	if proto.Unmarshal(e.Data, c) == nil {
		mark = c.GetTime().GetSeconds()
	}
	if e.Subject != countSubject(time.Unix(mark, 0)) || mark <= oldest || mark > now.Add(marksApart).Unix() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.marks[mark] = c; len(h.marks) > marksMost {
		maps.DeleteFunc(h.marks, func(mark int64, _ *sessionv1.SessionCount) bool { return mark <= oldest })
	}
}

func beforeWeek(now time.Time) int64 { return now.Add(-historyMost * time.Hour).Unix() }

func countSubject(mark time.Time) string {
	return subjectCount + strconv.FormatInt(mark.Unix(), 10)
}

func (h *history) ready() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.read = true
}

func (h *history) has(mark time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.marks[mark.Unix()] != nil
}

// last answers the counts of the last hours, oldest first, as many as there may be points.
func (h *history) last(hours int, now time.Time) *sessionv1.GetSessionHistoryResponse {
	h.mu.Lock()
	defer h.mu.Unlock()
	answer := &sessionv1.GetSessionHistoryResponse{}
	from, oldest := now.Add(-time.Duration(hours)*time.Hour).Unix(), beforeWeek(now)
	step := int64(stepOf(hours).Seconds())
	for mark, c := range h.marks {
		if mark <= oldest || mark > now.Unix() {
			continue
		}
		if answer.Since == nil || mark < answer.Since.GetSeconds() {
			answer.Since = c.GetTime()
		}
		if mark > from && mark%step == 0 {
			answer.Points = append(answer.Points, c)
		}
	}
	slices.SortFunc(answer.Points, func(a, b *sessionv1.SessionCount) int {
		return a.GetTime().AsTime().Compare(b.GetTime().AsTime())
	})
	return answer
}

// stepOf is how far apart the points of so many hours are.
func stepOf(hours int) time.Duration {
	marks := hours * int(time.Hour/marksApart)
	return marksApart * time.Duration((marks+pointsMost-1)/pointsMost)
}

// GetSessionHistory answers what was counted. Every replica answers the same: what is on record.
func (b *Broker) GetSessionHistory(_ context.Context, r *sessionv1.GetSessionHistoryRequest) (*sessionv1.GetSessionHistoryResponse, error) {
	hours := historyUsual
	if r.Hours != nil {
		hours = int(r.GetHours())
	}
	if hours < 1 || hours > historyMost {
		return nil, fault.New(fault.InvalidArgument, "The history has 1 to %d hours", historyMost).With("field", "hours")
	}
	b.history.mu.Lock()
	read := b.history.read
	b.history.mu.Unlock()
	if !read {
		return nil, fault.New(fault.JournalUnavailable, "The history of sessions can't be read yet. Try again in a moment")
	}
	return b.history.last(hours, b.config.Now()), nil
}

func (b *Broker) followHistory(ctx context.Context, records Records) error {
	return records.Watch(ctx, journal.WatchConfig{
		Subjects: []string{subjectCount + ">"},
		Entry:    func(e journal.Entry) error { b.history.take(e, b.config.Now()); return nil },
		Ready:    b.history.ready,
	})
}

// keepHistory counts at each mark, and has the count put on record by whichever replica comes first. What
// can't be written before the next mark is not known later.
func (b *Broker) keepHistory(ctx context.Context, records Records) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var there, before time.Time // since when it knows what it must, and when it looked last
	var waiting *sessionv1.SessionCount
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := b.config.Now()
		if there.IsZero() && b.deps.View.State() != nil {
			there = now
		}
		if mark, due := markDue(before, now); due {
			if waiting = nil; !there.IsZero() && mark.Sub(there) >= settled {
				waiting = b.count(mark, now)
			}
		}
		before = now
		if waiting != nil && b.putCount(ctx, records, waiting) {
			waiting = nil
		}
	}
}

// markDue answers the mark that has passed since the last look, unless it is too late to count for it.
func markDue(before, now time.Time) (mark time.Time, due bool) {
	mark = now.Truncate(marksApart)
	return mark, !before.IsZero() && before.Before(mark) && now.Sub(mark) <= markLate
}

// count is what the connectors say, those of other replicas too. Of those that can't be reached it is what
// was last known.
func (b *Broker) count(mark, now time.Time) *sessionv1.SessionCount {
	c := &sessionv1.SessionCount{Time: timestamppb.New(mark)}
	for _, h := range b.all() {
		h.mu.Lock()
		open := h.beat.GetOpenSessions()
		if h.reachableHere(now) || h.reachableElsewhere(now) {
			c.Open += open
		} else {
			c.Unreachable += max(open, uint32(len(h.sessions)))
		}
		h.mu.Unlock()
	}
	return c
}

// putCount reports whether the mark's count is on record, this one or another replica's.
func (b *Broker) putCount(ctx context.Context, records Records, c *sessionv1.SessionCount) bool {
	mark := c.GetTime().AsTime()
	if b.history.has(mark) {
		return true
	}
	data, err := proto.Marshal(c)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err = records.AppendBatch(ctx, []journal.Message{{Subject: countSubject(mark), Data: data, Expect: journal.OnSubject(0)}})
	}
	if err != nil && !errors.Is(err, journal.ErrConflict) && ctx.Err() == nil {
		b.deps.Log.DebugContext(ctx, "a count of sessions can't be put on record now; trying again until the next", "mark", mark, "error", err)
	}
	return err == nil
}
