package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

// watching is a watch that a test can wait on.
type watching struct {
	entries chan journal.Entry
	ready   chan struct{}
	fresh   chan bool
	ended   chan error
	cancel  context.CancelFunc
}

func watch(t testing.TB, s *journal.Stream, c journal.WatchConfig) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{make(chan journal.Entry, 10_000), make(chan struct{}), make(chan bool, 100), make(chan error, 1), cancel}
	c.Entry = func(e journal.Entry) error { w.entries <- e; return nil }
	c.Ready = func() { close(w.ready) }
	c.Fresh = func(fresh bool) { w.fresh <- fresh }
	go func() { w.ended <- s.Watch(ctx, c) }()
	t.Cleanup(cancel)
	return w
}

func (w *watching) lines(t testing.TB, n int) []string {
	t.Helper()
	var all []string
	for range n {
		all = append(all, line(await(t, "an entry", w.entries)))
	}
	return all
}

func (w *watching) becomes(t testing.TB, fresh bool) {
	t.Helper()
	for await(t, fmt.Sprintf("fresh=%t", fresh), w.fresh) != fresh {
	}
}

func TestAWatchBeginsWhereItIsToldAndGoesOnLive(t *testing.T) {
	held := journal.Entry{Subject: "state.b", Sequence: 2, Data: []byte("2")}
	for name, c := range map[string]struct {
		config journal.WatchConfig
		before []string
		after  []string
	}{
		"with the last of each subject": {journal.WatchConfig{}, []string{"2 state.b 2", "3 state.a 3", "4 other.c 4"}, []string{"5 state.b 5", "6 other.c 6"}},
		"with some subjects":            {journal.WatchConfig{Subjects: []string{"state.*"}}, []string{"2 state.b 2", "3 state.a 3"}, []string{"5 state.b 5"}},
		"with listed subjects":          {journal.WatchConfig{Subjects: []string{"state.a", "state.b"}}, []string{"2 state.b 2", "3 state.a 3"}, []string{"5 state.b 5"}},
		"with all":                      {journal.WatchConfig{All: true}, []string{"1 state.a 1", "2 state.b 2", "3 state.a 3", "4 other.c 4"}, []string{"5 state.b 5", "6 other.c 6"}},
		"from a sequence":               {journal.WatchConfig{From: 4}, []string{"4 other.c 4"}, []string{"5 state.b 5", "6 other.c 6"}},
		"from what comes":               {journal.WatchConfig{From: 5}, nil, []string{"5 state.b 5", "6 other.c 6"}},
		"after what is held":            {journal.WatchConfig{Held: held}, []string{"3 state.a 3", "4 other.c 4"}, []string{"5 state.b 5", "6 other.c 6"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := opened(t)
			for i, subject := range []string{"state.a", "state.b", "state.a", "other.c"} {
				appended(t, s, subject, fmt.Sprint(i+1))
			}
			w := watch(t, s, c.config)
			await(t, "ready", w.ready)
			if got := len(w.entries); got != len(c.before) {
				t.Errorf("ready after %d entries, of %d", got, len(c.before))
			}
			w.becomes(t, true)
			appended(t, s, "state.b", "5")
			appended(t, s, "other.c", "6")
			want := append(c.before, c.after...)
			if diff := cmp.Diff(want, w.lines(t, len(want))); diff != "" {
				t.Error(diff)
			}
			w.cancel()
			if err := await(t, "the end", w.ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestAWatchOfAnEmptyStreamIsReadyAtOnce(t *testing.T) {
	s, _ := opened(t)
	for name, c := range map[string]journal.WatchConfig{
		"the last": {}, "all": {All: true}, "a subject": {Subjects: []string{"state.nobody"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := watch(t, s, c)
			await(t, "ready", w.ready)
			w.becomes(t, true)
		})
	}
}

func TestTheErrorOfAWatcherEndsItsWatch(t *testing.T) {
	s, _ := opened(t)
	appended(t, s, "state.a", "bad")
	mine := errors.New("mine")
	err := s.Watch(t.Context(), journal.WatchConfig{Entry: func(journal.Entry) error { return mine }})
	if err != mine {
		t.Errorf("ended with %v", err)
	}
}

func TestAReplayGivesTheWholeHistoryAndThenEnds(t *testing.T) {
	s, _ := opened(t)
	if got := history(t, s); len(got) != 0 {
		t.Errorf("an empty stream gave %v", got)
	}
	var want []string
	for i := range 1200 { // more than one pull
		want = append(want, fmt.Sprintf("%d state.%d x", appended(t, s, fmt.Sprintf("state.%d", i%7), "x"), i%7))
	}
	if diff := cmp.Diff(want, history(t, s)); diff != "" {
		t.Error(diff)
	}
	var got []string
	err := s.Replay(t.Context(), 1199, func(e journal.Entry) error { got = append(got, line(e)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[1198:], got); diff != "" {
		t.Error(diff)
	}
	mine := errors.New("mine")
	if err := s.Replay(t.Context(), 1, func(journal.Entry) error { return mine }); err != mine {
		t.Errorf("an error of the reader came back as %v", err)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	s, j := opened(t)
	appended(t, s, "state.a", "1")
	for name, reading := range map[string]func() error{
		"a subject":  func() error { _, err := s.Last(t.Context(), "state.b"); return err },
		"a sequence": func() error { _, err := s.Get(t.Context(), 2); return err },
		"zero":       func() error { _, err := s.Get(t.Context(), 0); return err },
		"a stream":   func() error { _, err := j.Stream(t.Context(), "NOBODY"); return err },
	} {
		if err := reading(); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e, err := s.Last(t.Context(), "state.a")
	if err != nil || line(e) != "1 state.a 1" || e.Time.IsZero() {
		t.Errorf("the last is %+v, %v", e, err)
	}
	if got, err := s.Get(t.Context(), 1); err != nil || cmp.Diff(e, got) != "" {
		t.Errorf("the first is %+v, %v", got, err)
	}
}

func TestAWatchThatHoldsWhatTheJournalHasNotSaysDiverged(t *testing.T) {
	for name, c := range map[string]struct {
		data []string // of the journal that is there afterwards
		held journal.Entry
	}{
		"another entry": {[]string{"1", "x", "3"}, journal.Entry{Subject: "state.a", Sequence: 2, Data: []byte("2")}},
		"another name":  {[]string{"1", "2", "3"}, journal.Entry{Subject: "state.b", Sequence: 2, Data: []byte("2")}},
		"a lost tail":   {[]string{"1"}, journal.Entry{Subject: "state.a", Sequence: 2, Data: []byte("2")}},
		"an empty one":  {nil, journal.Entry{Subject: "state.a", Sequence: 2, Data: []byte("2")}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := opened(t)
			for _, data := range c.data {
				appended(t, s, "state.a", data)
			}
			err := s.Watch(t.Context(), journal.WatchConfig{Held: c.held, Entry: func(e journal.Entry) error {
				t.Errorf("delivered %s", line(e))
				return nil
			}})
			if !errors.Is(err, journal.ErrDiverged) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestAWatchNoticesThatTheServerCameBackWithAnotherHistory(t *testing.T) {
	srv := start(t, local.Config{Listen: "127.0.0.1:0"})
	s := open(t, connect(t, journal.Config{URL: srv.URL(), Log: logTo(t)}), state)
	appended(t, s, "state.a", "before")
	w := watch(t, s, journal.WatchConfig{})
	w.becomes(t, true)
	addr := srv.URL()[len("nats://"):]
	srv.Shutdown()
	w.becomes(t, false)
	dir := t.TempDir()
	other := start(t, local.Config{Dir: dir})
	second := open(t, connect(t, journal.Config{InProcess: other.InProcess()}), state)
	appended(t, second, "state.a", "after")
	appended(t, second, "state.a", "after that")
	other.Shutdown()
	start(t, local.Config{Dir: dir, Listen: addr})
	if err := await(t, "the end", w.ended); !errors.Is(err, journal.ErrDiverged) {
		t.Errorf("ended with %v", err)
	}
	if got := w.lines(t, 1); got[0] != "1 state.a before" || len(w.entries) != 0 {
		t.Errorf("delivered %v and %d more", got, len(w.entries))
	}
}

func TestWhatWasStoredSinceAMomentIsReadToItsEndBySubject(t *testing.T) {
	s, _ := opened(t)
	var at []time.Time
	for i := range 40 {
		subject := fmt.Sprintf("state.%d", i%2)
		e, err := s.Get(t.Context(), appended(t, s, subject, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, e.Time)
	}
	since := func(from time.Time, subjects ...string) (got []string) {
		t.Helper()
		whole, err := s.Since(t.Context(), from, subjects, func(e journal.Entry) error { got = append(got, string(e.Data)); return nil })
		if err != nil || !whole {
			t.Fatalf("whole %t, %v", whole, err)
		}
		return got
	}
	for name, c := range map[string]struct {
		got  []string
		want []string
	}{
		"all of one":       {since(time.Time{}, "state.0")[:2], []string{"0", "2"}},
		"from a moment on": {since(at[36]), []string{"36", "37", "38", "39"}},
		"of one from then": {since(at[36], "state.1"), []string{"37", "39"}},
		"of both":          {since(at[37], "state.0", "state.1"), []string{"37", "38", "39"}},
		"of nobody":        {since(at[0], "state.nobody"), nil},
		"of what is to be": {since(at[39].Add(time.Hour), "state.0"), nil},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	mine := errors.New("mine")
	if _, err := s.Since(t.Context(), at[0], nil, func(journal.Entry) error { return mine }); err != mine {
		t.Errorf("an error of the reader came back as %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	read := 0
	_, err := s.Since(ended, at[0], nil, func(journal.Entry) error { end(); read++; return nil })
	if err == nil && read < len(at) {
		t.Error("what was broken off reads as if it were all")
	}
}

func TestAReplayMissesNoEntryThatIsMissing(t *testing.T) {
	srv := start(t, local.Config{})
	s, js := open(t, connect(t, journal.Config{InProcess: srv.InProcess()}), state), raw(t, srv)
	if err := js.DeleteStream(t.Context(), "STATE"); err != nil { // to put one there that lets entries be deleted
		t.Fatal(err)
	}
	bad, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "STATE", Subjects: []string{"state.>"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		appended(t, s, "state.a", fmt.Sprint(i+1))
	}
	if err := bad.DeleteMsg(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	var got []string
	err = s.Replay(t.Context(), 1, func(e journal.Entry) error { got = append(got, line(e)); return nil })
	if !errors.Is(err, journal.ErrGap) {
		t.Errorf("ended with %v", err)
	}
	if diff := cmp.Diff([]string{"1 state.a 1", "2 state.a 2"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatALogLetGoOfIsNeitherAGapNorADivergence(t *testing.T) {
	j := connect(t, journal.Config{InProcess: start(t, local.Config{}).InProcess()})
	s := open(t, j, journal.StreamConfig{Name: "LOG", Subjects: []string{"log.>"}, MaxBytes: 10_000, MaxAge: time.Hour, DropOldest: true})
	for range 5 {
		if _, err := s.Append(t.Context(), journal.Message{Subject: "log.a", Data: make([]byte, 4_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := history(t, s); len(got) != 2 {
		t.Errorf("it holds %d", len(got))
	}
	w := watch(t, s, journal.WatchConfig{Held: journal.Entry{Subject: "log.a", Sequence: 2, Data: []byte("long gone")}})
	w.becomes(t, true)
	for want := uint64(4); want <= 5; want++ {
		if e := await(t, "an entry", w.entries); e.Sequence != want {
			t.Errorf("%d in the place of %d", e.Sequence, want)
		}
	}
}
