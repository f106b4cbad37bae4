package receipt

import (
	"sync"
	"testing"
	"time"

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
