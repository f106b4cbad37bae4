package journal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

// race lets n writers append at the same expectation and returns the losers' errors.
func race(t *testing.T, s *journal.Stream, n int, expect journal.Expectation) (wins int, errs []error) {
	t.Helper()
	results := make(chan error, n)
	var begin, done sync.WaitGroup
	begin.Add(1)
	for i := range n {
		done.Go(func() {
			begin.Wait()
			_, err := s.Append(t.Context(), journal.Message{Subject: "state.x", Data: fmt.Appendf(nil, "%d", i), Expect: expect})
			results <- err
		})
	}
	begin.Done()
	done.Wait()
	close(results)
	for err := range results {
		if err == nil {
			wins++
		} else {
			errs = append(errs, err)
		}
	}
	return wins, errs
}

func TestOfFiftyWritersThatExpectTheSameOneWins(t *testing.T) {
	for name, expect := range map[string]journal.Expectation{
		"on the subject": journal.OnSubject(0), "on the stream": journal.OnStream(1),
	} {
		s, _ := opened(t)
		appended(t, s, "other.x", "first")
		wins, errs := race(t, s, 50, expect)
		if wins != 1 {
			t.Errorf("%s: %d won", name, wins)
		}
		for _, err := range errs {
			if !errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrUnknown) {
				t.Errorf("%s: a loser got %v", name, err)
			}
		}
	}
}

func TestABatchIsStoredWholeOrNotAtAll(t *testing.T) {
	s, _ := opened(t)
	ctx := t.Context()
	first := appended(t, s, "state.a", "a1")
	last, err := s.AppendBatch(ctx, []journal.Message{
		{Subject: "state.a", Data: []byte("a2"), Expect: journal.OnSubject(first)},
		{Subject: "state.b", Data: []byte("b1"), Expect: journal.OnSubject(0)},
		{Subject: "state.a", Data: []byte("a3")},
	})
	if err != nil || last != 4 {
		t.Fatalf("a good batch: %d, %v", last, err)
	}
	_, err = s.AppendBatch(ctx, []journal.Message{
		{Subject: "state.c", Data: []byte("c1"), Expect: journal.OnSubject(0)},
		{Subject: "state.b", Data: []byte("b2"), Expect: journal.OnSubject(0)}, // it is at 3
	})
	if !errors.Is(err, journal.ErrConflict) {
		t.Errorf("a batch with one conflict: %v", err)
	}
	want := []string{"1 state.a a1", "2 state.a a2", "3 state.b b1", "4 state.a a3"}
	if diff := cmp.Diff(want, history(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestABatchCanExpectTheWholeStream(t *testing.T) {
	s, _ := opened(t)
	for n := range 3 { // batches of one, two and three
		at, err := s.LastSequence(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		batch := make([]journal.Message, n+1)
		for i := range batch {
			batch[i] = journal.Message{Subject: fmt.Sprintf("state.%d", i), Data: []byte("x")}
		}
		for _, behind := range []uint64{at + 1, at + 7} {
			batch[0].Expect = journal.OnStream(behind)
			if last, err := s.AppendBatch(t.Context(), batch); !errors.Is(err, journal.ErrConflict) {
				t.Errorf("%d at %d, expecting %d: %d, %v", n+1, at, behind, last, err)
			}
		}
		batch[0].Expect = journal.OnStream(at)
		if last, err := s.AppendBatch(t.Context(), batch); err != nil || last != at+uint64(n)+1 {
			t.Errorf("%d at %d: %d, %v", n+1, at, last, err)
		}
	}
}

func TestAThousandMessagesAreOneBatchAndMoreAreRefused(t *testing.T) {
	s, _ := opened(t)
	batch := make([]journal.Message, journal.MaxBatch)
	for i := range batch {
		batch[i] = journal.Message{Subject: fmt.Sprintf("state.%d", i), Data: make([]byte, 300)}
	}
	if last, err := s.AppendBatch(t.Context(), batch); err != nil || last != journal.MaxBatch {
		t.Fatalf("%d, %v", last, err)
	}
	for name, bad := range map[string][]journal.Message{
		"1001 messages":             append(batch, journal.Message{Subject: "state.x"}),
		"none":                      nil,
		"a late stream expectation": {{Subject: "state.a"}, {Subject: "state.b", Expect: journal.OnStream(1000)}},
		"a subject expected twice":  {{Subject: "state.a"}, {Subject: "state.a", Expect: journal.OnSubject(0)}},
		"a wildcard":                {{Subject: "state.a"}, {Subject: "state.*"}},
		"an empty token":            {{Subject: "state.a"}, {Subject: "state..b"}},
		"two megabytes":             {{Subject: "state.a", Data: make([]byte, 2<<20)}, {Subject: "state.b"}},
	} {
		_, err := s.AppendBatch(t.Context(), bad)
		if err == nil || errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if last, err := s.LastSequence(t.Context()); err != nil || last != journal.MaxBatch {
		t.Errorf("%d stored, %v", last, err)
	}
}

func TestAnAppendToTheSubjectOfAnotherStreamIsNotStored(t *testing.T) {
	s, j := opened(t)
	second := open(t, j, journal.StreamConfig{Name: "SECOND", Subjects: []string{"second.>"}})
	if _, err := s.Append(t.Context(), journal.Message{Subject: "second.x"}); err == nil || errors.Is(err, journal.ErrUnknown) {
		t.Errorf("appending through the wrong stream: %v", err)
	}
	if last, err := second.LastSequence(t.Context()); err != nil || last != 0 {
		t.Errorf("%d stored, %v", last, err)
	}
}

func TestAFullStreamSaysSo(t *testing.T) {
	j := connect(t, journal.Config{InProcess: start(t, local.Config{}).InProcess()})
	s := open(t, j, journal.StreamConfig{Name: "SMALL", Subjects: []string{"small.>"}, MaxBytes: 10_000})
	big := journal.Message{Subject: "small.x", Data: make([]byte, 4_000)}
	for range 2 {
		if _, err := s.Append(t.Context(), big); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Append(t.Context(), big)
	if !errors.Is(err, journal.ErrFull) || errors.Is(err, journal.ErrUnknown) {
		t.Errorf("one: %v", err)
	}
	if _, err := s.AppendBatch(t.Context(), []journal.Message{big, big}); !errors.Is(err, journal.ErrFull) {
		t.Errorf("a batch: %v", err)
	}
	if got := len(history(t, s)); got != 2 {
		t.Errorf("%d stored", got)
	}
}

func TestAppendingWithoutAServerIsUnavailableAndNotUnknown(t *testing.T) {
	srv := start(t, local.Config{Listen: "127.0.0.1:0"})
	j := connect(t, journal.Config{URL: srv.URL()})
	s := open(t, j, state)
	srv.Shutdown()
	for j.Connected() {
		select {
		case <-t.Context().Done():
			t.Fatal("still connected")
		case <-time.After(time.Millisecond):
		}
	}
	for name, appending := range map[string]func(context.Context) error{
		"one": func(ctx context.Context) error {
			_, err := s.Append(ctx, journal.Message{Subject: "state.x"})
			return err
		},
		"a batch": func(ctx context.Context) error { _, err := s.AppendBatch(ctx, two()); return err },
		"a beat":  func(context.Context) error { return j.Beat("beat.x", nil) }, // and not kept to be sent later
	} {
		if err := appending(t.Context()); !errors.Is(err, journal.ErrUnavailable) || errors.Is(err, journal.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func two() []journal.Message { return []journal.Message{{Subject: "state.x"}, {Subject: "state.y"}} }

func TestAPlainSubscriberSeesWhatIsRefusedAndAWatchDoesNot(t *testing.T) {
	srv := start(t, local.Config{})
	s := open(t, connect(t, journal.Config{InProcess: srv.InProcess()}), state)
	plain, err := nats.Connect("", nats.InProcessServer(srv.InProcess()))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	heard, err := plain.SubscribeSync("state.>")
	if err == nil {
		err = plain.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, s, journal.WatchConfig{})
	await(t, "ready", w.ready)
	if _, err := s.Append(t.Context(), journal.Message{Subject: "state.x", Data: []byte("refused"), Expect: journal.OnSubject(9)}); !errors.Is(err, journal.ErrConflict) {
		t.Fatal(err)
	}
	if m, err := heard.NextMsg(within); err != nil || string(m.Data) != "refused" {
		t.Fatalf("the trap is gone: %v", err)
	}
	appended(t, s, "state.x", "stored")
	if got := await(t, "an entry", w.entries); string(got.Data) != "stored" {
		t.Errorf("the watch saw %q", got.Data)
	}
}
