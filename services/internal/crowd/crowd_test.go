package crowd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// sent are messages, as who hears them reads them.
type sent struct {
	t   *testing.T
	mu  sync.Mutex // guards all
	all []string
}

func (s *sent) beat(subject string, data []byte) error {
	b := new(emergencyv1.Beat)
	if err := proto.Unmarshal(data, b); err != nil {
		s.t.Error(err)
	}
	all, folded := Of("connector", subject, b)
	if len(data) == 0 {
		subject += " bye"
	}
	if folded {
		subject += fmt.Sprint(" ", len(all))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, subject)
	return nil
}

// took answers what was sent since it was asked last.
func (s *sent) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

func says(i int, revision string) *emergencyv1.Beat {
	return &emergencyv1.Beat{Service: "connector", Enforcer: fmt.Sprintf("c%03d", i), BootId: "b", Revision: revision}
}

func TestOfManyWhatIsNewGoesAtOnceAndTheRestOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &sent{t: t}
		c := New(Config{Service: "connector", Instance: "b1", After: time.Minute, Beat: to.beat, Log: slog.New(slog.DiscardHandler)})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = c.Run(ctx) }()
		check := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := to.took(); !slices.Equal(got, want) {
				t.Errorf("%s: %v", when, got)
			}
		}
		c.Add(1000)
		c.Tell(ctx, nil, says(0, "7-1"))
		check("while an upgrade may be under way", "beat.connector.c000")
		time.Sleep(time.Minute + every/2)
		check("nobody says anything")
		for i := range 450 {
			c.Tell(ctx, nil, says(i, "7-1"))
		}
		time.Sleep(within)
		check("at first", "beat.connector.b1.folded 200", "beat.connector.b1.folded 200", "beat.connector.b1.folded 50")
		for i := range 450 {
			c.Tell(ctx, says(i, "7-1"), says(i, "7-1"))
		}
		time.Sleep(within)
		check("nothing new")
		c.Tell(ctx, says(7, "7-1"), says(7, "7-2"))
		time.Sleep(within)
		check("what is new", "beat.connector.b1.folded 1")
		c.Leave(ctx, "c009", nil)
		check("a goodbye", "beat.connector.c009 bye")
		time.Sleep(every)
		check("all but who is told of and who has left", "beat.connector.b1.folded 200", "beat.connector.b1.folded 200", "beat.connector.b1.folded 48")
		c.Add(-950)
		c.Tell(ctx, nil, says(1, "7-2"))
		check("of few", "beat.connector.c001")
		stop()
	})
}

func TestOneWhoSaysTooMuchOfItselfKeepsNobodyElseFromBeingToldOf(t *testing.T) {
	to := &sent{t: t}
	told := 0
	c := New(Config{Service: "connector", Instance: "b1", Log: slog.New(slog.DiscardHandler), Beat: func(subject string, data []byte) error {
		if len(data) > 1<<20 {
			return errors.New("no message is as large as that")
		}
		b := new(emergencyv1.Beat)
		err := proto.Unmarshal(data, b)
		told += len(b.GetFolded())
		return errors.Join(err, to.beat(subject, data))
	}})
	c.Add(1000)
	for i := range 300 {
		c.Tell(t.Context(), nil, says(i, "7-1"))
	}
	c.Tell(t.Context(), nil, says(300, strings.Repeat("7", 2<<20)))
	for i := 301; i < 304; i++ {
		c.Tell(t.Context(), nil, says(i, strings.Repeat("7", 400<<10)))
	}
	c.tellAll(t.Context(), true)
	if told != 303 {
		t.Errorf("%d of 303 were told of: %v", told, to.took())
	}
}

func TestAMessageOfManySpeaksForOneServiceAlone(t *testing.T) {
	b := &emergencyv1.Beat{Folded: []*emergencyv1.Beat{says(1, ""), {Service: "guard", Enforcer: "g"}, {Service: "connector", Enforcer: "c", Folded: []*emergencyv1.Beat{says(2, "")}}}}
	if all, ok := Of("connector", "beat.connector.b1.folded", b); !ok || len(all) != 1 || all[0].GetEnforcer() != "c001" {
		t.Error(all, ok)
	}
	for subject, b := range map[string]*emergencyv1.Beat{"beat.guard.b1.folded": b, "beat.connector.c1": b, "beat.connector.b1.folded": says(1, "")} {
		if _, ok := Of("connector", subject, b); ok {
			t.Errorf("%s is taken for one: %v", subject, b)
		}
	}
}
