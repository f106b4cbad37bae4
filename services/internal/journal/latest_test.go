package journal_test

import (
	"errors"
	"fmt"
	"testing"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

func TestWhatIsRewrittenAtEveryUseNeverFillsItsStream(t *testing.T) {
	srv := start(t, local.Config{})
	s := open(t, connect(t, journal.Config{InProcess: srv.InProcess()}), journal.StreamConfig{
		Name: "IDENTITY_SECRET", Subjects: []string{"secret.>"}, MaxBytes: 64 << 10, Latest: true,
	})
	other := appended(t, s, "secret.factor.bruno", "rarely used")
	record := make([]byte, 1<<10)
	var last journal.Entry
	for i := range 200 { // three times what fits
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
