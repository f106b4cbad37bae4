package witness

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
)

// control answers as it is told to, and counts.
type control struct {
	note  string
	asked int
}

func (c *control) GetNewest(ctx context.Context, _ *auditv1.GetNewestRequest, _ ...grpc.CallOption) (*auditv1.Checkpoint, error) {
	if c.asked++; c.note == "" {
		<-ctx.Done() // it hangs
		return nil, errors.Join(ctx.Err())
	}
	return &auditv1.Checkpoint{Note: c.note}, nil
}

func TestABurstOfMailsAsksOnceAndNoneWaitsForAControlThatHangs(t *testing.T) {
	c, now := &control{note: "one"}, time.Now()
	w := New(c, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	for range 100 {
		if got := w.Note(t.Context()); got != "one" {
			t.Fatalf("got %q", got)
		}
	}
	c.note, now = "two", now.Add(2*young)
	if got := w.Note(t.Context()); got != "two" || c.asked != 2 {
		t.Fatalf("got %q of %d questions", got, c.asked)
	}
	c.note, now = "", now.Add(2*young)
	began := time.Now()
	for range 100 {
		if got := w.Note(t.Context()); got != "two" {
			t.Fatalf("got %q", got)
		}
	}
	if waited := time.Since(began); waited > 5*patience || c.asked != 3 {
		t.Errorf("waited %s for %d questions", waited, c.asked)
	}
	if got := New(nil, time.Now, slog.New(slog.DiscardHandler)).Note(t.Context()); got != "" {
		t.Errorf("nobody said %q", got)
	}
}
