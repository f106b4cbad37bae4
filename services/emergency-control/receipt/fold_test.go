package receipt

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

func TestAfterAnOutageOfItsOwnNobodyIsMissingBeforeTheyHadTheTimeToBeHeard(t *testing.T) {
	c := &clock{}
	f := New(c.now)
	says := func(names ...string) {
		for _, name := range names {
			f.Take(&emergencyv1.Beat{Service: "access-gate", Enforcer: name, Revision: "7-1"})
		}
	}
	missing := func() (names []string) {
		for _, e := range f.List(c.now(), false) {
			if e.GetPresence() == emergencyv1.Enforcer_MISSING {
				names = append(names, e.GetId())
			}
		}
		return names
	}
	says("g1", "g2")
	c.advance(time.Minute)
	says("g2")
	if got := missing(); got != nil {
		t.Errorf("one was heard, and missing are %v", got)
	}
	for range 4 {
		c.advance(time.Second)
		says("g2")
	}
	if got := missing(); !slices.Equal(got, []string{"g1"}) {
		t.Errorf("missing are %v", got)
	}
}

func TestWhoWasNotHeardForADayIsLetGoOfThoughNobodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(time.Now)
		ctx, stop := context.WithCancel(t.Context())
		f.Take(&emergencyv1.Beat{Service: "guard", Enforcer: "g1", Revision: "7-1"})
		f.Take(&emergencyv1.Beat{Service: Connector, Enforcer: "c1", Revision: "7-1", OpenSessions: new(uint32(2))})
		time.Sleep(gone)
		go func() { _ = f.Keep(ctx, nil) }()
		time.Sleep(2 * pruneEvery)
		f.mu.Lock()
		if len(f.enforcers) != 1 || f.enforcers["connector/c1"] == nil {
			t.Errorf("%v are known", slices.Collect(maps.Keys(f.enforcers)))
		}
		f.mu.Unlock()
		stop()
	})
}

func TestAnEnforcerThatMakesUpLivesIsCountedForAFew(t *testing.T) {
	f := New(time.Now)
	e := &emergencyv1.Emergency{Id: "T-0002", Kind: emergencyv1.Emergency_TERMINATION, CutoffRevision: "7-2", Revision: "7-2", CreateTime: timestamppb.Now()}
	f.Durable(e)
	kept := &emergencyv1.KeptReceipt{Enforcer: "connector/c1", Ended: map[string]uint32{}}
	for i := range 2 * countedLives {
		f.Take(&emergencyv1.Beat{Service: Connector, Enforcer: "c1", BootId: fmt.Sprint("life-", i), Revision: "7-2", OpenSessions: new(uint32(0)),
			Cuts: []*emergencyv1.CutProgress{{Emergency: "T-0002", Ended: 2}}})
		kept.Ended[fmt.Sprint("another-", i)] = 2
	}
	f.Kept(&emergencyv1.ReceiptsRecord{Emergency: "T-0002", Revision: "7-2", Receipts: []*emergencyv1.KeptReceipt{kept}})
	if f.Progress(e, time.Now()); len(f.times["T-0002"].ended["connector/c1"]) != countedLives || e.GetEnded() != 2*countedLives {
		t.Errorf("%d lives are kept, %d sessions counted", len(f.times["T-0002"].ended["connector/c1"]), e.GetEnded())
	}
}

func TestWhatIsStillToStartIsNeverPushedOut(t *testing.T) {
	c := &clock{}
	f := New(c.now)
	window := func(n int) *emergencyv1.Emergency {
		r := fmt.Sprint("7-", n)
		return &emergencyv1.Emergency{Id: fmt.Sprint("L-", n), Kind: emergencyv1.Emergency_LOCKDOWN, Revision: r, CutoffRevision: r, CreateTime: timestamppb.New(c.now()),
			StartTime: timestamppb.New(c.now().Add(time.Hour)), EndTime: timestamppb.New(c.now().Add(2 * time.Hour))}
	}
	f.Await(window(2))
	f.Durable(window(3))
	cancelled := window(3)
	cancelled.CancelTime, cancelled.Revision = timestamppb.New(c.now()), "7-4"
	f.Durable(cancelled)
	for i := range 2 * remembered {
		f.Kept(&emergencyv1.ReceiptsRecord{Emergency: fmt.Sprint("T-", i), Revision: "7-1"})
	}
	if f.times["L-2"] == nil || f.times["L-3"] != nil || len(f.order) != remembered {
		t.Errorf("pending: %v, cancelled: %v, of %d", f.times["L-2"], f.times["L-3"], len(f.order))
	}
	c.advance(3 * time.Hour)
	f.Kept(&emergencyv1.ReceiptsRecord{Emergency: "T-new", Revision: "7-1"})
	if f.times["L-2"] != nil || len(f.order) != remembered || len(f.times) != remembered {
		t.Errorf("one that is over stays for ever, of %d", len(f.order))
	}
}

// absentees is a roster that misses some, each since a time.
type absentees map[string]time.Time

func (a absentees) Hear(*emergencyv1.Beat) bool { return true }
func (a absentees) Forgets(string) bool         { return false }
func (a absentees) All(...emergencyv1.Enforcer_Presence) (all []*emergencyv1.RosterRecord) {
	for id, since := range a {
		m := &emergencyv1.RosterRecord{Service: "access-gate", Id: id, Presence: emergencyv1.Enforcer_MISSING, SinceTime: timestamppb.New(since)}
		if by, forgotten := strings.CutPrefix(id, "forgotten-by-"); forgotten {
			m.Presence, m.ForgottenBy = emergencyv1.Enforcer_FORGOTTEN, by
			m.LastSeenTime = timestamppb.New(since.Add(-20 * time.Minute))
		}
		all = append(all, m)
	}
	return all
}

func TestWhoWasMissingInAWindowThatIsOverIsNotLeftOut(t *testing.T) {
	now := time.Now()
	f := New(func() time.Time { return now })
	f.Roster = absentees{"before": now.Add(-3 * time.Hour), "after": now.Add(-time.Minute),
		"forgotten-by-ana": now.Add(-90 * time.Minute), "forgotten-by-bo": now.Add(-3 * time.Hour),
		"forgotten-by-cy": now.Add(-50 * time.Minute), "forgotten-by-di": now.Add(-30 * time.Minute)}
	e := &emergencyv1.Emergency{Id: "L-0002", Kind: emergencyv1.Emergency_LOCKDOWN, Started: true, Revision: "7-2", CutoffRevision: "7-2",
		CreateTime: timestamppb.New(now.Add(-2 * time.Hour)), StartTime: timestamppb.New(now.Add(-2 * time.Hour)), EndTime: timestamppb.New(now.Add(-time.Hour))}
	var got []string
	for _, r := range f.Of(e, nil, now) {
		got = append(got, r.GetEnforcer()+" "+r.GetState().String()+" "+r.GetForgottenBy())
	}
	// Cy has forgotten it since, and it was silent before the end; the one that di has forgotten was heard until after that.
	want := []string{"before UNREACHABLE ", "forgotten-by-ana UNREACHABLE ana", "forgotten-by-cy UNREACHABLE cy"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestARestartKeepsTheTimesOfWhatIsStillToStartBehindAnyNumberOfLaterEmergencies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &emergencyv1.Emergency{Id: "L-0002", Kind: emergencyv1.Emergency_LOCKDOWN, Revision: "7-2", CutoffRevision: "7-2",
			CreateTime: timestamppb.Now(), StartTime: timestamppb.New(time.Now().Add(time.Hour)), EndTime: timestamppb.New(time.Now().Add(2 * time.Hour))}
		kept := &emergencyv1.ReceiptsRecord{Emergency: e.GetId(), Revision: "7-2", DurableTime: timestamppb.Now(),
			Receipts: []*emergencyv1.KeptReceipt{{Enforcer: "access-gate/g1", HeldMs: new(uint32(7))}}}
		f := New(time.Now)
		f.Kept(kept)
		for i := range remembered { // a kept row says nothing of when its window starts
			f.Kept(&emergencyv1.ReceiptsRecord{Emergency: fmt.Sprint("T-", i), Revision: "7-3"})
		}
		f.Take(&emergencyv1.Beat{Service: "access-gate", Enforcer: "g1", BootId: "b", Revision: "7-300"})
		f.Await(e)
		unmeasured := proto.CloneOf(e)
		unmeasured.Id = "L-0003"
		f.Await(unmeasured)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			_ = f.Keep(ctx, func(_ context.Context, id string, merge func(*emergencyv1.ReceiptsRecord) *emergencyv1.ReceiptsRecord) error {
				before := map[string]*emergencyv1.ReceiptsRecord{e.GetId(): kept}[id]
				if next := merge(before); next != nil {
					t.Errorf("of %s nothing was measured anew, and %v is written", id, next)
				}
				return nil
			})
		}()
		time.Sleep(2 * keepEvery)
		synctest.Wait()
		if all := f.Of(e, nil, time.Now()); len(all) != 1 || all[0].HeldMs == nil || all[0].GetHeldMs() != 7 {
			t.Errorf("it took 7 ms, and it says %v", all)
		}
	})
}
