package hold

import (
	"context"
	"sync"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/run"
)

const (
	pushAgain  = time.Second // to whom nothing was heard of, and to whoever is new
	pushWithin = 2 * time.Second
)

// Run pushes what is held to whoever hasn't said that it holds, and puts it on record when that can be done, until
// the context ends.
func (s *Service) Run(ctx context.Context) error {
	changed, stop := s.deps.Watch.Subscribe() // a hold that another replica took, a journal that is back
	defer stop()
	for {
		var again <-chan time.Time
		for _, p := range s.all() {
			again = time.After(pushAgain)
			s.push(ctx, p)
			s.record(ctx, p)
		}
		select {
		case <-changed:
		case <-s.wake:
		case <-again:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// push asks every door that hasn't said so to hold, all at once, and waits for them a moment.
func (s *Service) push(ctx context.Context, p *pushed) {
	if s.over(p) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pushWithin)
	defer cancel()
	var asked sync.WaitGroup
	for _, d := range s.deps.Doors(ctx) {
		key := d.Service + " " + d.Address
		s.mu.Lock()
		kept := p.doors[key]
		s.mu.Unlock()
		if kept.GetState() != emergencyv1.KeptHold_HELD {
			asked.Go(func() { s.ask(ctx, p, d, key) })
		}
	}
	asked.Wait()
}

func (s *Service) ask(ctx context.Context, p *pushed, d run.Door, key string) {
	said, err := emergencyv1.NewDoorkeepersClient(d).KeepHold(ctx, &emergencyv1.KeepHoldRequest{Hold: p.Emergency})
	kept := &emergencyv1.KeptHold{Service: d.Service, Enforcer: d.Address, State: emergencyv1.KeptHold_UNREACHABLE}
	if err == nil {
		took := s.deps.Now().Sub(p.GetStartTime().AsTime())
		kept.Enforcer, kept.State, kept.HeldMs = said.GetEnforcer(), emergencyv1.KeptHold_HELD, uint32(max(0, took.Milliseconds()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.doors[key].GetState() != emergencyv1.KeptHold_HELD {
		p.doors[key] = kept
	}
}

// record puts a hold on record, unless it is, or the journal is still away.
func (s *Service) record(ctx context.Context, p *pushed) {
	s.mu.Lock()
	done := p.lockdown != ""
	s.mu.Unlock()
	if done || !s.deps.Watch.State().Fresh {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pushWithin)
	defer cancel()
	id, err := s.deps.Record(ctx, p.Emergency)
	if err != nil {
		s.deps.Log.WarnContext(ctx, "a hold is not on record yet; trying again", "hold", p.GetId(), "error", err)
		return
	}
	s.deps.Log.InfoContext(ctx, "a hold is on record", "hold", p.GetId(), "lockdown", id)
	s.mu.Lock()
	defer s.mu.Unlock()
	p.lockdown = id
}
