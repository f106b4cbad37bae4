package broker

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/session-broker/registry"
)

// midnight is a mark of any step.
var midnight = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// counted is a count as it is on record.
func counted(t testing.TB, mark time.Time, open uint32) journal.Entry {
	t.Helper()
	data, err := proto.Marshal(&sessionv1.SessionCount{Time: timestamppb.New(mark), Open: open})
	if err != nil {
		t.Fatal(err)
	}
	return journal.Entry{Subject: countSubject(mark), Data: data}
}

// weekOf is a history with a count at each mark of ten days up to now, which is the mark's number.
func weekOf(t testing.TB, now time.Time) *history {
	h := newHistory()
	const marks = 10 * 24 * 12
	for i := range marks {
		at := now.Add(-marksApart * time.Duration(marks-1-i))
		h.take(counted(t, at, uint32(i)), at)
	}
	return h
}

func TestTheHistorySaysWhatWasOpenAtEachMarkOldestFirst(t *testing.T) {
	now := midnight.Add(7 * time.Minute)
	h := weekOf(t, midnight.Add(marksApart))
	got := h.last(historyUsual, now)
	if len(got.GetPoints()) != 288 {
		t.Fatalf("a day has %d points, of 288", len(got.GetPoints()))
	}
	for i, p := range got.GetPoints() {
		if want := midnight.Add(marksApart - marksApart*time.Duration(287-i)); !p.GetTime().AsTime().Equal(want) || p.GetOpen() != uint32(10*24*12-288+i) {
			t.Fatalf("point %d is %v, want one of %v", i, p, want)
		}
	}
	if since := got.GetSince().AsTime(); !since.After(now.Add(-historyMost*time.Hour)) || since.After(now.Add(-historyMost*time.Hour+marksApart)) {
		t.Fatalf("it is known since %v", since)
	}
}

func TestHoweverManyHoursThereAreNoMoreThan336PointsEvenlyApart(t *testing.T) {
	h := weekOf(t, midnight)
	for hours := 1; hours <= historyMost; hours++ {
		for _, now := range []time.Time{midnight, midnight.Add(4 * time.Minute)} {
			points, step := h.last(hours, now).GetPoints(), stepOf(hours)
			if len(points) > 336 || hours <= 28 && len(points) != 12*hours || len(points) < 12*hours/int(step/marksApart)-1 {
				t.Fatalf("%d hours have %d points, %v apart", hours, len(points), step)
			}
			for i, p := range points {
				if i > 0 && p.GetTime().AsTime().Sub(points[i-1].GetTime().AsTime()) != step {
					t.Fatalf("%d hours: %v comes after %v", hours, p, points[i-1])
				}
			}
			if len(points) > 0 && !points[0].GetTime().AsTime().After(now.Add(-time.Duration(hours)*time.Hour)) {
				t.Fatalf("%d hours begin with %v", hours, points[0])
			}
		}
	}
}

func TestTheHistoryKeepsAWeekAndPassesOverWhatIsNoCount(t *testing.T) {
	h := weekOf(t, midnight)
	before := len(h.marks)
	if before > marksMost {
		t.Fatalf("it keeps %d marks, of a week's %d", before, marksMost)
	}
	elsewhere := counted(t, midnight.Add(-time.Hour), 99)
	elsewhere.Subject = countSubject(midnight.Add(-2 * time.Hour))
	for _, bad := range []journal.Entry{{Subject: countSubject(midnight), Data: []byte{0xff}}, elsewhere,
		counted(t, midnight.Add(-historyMost*time.Hour), 99), counted(t, midnight.Add(time.Hour), 99)} {
		h.take(bad, midnight)
	}
	for _, p := range h.last(historyUsual, midnight).GetPoints() {
		if p.GetOpen() == 99 {
			t.Errorf("it believes %v", p)
		}
	}
	if len(h.marks) != before {
		t.Errorf("%d marks have become %d", before, len(h.marks))
	}
	empty := newHistory()
	if got := empty.last(historyUsual, midnight); got.Since != nil || len(got.GetPoints()) != 0 {
		t.Errorf("nothing is on record, and it says %v", got)
	}
	empty.take(counted(t, midnight.Add(-time.Hour), 7), midnight)
	if got := empty.last(historyUsual, midnight); len(got.GetPoints()) != 1 || !got.GetSince().AsTime().Equal(midnight.Add(-time.Hour)) {
		t.Errorf("one count is on record, and it says %v", got)
	}
}

func TestAMarkIsCountedOnceAndNotWhenItIsLongPast(t *testing.T) {
	mark := midnight.Add(marksApart)
	for _, c := range []struct {
		before, now time.Time
		due         bool
	}{
		{mark.Add(-time.Second), mark, true},
		{mark.Add(-time.Second), mark.Add(markLate), true},
		{mark.Add(-time.Second), mark.Add(markLate + 1), false}, // it slept
		{mark, mark.Add(time.Second), false},
		{mark.Add(-2 * time.Second), mark.Add(-time.Second), false},
		{time.Time{}, mark.Add(time.Second), false}, // it was not there
	} {
		if got, due := markDue(c.before, c.now); due != c.due || due && !got.Equal(mark) {
			t.Errorf("looked at %v and then at %v: due is %v, %v", c.before, c.now, due, got)
		}
	}
}

// shifted is a clock that a test moves.
type shifted struct{ by atomic.Int64 }

func (c *shifted) now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

func (g *ground) replicaBy(c *shifted, name string) *replica {
	g.t.Helper()
	b, err := New(Config{Instance: name, Now: c.now}, Deps{
		View: g.view, Pulse: g.pulses, Store: g.index, Index: g.index,
		Records: func(ctx context.Context) (Records, error) { return g.journal.Stream(ctx, "SESSION") },
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return g.serve(b, "127.0.0.1:0")
}

func TestSessionsOnASilentConnectorAreNotCountedAsOpen(t *testing.T) {
	g, c := newGround(t, registry.NewMemory()), &shifted{}
	r := g.replicaBy(c, "one")
	r.hearOf(&emergencyv1.Beat{Enforcer: "host-1", Service: serviceHosts, Generation: 1, OpenSessions: new(uint32(4))})
	if got := r.count(midnight, c.now()); got.GetOpen() != 4 || got.GetUnreachable() != 0 {
		t.Errorf("while it is heard: %v", got)
	}
	c.by.Add(int64(silence + time.Second))
	if got := r.count(midnight, c.now()); got.GetOpen() != 0 || got.GetUnreachable() != 4 {
		t.Errorf("while it is silent: %v", got)
	}
}

func TestEveryReplicaAnswersTheSameHistoryAndSoDoesTheNextProcess(t *testing.T) {
	g, c := newGround(t, registry.NewMemory()), &shifted{}
	mark := time.Now().Add(time.Hour).Truncate(marksApart)
	c.by.Store(int64(time.Until(mark.Add(-30 * time.Second))))
	one, two := g.replicaBy(c, "one"), g.replicaBy(c, "two")
	a, b := g.site("host-1", one.addr), g.site("host-2", two.addr)
	a.open("alice", "db-1")
	b.open("alice", "web-1")
	b.open("bob", "web-1")
	eventually(t, "both know of three sessions", func() bool {
		return one.count(mark, c.now()).GetOpen() == 3 && two.count(mark, c.now()).GetOpen() == 3
	})
	time.Sleep(2 * look) // both have looked before the mark
	c.by.Store(int64(time.Until(mark.Add(-2 * time.Second))))
	same := func(r *replica) bool {
		got, err := r.GetSessionHistory(t.Context(), &sessionv1.GetSessionHistoryRequest{})
		return err == nil && len(got.GetPoints()) == 1 && got.GetPoints()[0].GetOpen() == 3 && got.GetPoints()[0].GetUnreachable() == 0 &&
			got.GetPoints()[0].GetTime().AsTime().Equal(mark) && got.GetSince().AsTime().Equal(mark)
	}
	eventually(t, "both answer the mark", func() bool { return same(one) && same(two) })
	time.Sleep(2 * look) // the slower one has tried
	if n := g.entries(subjectCount + strconv.FormatInt(mark.Unix(), 10)); n != 1 {
		t.Errorf("the mark is on record %d times", n)
	}
	one.kill()
	two.kill()
	three := g.replicaBy(c, "three")
	eventually(t, "the next process answers it too", func() bool { return same(three) })
}

// entries counts what is on record under a subject.
func (g *ground) entries(subject string) (n int) {
	g.t.Helper()
	s, err := g.journal.Stream(g.t.Context(), "SESSION")
	if err != nil {
		g.t.Fatal(err)
	}
	if err := s.Replay(g.t.Context(), 1, func(e journal.Entry) error {
		if e.Subject == subject {
			n++
		}
		return nil
	}); err != nil {
		g.t.Fatal(err)
	}
	return n
}

func TestTheHistoryIsRefusedWhileItIsNotKnownAndForHoursThatItDoesNotHave(t *testing.T) {
	b := &Broker{config: Config{Now: time.Now}, history: newHistory()}
	if _, err := b.GetSessionHistory(t.Context(), &sessionv1.GetSessionHistoryRequest{}); !fault.Is(err, fault.JournalUnavailable) {
		t.Errorf("before the record was read it answers %v", err)
	}
	b.history.ready()
	for _, hours := range []int32{-1, 0, historyMost + 1} {
		if _, err := b.GetSessionHistory(t.Context(), &sessionv1.GetSessionHistoryRequest{Hours: &hours}); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%d hours: %v", hours, err)
		}
	}
}
