package receipt

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/crowd"
)

const hosts = 300

// speaker tells the fold of connectors as a broker does, until it is killed: what waits is lost then, and nobody says goodbye.
func speaker(t *testing.T, f *Fold, name string) (tell func(generation uint64, revision string, ended uint32), kill func()) {
	ctx, kill := context.WithCancel(t.Context())
	c := crowd.New(crowd.Config{Service: Connector, Instance: name, Log: slog.New(slog.DiscardHandler), Beat: func(subject string, data []byte) error {
		if ctx.Err() != nil {
			return ctx.Err() // the dead say nothing
		}
		b := new(emergencyv1.Beat)
		err := proto.Unmarshal(data, b)
		all, folded := crowd.Of(Connector, subject, b)
		if !folded {
			t.Errorf("%s came alone", subject)
		}
		f.Take(&emergencyv1.Beat{Folded: all})
		return err
	}})
	c.Add(hosts)
	go func() { _ = c.Run(ctx) }()
	return func(generation uint64, revision string, ended uint32) {
		for i := range hosts {
			b := &emergencyv1.Beat{Service: Connector, Enforcer: fmt.Sprint("c", i), BootId: "b", Generation: generation, Revision: revision, OpenSessions: new(1 - ended)}
			if ended > 0 {
				b.Cuts = []*emergencyv1.CutProgress{{Emergency: "T-0002", Ended: ended}}
			}
			c.Tell(ctx, nil, b)
		}
	}, kill
}

func TestWhenABrokerIsKilledWhomItToldOfTogetherIsUnreachableUntilItIsBackElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(time.Now)
		one, kill := speaker(t, f, "one")
		one(5, "7-1", 0)
		time.Sleep(time.Second / 2)
		e := &emergencyv1.Emergency{Id: "T-0002", Kind: emergencyv1.Emergency_TERMINATION, CutoffRevision: "7-2", Revision: "7-2",
			CreateTime: timestamppb.Now(), Selector: &emergencyv1.Selector{All: true}}
		f.Durable(e)
		one(5, "7-2", 1) // and it dies before it says so
		kill()
		check := func(when string, state emergencyv1.Receipt_State, ended, unreachable uint32) {
			t.Helper()
			synctest.Wait()
			all := f.Of(e, nil, time.Now())
			for _, r := range all {
				if r.GetState() != state {
					t.Fatalf("%s: %v", when, r)
				}
			}
			if f.Progress(e, time.Now()); len(all) != hosts || e.GetEnded() != ended || e.GetUnreachable() != unreachable || e.GetStatus() == emergencyv1.Emergency_DONE {
				t.Errorf("%s: %d receipts, %v", when, len(all), e)
			}
		}
		check("at once", emergencyv1.Receipt_WAITING, 0, 0)
		time.Sleep(Silence + time.Second)
		check("when it is silent", emergencyv1.Receipt_UNREACHABLE, 0, hosts)
		two, stop := speaker(t, f, "two")
		defer stop()
		two(6, "7-2", 1)
		time.Sleep(time.Second / 2)
		check("elsewhere", emergencyv1.Receipt_CONFIRMED, hosts, 0)
		again, end := speaker(t, f, "one")
		defer end()
		again(5, "7-1", 0) // what was under way all the time
		time.Sleep(time.Second / 2)
		check("after an old message", emergencyv1.Receipt_CONFIRMED, hosts, 0)
	})
}

// told is what brokers say of one connector, to a fold with a clock of its own.
type told struct {
	t *testing.T
	c *clock
	f *Fold
}

func newTold(t *testing.T) told {
	c := &clock{}
	return told{t, c, New(c.now)}
}

// open is the connector attached to a broker under a generation, with three sessions.
func (w told) open(boot string, generation uint64, revision string) {
	w.f.Take(&emergencyv1.Beat{Service: Connector, Enforcer: "c1", BootId: boot, Generation: generation, Revision: revision, OpenSessions: new(uint32(3))})
}

// silent is what a broker says that can't reach it, and has counted what is selected of it; its generation is 0 where it was attached
// elsewhere.
func (w told) silent(boot string, generation uint64, revision string, selected uint32) {
	w.f.Take(&emergencyv1.Beat{Service: Connector, Enforcer: "c1", BootId: boot, Generation: generation, Revision: revision, OpenSessions: new(uint32(3)),
		Unreachable: true, Cuts: []*emergencyv1.CutProgress{{Emergency: "T-0003", Open: selected}}})
}

// passes has time pass in steps of a beat.
func (w told) passes(d time.Duration, each func()) {
	for ; d > 0; d -= time.Second / 2 {
		w.c.advance(time.Second / 2)
		each()
	}
}

func (w told) check(when string, state emergencyv1.Receipt_State, revision string, unreachable uint32) {
	w.t.Helper()
	e := &emergencyv1.Emergency{Id: "T-0003", Kind: emergencyv1.Emergency_TERMINATION, CutoffRevision: "7-3", Revision: "7-3",
		CreateTime: timestamppb.New(w.c.now()), Selector: &emergencyv1.Selector{Users: []string{"alice"}}}
	all := w.f.Of(e, nil, w.c.now())
	if w.f.Progress(e, w.c.now()); len(all) != 1 || all[0].GetState() != state || all[0].GetRevision() != revision || e.GetUnreachable() != unreachable {
		w.t.Errorf("%s: %v, %d on it unreachable", when, all, e.GetUnreachable())
	}
}

func TestABrokerThatHasOnlyHeardOfAConnectorCountsOnceWhoHadItIsSilent(t *testing.T) {
	w := newTold(t)
	w.passes(Silence, func() {
		w.open("b", 5, "7-2")
		w.silent("b", 0, "7-2", 1) // of a broker that hears too little
	})
	w.check("while it is heard", emergencyv1.Receipt_WAITING, "7-2", 0)
	w.passes(2*time.Second, func() { w.silent("b", 0, "7-2", 1) })
	w.check("before anybody is missed", emergencyv1.Receipt_WAITING, "7-2", 0)
	w.c.advance(Silence)
	w.passes(time.Minute, func() {
		w.silent("b", 0, "7-2", 1)
		w.silent("b", 0, "", 3) // of one that has just begun, and has its sessions in the index alone
		w.silent("a", 0, "", 3) // and of one that has not heard of this life
		w.check("without its broker", emergencyv1.Receipt_UNREACHABLE, "7-2", 1)
	})
	w.open("b", 4, "7-1") // under way from an attachment before
	w.check("after an old message", emergencyv1.Receipt_UNREACHABLE, "7-2", 1)
	w.open("b", 6, "7-3")
	w.check("elsewhere", emergencyv1.Receipt_CONFIRMED, "7-3", 0)
	w.open("b", 5, "7-3")
	w.silent("b", 6, "7-3", 2)
	w.check("who has it says at once that it can't reach it", emergencyv1.Receipt_CONFIRMED, "7-3", 2)
	w.silent("b", 0, "7-3", 3)
	w.check("and knows best", emergencyv1.Receipt_CONFIRMED, "7-3", 2)
}

func TestWhatABrokerWithAClockAheadSaysOfALifeThatIsOverCountsForNothing(t *testing.T) {
	for name, restarted := range map[string]bool{"that control has heard": false, "from before control began": true} {
		t.Run(name, func(t *testing.T) {
			w := newTold(t)
			const ahead, right = 7_200_000, 3_600_000 // an hour
			if !restarted {
				w.open("one", ahead, "7-2")
			}
			w.open("two", right, "7-3")
			w.passes(time.Minute, func() {
				w.silent("one", ahead, "7-2", 3)
				w.check("its connector has begun anew", emergencyv1.Receipt_CONFIRMED, "7-3", 0)
				w.open("two", right, "7-3")
				w.check("its connector is heard", emergencyv1.Receipt_CONFIRMED, "7-3", 0)
			})
			if w.f.enforcers["connector/c1"].twin {
				t.Error("one connector is taken for two")
			}
		})
	}
}

func TestAConnectorThatIsHeardUnderALowerGenerationIsThere(t *testing.T) {
	w := newTold(t)
	w.open("b", 7_200_000, "7-3") // of a broker with a clock ahead, which is gone before it has said so to its connector
	w.passes(retired, func() { w.open("b", 3_600_000, "7-3") })
	w.passes(time.Minute, func() {
		w.open("b", 3_600_000, "7-3")
		w.silent("b", 7_200_000, "7-3", 3)
		w.check("elsewhere", emergencyv1.Receipt_CONFIRMED, "7-3", 0)
		if all := w.f.Silent(w.c.now()); len(all) > 0 {
			t.Errorf("silent are %v", all)
		}
	})
}

func TestOfBrokersThatCantReachAConnectorTheOneThatKnowsMostIsBelievedWhoeverIsHeardFirst(t *testing.T) {
	w := newTold(t) // it has just begun
	begun := func() { w.silent("a", 0, "", 3) }
	heard := func() { w.silent("b", 0, "7-2", 2) }
	had := func() { w.silent("b", 5, "7-2", 1) }
	begun()
	w.check("of one that has just begun", emergencyv1.Receipt_UNREACHABLE, "", 3)
	w.passes(time.Minute, func() {
		heard()
		begun()
		w.check("of one that has heard of it", emergencyv1.Receipt_UNREACHABLE, "7-2", 2)
	})
	w.passes(time.Minute, func() {
		had()
		begun()
		heard()
		w.check("of the one that had it", emergencyv1.Receipt_UNREACHABLE, "7-2", 1)
	})
}
