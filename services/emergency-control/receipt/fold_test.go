package receipt

import (
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// clock is one that tests set.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

func TestAnEnforcerFasterThanTheAcknowledgementHoldsItAtOnce(t *testing.T) {
	r := New(time.Now)
	e := &emergencyv1.Emergency{Id: "F-0002", CutoffRevision: "7-2"}
	r.Take(&emergencyv1.Beat{Enforcer: "gate-1", Service: "access-gate", Revision: "7-2"})
	r.Durable(e)
	if got := r.Of(e, nil, time.Now())[0]; got.HeldMs == nil || got.GetHeldMs() != 0 {
		t.Fatalf("receipt %v", got)
	}
}

func TestAnAnswerWaitsForTheDoorsThatAreThereAndNotForTheOthers(t *testing.T) {
	c := &clock{}
	r := New(c.now)
	r.Take(&emergencyv1.Beat{Enforcer: "gone", Service: "access-gate", Revision: "7-1"})
	c.advance(Silence + time.Second)
	r.Take(&emergencyv1.Beat{Enforcer: "gate-1", Service: "access-gate", Revision: "7-1"})
	two := revision("7-2")
	if behind, _ := r.behind(two); !behind {
		t.Fatal("a door that is there does not hold it yet")
	}
	r.Take(&emergencyv1.Beat{Enforcer: "gate-1", Service: "access-gate", Revision: "7-2"})
	if behind, _ := r.behind(two); behind {
		t.Fatal("every door that can be reached holds it")
	}
}

func TestOfAWindowThatWasThereBeforeNoTimeIsMadeUp(t *testing.T) {
	now := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	f := New(func() time.Time { return now })
	e := &emergencyv1.Emergency{Id: "L-0004", Kind: emergencyv1.Emergency_LOCKDOWN, Revision: "1-4", CutoffRevision: "1-4",
		CreateTime: timestamppb.New(now.Add(-3 * time.Hour)), StartTime: timestamppb.New(now.Add(time.Minute)), EndTime: timestamppb.New(now.Add(time.Hour))}
	gate := &emergencyv1.Beat{Service: "access-gate", Enforcer: "g1", BootId: "b", Revision: "1-4"}
	f.Take(gate)
	f.Await(e)
	now = now.Add(2 * time.Minute)
	f.Take(gate)
	started := proto.CloneOf(e)
	started.Started, started.Revision = true, "1-5"
	f.Durable(started)
	f.Take(gate)
	for _, r := range f.Of(started, nil, now) {
		if r.HeldMs != nil || r.GetState() != emergencyv1.Receipt_CONFIRMED {
			t.Errorf("it was heard of when it was hours old, and its receipt reads %v", r)
		}
	}
}
