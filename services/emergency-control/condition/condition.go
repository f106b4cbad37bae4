// Package condition knows what keeps anything new from being put on record: a journal that takes nothing, and clocks
// that differ. What is on is enforced meanwhile, by whoever holds it.
package condition

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
)

const probeEvery = time.Second

// ErrBroken is why a record takes nothing that does not verify.
var ErrBroken = errors.New("the record does not verify")

// Condition is what this process knows of it.
type Condition struct {
	now    func() time.Time
	log    *slog.Logger
	name   string // of this process, for who reads a refusal
	clocks clocks

	mu     sync.Mutex
	probe  func(context.Context) error // nil until Run
	health emergencyv1.JournalHealth_State
	since  time.Time
}

// New knows nothing yet. The name is this service's.
func New(name string, now func() time.Time, log *slog.Logger) *Condition {
	return &Condition{name: name, now: now, log: log, clocks: clocks{heard: map[string]*reading{}}}
}

// Hear takes what an enforcer's clock says, of a beat that has just come.
func (c *Condition) Hear(beat *emergencyv1.Beat) {
	if beat.GetTime() != nil && !beat.GetUnreachable() {
		c.clocks.hear(beat.GetService()+"/"+beat.GetEnforcer(), beat.GetTime().AsTime(), c.now())
	}
}

// Run asks again and again whether the record takes anything, until the context ends.
func (c *Condition) Run(ctx context.Context, takes func(context.Context) error) error {
	c.mu.Lock()
	c.probe = takes
	c.mu.Unlock()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		_ = c.ask(ctx, takes)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Condition) ask(ctx context.Context, takes func(context.Context) error) error {
	err := takes(ctx)
	if ctx.Err() != nil {
		return err // nobody waited for the answer
	}
	is := emergencyv1.JournalHealth_READY
	switch {
	case errors.Is(err, journal.ErrFull):
		is = emergencyv1.JournalHealth_FULL
	case errors.Is(err, ErrBroken):
		is = emergencyv1.JournalHealth_BROKEN
	case err != nil:
		is = emergencyv1.JournalHealth_UNREACHABLE
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.health == is {
		return err
	}
	if err != nil {
		c.log.ErrorContext(ctx, "the journal takes nothing new; what is on stays on", "state", is, "error", err)
	} else if !c.since.IsZero() {
		c.log.InfoContext(ctx, "the journal takes new entries again")
	}
	c.health, c.since = is, c.now()
	return err
}

// Ready reports whether the record took new entries when somebody last asked. Before anybody has, it is not known.
func (c *Condition) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health == emergencyv1.JournalHealth_READY
}

// Takes refuses by name what the record would not take. What was known last may be over, so before it refuses it asks.
func (c *Condition) Takes(ctx context.Context) error {
	c.mu.Lock()
	health, probe := c.health, c.probe
	c.mu.Unlock()
	if probe == nil || health <= emergencyv1.JournalHealth_READY {
		return nil
	}
	return c.ask(ctx, probe)
}

// Agree refuses, while the clocks of those who enforce differ, what starts and ends by them.
func (c *Condition) Agree() error {
	now, wrong := c.now(), []string{}
	c.clocks.mu.Lock()
	for _, who := range slices.Sorted(maps.Keys(c.clocks.heard)) {
		if off := c.clocks.heard[who].skew(now); off != 0 {
			_, enforcer, _ := strings.Cut(who, "/")
			wrong = append(wrong, enforcer+" ("+said(off)+")")
		}
	}
	if off := c.clocks.own.skew(now); off != 0 {
		wrong = append(wrong, c.name+" ("+said(off)+")")
	}
	c.clocks.mu.Unlock()
	if len(wrong) == 0 {
		return nil
	}
	return fault.New(fault.ClockSkewed, "Nothing that starts and ends by the clock is applied while clocks differ by more than %s: %s. "+
		"Set them right, or stop who has them, and apply again. What is on stays on, and sessions can be ended; a hold shuts the doors meanwhile",
		Tolerated, strings.Join(wrong, ", ")).With("clocks", strings.Join(wrong, ", "))
}

func said(off time.Duration) string {
	if off < 0 {
		return (-off).Round(time.Second).String() + " slow"
	}
	return off.Round(time.Second).String() + " fast"
}

// Show adds what is known to an answer.
func (c *Condition) Show(to *emergencyv1.ListEnforcersResponse) {
	now := c.now()
	c.mu.Lock()
	to.Journal = &emergencyv1.JournalHealth{State: c.health}
	if !c.since.IsZero() {
		to.Journal.SinceTime = timestamppb.New(c.since)
	}
	c.mu.Unlock()
	c.clocks.mu.Lock()
	defer c.clocks.mu.Unlock()
	to.ClockSkew = shown(c.clocks.own.skew(now))
	for _, e := range to.GetEnforcers() {
		e.ClockSkew = shown(c.clocks.heard[e.GetService()+"/"+e.GetId()].skew(now))
	}
}

func shown(skew time.Duration) *durationpb.Duration {
	if skew == 0 {
		return nil
	}
	return durationpb.New(skew.Round(100 * time.Millisecond))
}
