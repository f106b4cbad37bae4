package condition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
)

// hall is some clocks, and this process's among them.
type hall struct {
	*Condition
	true, own time.Duration
}

func newHall() *hall {
	h := &hall{true: time.Hour}
	h.Condition = New("emergency-control", func() time.Time { return time.Unix(0, 0).Add(h.true + h.own) }, slog.New(slog.DiscardHandler))
	return h
}

// beat has everybody tell their time twice a second, of clocks that are so far ahead; late is how long it takes to come.
func (h *hall) beat(lasts, late time.Duration, ahead map[string]time.Duration) {
	for end := h.true + lasts; h.true < end; h.true += 500 * time.Millisecond {
		for name, off := range ahead {
			h.Hear(&emergencyv1.Beat{Service: "access-gate", Enforcer: name, Time: timestamppb.New(time.Unix(0, 0).Add(h.true - late + off))})
		}
	}
}

func TestNothingThatGoesByTheClockIsAppliedWhileClocksDifferByMoreThanFiveSeconds(t *testing.T) {
	ten := 10 * time.Second
	for name, c := range map[string]struct {
		own   time.Duration
		ahead map[string]time.Duration
		want  string // within the refusal; empty for none
	}{
		"nobody is heard":          {0, nil, ""},
		"all agree":                {0, map[string]time.Duration{"a": 0, "b": 0}, ""},
		"a little":                 {0, map[string]time.Duration{"a": 4 * time.Second, "b": -4 * time.Second}, ""},
		"one is fast":              {0, map[string]time.Duration{"a": ten, "b": 0}, "a (10s fast)"},
		"one is slow":              {0, map[string]time.Duration{"a": -ten, "b": 0}, "a (10s slow)"},
		"this one is fast":         {ten, map[string]time.Duration{"a": 0, "b": 0}, "emergency-control (10s fast)"},
		"this one is slow":         {-ten, map[string]time.Duration{"a": 0, "b": 0}, "emergency-control (10s slow)"},
		"all are wrong in one way": {ten, map[string]time.Duration{"a": ten, "b": ten}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall()
			h.own = c.own
			h.beat(500*time.Millisecond, 0, c.ahead)
			if err := h.Agree(); err != nil {
				t.Errorf("refused before it is sure: %v", err)
			}
			h.beat(3*time.Second, 0, c.ahead)
			err := h.Agree()
			if c.want == "" && err != nil || c.want != "" && (!fault.Is(err, fault.ClockSkewed) || !strings.Contains(err.Error(), ": "+c.want+".")) {
				t.Errorf("%v, want %q", err, c.want)
			}
			h.own = 0
			h.beat(time.Second, 0, map[string]time.Duration{"a": 0, "b": 0})
			if err := h.Agree(); err != nil {
				t.Errorf("refused with all clocks right: %v", err)
			}
		})
	}
}

func TestWhatCameLateIsNoWrongClock(t *testing.T) {
	h := newHall()
	right := map[string]time.Duration{"a": 0, "b": 0, "c": 0}
	h.beat(3*time.Second, 0, right)
	h.beat(500*time.Millisecond, 8*time.Second, map[string]time.Duration{"a": 0}) // it was stuck on its way, and more comes at once
	h.beat(3*time.Second, 0, right)
	if err := h.Agree(); err != nil {
		t.Error(err)
	}
}

func TestWhoIsSilentHasNoClock(t *testing.T) {
	h := newHall()
	h.beat(3*time.Second, 0, map[string]time.Duration{"a": 10 * time.Second, "b": 0, "c": 0})
	h.beat(5*time.Second, 0, map[string]time.Duration{"b": 0, "c": 0})
	if err := h.Agree(); err != nil {
		t.Error(err)
	}
}

func TestAJournalThatTakesNothingIsRefusedByNameUntilItDoes(t *testing.T) {
	c := New("emergency-control", time.Now, slog.New(slog.DiscardHandler))
	says := fmt.Errorf("%w (no space left on device)", journal.ErrFull)
	probe := func(context.Context) error { return says }
	if err := c.Takes(t.Context()); err != nil {
		t.Errorf("refused before anything is known: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	over := make(chan error, 1)
	go func() { over <- c.Run(ctx, probe) }()
	for shown := new(emergencyv1.ListEnforcersResponse); shown.GetJournal().GetState() != emergencyv1.JournalHealth_FULL; c.Show(shown) {
		if t.Context().Err() != nil {
			t.Fatal("the panel does not say that it is full")
		}
	}
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if err := c.Takes(t.Context()); !errors.Is(err, journal.ErrFull) {
		t.Errorf("%v, want it full", err)
	}
	says = nil // what is known may be over
	if err := c.Takes(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnAlertCanTellThatTheRecordTakesNothingAndWhy(t *testing.T) {
	c := newHall().Condition
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		err                       error
		full, unreachable, broken float64
	}{{nil, 0, 0, 0}, {fmt.Errorf("writing: %w", journal.ErrFull), 1, 0, 0}, {journal.ErrUnavailable, 0, 1, 0}, {fmt.Errorf("%w: entry 4", ErrBroken), 0, 0, 1}, {nil, 0, 0, 0}} {
		_ = c.ask(t.Context(), func(context.Context) error { return one.err })
		all, err := r.Gather()
		if err != nil || len(all) != 1 || all[0].GetName() != "portcullis_journal_refuses" {
			t.Fatalf("%v, %v", all, err)
		}
		is := map[string]float64{}
		for _, m := range all[0].GetMetric() {
			is[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
		if is["full"] != one.full || is["unreachable"] != one.unreachable || is["broken"] != one.broken || len(is) != 3 {
			t.Errorf("after %v it is %v", one.err, is)
		}
	}
}
