package journal_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/services/internal/journal"
)

// outside is a stream of a server in a process of its own.
func outside(t testing.TB) (*broker, *journal.Stream, *journal.Journal) {
	t.Helper()
	b := newBroker(t, freeAddrs(t, 1)[0], t.TempDir(), "")
	b.start()
	j := connect(t, journal.Config{URL: b.url(), Log: logTo(t)})
	return b, open(t, j, state), j
}

// reached returns when the journal answers.
func reached(t testing.TB, j *journal.Journal) *journal.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	s, err := j.Stream(ctx, state.Name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAWatchGoesOnAfterTheServerIsKilled(t *testing.T) {
	b, s, _ := outside(t)
	w := watch(t, s, journal.WatchConfig{})
	w.becomes(t, true)
	var want []string
	var worst time.Duration
	for round := range 3 {
		want = append(want, fmt.Sprintf("%d state.a %d", appended(t, s, "state.a", fmt.Sprint(round)), round))
		b.kill()
		w.becomes(t, false)
		b.start()
		back := time.Now()
		w.becomes(t, true)
		worst = max(worst, time.Since(back))
	}
	t.Logf("fresh again %s after the server was back, at worst", worst)
	if worst > 2*time.Second {
		t.Errorf("that is too slow")
	}
	want = append(want, fmt.Sprintf("%d state.a end", appended(t, s, "state.a", "end")))
	if diff := cmp.Diff(want, w.lines(t, len(want))); diff != "" {
		t.Error(diff)
	}
}

func TestAWatchNoticesAFrozenServer(t *testing.T) {
	b, s, _ := outside(t)
	w := watch(t, s, journal.WatchConfig{})
	w.becomes(t, true)
	b.signal(syscall.SIGSTOP)
	frozen := time.Now()
	w.becomes(t, false)
	noticed := time.Since(frozen)
	b.signal(syscall.SIGCONT)
	thawed := time.Now()
	w.becomes(t, true)
	t.Logf("noticed after %s, fresh again %s after the thaw", noticed, time.Since(thawed))
	if noticed > 1500*time.Millisecond {
		t.Error("that is too slow")
	}
	appended(t, s, "state.a", "end")
	if got := w.lines(t, 1); got[0] != "1 state.a end" {
		t.Error(got)
	}
}

func TestAWatchCutOffInTheMiddleOfTheSnapshotLeavesNothingOut(t *testing.T) {
	b, s, _ := outside(t)
	const many = 3000
	for i := 0; i < many; i += 1000 {
		batch := make([]journal.Message, 1000)
		for k := range batch {
			batch[k] = journal.Message{Subject: fmt.Sprintf("state.%d", i+k), Data: []byte("x")}
		}
		if _, err := s.AppendBatch(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	next, ready := uint64(1), false
	err := s.Watch(ctx, journal.WatchConfig{
		Entry: func(e journal.Entry) error {
			if e.Sequence != next {
				return fmt.Errorf("%d comes after %d", e.Sequence, next-1)
			}
			if next++; e.Sequence%1000 == 700 {
				b.kill()
				b.start()
			}
			return nil
		},
		Ready: func() { ready = true; cancel() },
	})
	if err != nil || !ready || next != many+1 {
		t.Errorf("up to %d, ready=%t, %v", next-1, ready, err)
	}
}

// publish appends with 16 writers, every fourth of them in batches, and returns
// what was acknowledged when they are stopped, which an error does too.
func publish(ctx context.Context, s *journal.Stream, round string) map[string]uint64 {
	var mu sync.Mutex
	acked := map[string]uint64{}
	var writers sync.WaitGroup
	for w := range 16 {
		size := 1
		if w%4 == 0 {
			size = 5
		}
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				batch := make([]journal.Message, size)
				for k := range batch {
					id := fmt.Sprintf("%s-%d-%d-%d", round, w, i, k)
					batch[k] = journal.Message{Subject: "state." + id, Data: []byte(id)}
				}
				last, err := s.AppendBatch(ctx, batch)
				if err != nil {
					return
				}
				mu.Lock()
				for k, m := range batch {
					acked[string(m.Data)] = last - uint64(size-1-k)
				}
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	return acked
}

// missing counts what was acknowledged and is not where it was said to be.
func missing(t testing.TB, s *journal.Stream, acked map[string]uint64) int {
	t.Helper()
	have := map[uint64]string{}
	err := s.Replay(t.Context(), 1, func(e journal.Entry) error {
		have[e.Sequence] = string(e.Data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for id, seq := range acked {
		if have[seq] != id {
			lost++
		}
	}
	return lost
}

func TestKillingTheServerLosesNothingAcknowledged(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	if n := nightly(); n > 0 {
		rounds = 10 * n
	}
	b, s, j := outside(t)
	acked := map[string]uint64{}
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan map[string]uint64, 1)
		go func() { done <- publish(ctx, s, fmt.Sprint(round)) }()
		if err := grow(t.Context(), s, uint64(15+9*(round%7))); err != nil {
			t.Fatal(err)
		}
		b.kill()
		cancel()
		for id, seq := range <-done {
			acked[id] = seq
		}
		b.start()
		reached(t, j)
	}
	lost := missing(t, s, acked)
	t.Logf("%d rounds, %d acknowledged, %d lost", rounds, len(acked), lost)
	if lost > 0 || len(acked) < rounds {
		t.Error("acknowledged entries are lost")
	}
}

// grow returns when the stream has n more entries than now.
func grow(ctx context.Context, s *journal.Stream, n uint64) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	begin, err := s.LastSequence(ctx)
	for last := begin; err == nil && last < begin+n; {
		last, err = s.LastSequence(ctx)
	}
	return err
}

func TestWorkGoesOnAfterTheServerIsKilled(t *testing.T) {
	b, _, j := outside(t)
	s := open(t, j, journal.StreamConfig{Name: "QUEUE", Subjects: []string{"queue.>"}, WorkQueue: true})
	done := make(chan string, 10)
	go func() {
		_ = s.Work(t.Context(), journal.WorkConfig{Name: "worker", Do: func(_ context.Context, tasks []journal.Task) []error {
			done <- line(tasks[0].Entry)
			return []error{nil}
		}})
	}()
	for round := range 3 {
		want := fmt.Sprintf("%d queue.a %d", appended(t, s, "queue.a", fmt.Sprint(round)), round)
		for got := ""; got != want; { // what it was killed over may come again
			got = await(t, want, done)
		}
		b.kill()
		b.start()
		reached(t, j)
	}
}
