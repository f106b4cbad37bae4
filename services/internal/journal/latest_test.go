package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

func TestWhatIsRewrittenAtEveryUseIsKeptInItsLatestVersionOnly(t *testing.T) {
	srv := start(t, local.Config{})
	s := open(t, connect(t, journal.Config{InProcess: srv.InProcess()}), journal.StreamConfig{
		Name: "IDENTITY_SECRET", Subjects: []string{"secret.>"}, Latest: true,
	})
	other := appended(t, s, "secret.factor.bruno", "rarely used")
	record := make([]byte, 1<<10)
	var last journal.Entry
	for i := range 200 {
		copy(record, fmt.Sprintf("%04d", i))
		var err error
		if last, err = s.Update(t.Context(), "secret.factor.alice", func(journal.Entry, bool) ([]byte, error) { return record, nil }); err != nil {
			t.Fatalf("update %d: %v", i, err)
		}
	}
	if got, err := s.Last(t.Context(), "secret.factor.alice"); err != nil || got.Sequence != last.Sequence || string(got.Data[:4]) != "0199" {
		t.Errorf("the last is %d, %v", got.Sequence, err)
	}
	if got, err := s.Last(t.Context(), "secret.factor.bruno"); err != nil || got.Sequence != other {
		t.Errorf("what was rarely used is %v, %v", got, err)
	}
	if n := len(history(t, s)); n != 2 {
		t.Errorf("%d entries are left", n)
	}
	stale := journal.Message{Subject: "secret.factor.alice", Data: record, Expect: journal.OnSubject(last.Sequence - 1)}
	if _, err := s.Append(t.Context(), stale); !errors.Is(err, journal.ErrConflict) {
		t.Errorf("an append on a stale expectation: %v", err)
	}
}

func TestAWatchGoesOnWhereWhatItHasWasReplaced(t *testing.T) {
	s := open(t, connect(t, journal.Config{InProcess: start(t, local.Config{}).InProcess()}), journal.StreamConfig{Name: "IDENTITY_SECRET", Subjects: []string{"secret.>"}, Latest: true})
	put := func(subject, text string) journal.Entry {
		e, err := s.Update(t.Context(), subject, func(journal.Entry, bool) ([]byte, error) { return []byte(text), nil })
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	held := put("secret.factor.alice", "1")
	put("secret.factor.alice", "2")
	put("secret.factor.bruno", "3")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	err := s.Watch(ctx, journal.WatchConfig{Subjects: []string{"secret.factor.>"}, Held: held,
		Entry: func(e journal.Entry) error { got = append(got, string(e.Data)); return nil }, Ready: cancel})
	if err != nil || strings.Join(got, "") != "23" {
		t.Errorf("it goes on with %v, and says %v", got, err)
	}
	gone := held
	gone.Subject = "secret.factor.nobody"
	if err := s.Watch(t.Context(), journal.WatchConfig{Held: gone, Entry: func(journal.Entry) error { return nil }}); !errors.Is(err, journal.ErrDiverged) {
		t.Errorf("what was never there: %v", err)
	}
}
