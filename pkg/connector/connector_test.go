package connector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

func TestASessionIsRegisteredBeforeTheGateIsAsked(t *testing.T) {
	run(t, newHub(), func(w *world) {
		before := 0
		w.gate.asks(func() { before = max(before, w.Live()) })
		s := w.open("alice", "db-1")
		if before != 1 {
			t.Error("the gate was asked about a session that was not registered")
		}
		w.settle()
		got := w.hub.sessions[s.ID()]
		if got.GetState() != sessionv1.Session_OPEN || got.GetRevision() != "1-1" || got.GetUser() != "alice" {
			t.Errorf("the broker knows %v", got)
		}
	})
}

func TestNothingOpensBeforeABrokerWasHeard(t *testing.T) {
	h := newHub()
	h.down = true
	run(t, h, func(w *world) {
		if _, err := w.try("alice", "db-1"); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("got %v", err)
		}
		h.revive()
		w.pass(2 * maxBackoff)
		w.open("alice", "db-1")
	})
}

func TestWhoeverTheGateRefusesLeavesNoSession(t *testing.T) {
	run(t, newHub(), func(w *world) {
		w.gate.refuses(fault.New(fault.Frozen, "db-1 is frozen"))
		if _, err := w.try("alice", "db-1"); !errors.Is(err, w.gate.no) || w.Live() != 0 {
			t.Errorf("got %v, %d live", err, w.Live())
		}
	})
}

func TestATerminationEndsWhatDidNotKnowOfItAndNothingThatDid(t *testing.T) {
	run(t, newHub(), func(w *world) {
		old := w.open("alice", "db-1")
		cut := termination(7, all())
		w.send(standing("1-7", cut))
		w.mustBeOver(old, "Portcullis: session ended. Terminated. New sessions may start")
		w.gate.knows(7)
		fresh := w.open("alice", "db-1")
		for version := range uint64(5) { // the same again, in new words, and with more besides
			w.send(&sessionv1.Standing{Revision: "1-9", Version: version, Cuts: []*emergencyv1.Cut{termination(8, &emergencyv1.Selector{Users: []string{"carol"}}), cut}})
			cut.MemberDevices = append(cut.MemberDevices, "db-1")
		}
		w.mustLive(fresh)
		w.mustBeOver(old, "")
		if got := w.hub.ended[old.ID()]; len(got) != 1 || got[0].GetCause() != "T-0007" {
			t.Errorf("the broker heard %v", got)
		}
	})
}

func TestASelectorNarrowsATermination(t *testing.T) {
	run(t, newHub(), func(w *world) {
		alice, bob := w.open("alice", "db-1"), w.open("bob", "web-1")
		w.send(standing("1-8", termination(8, &emergencyv1.Selector{AccessGroups: []string{"payments"}, Users: []string{"alice"}}), termination(7, &emergencyv1.Selector{})))
		w.mustBeOver(alice, "")
		w.mustLive(bob) // and an empty selector is nobody
	})
}

func TestACutBetweenTheGateAndTheFirstByteBites(t *testing.T) {
	run(t, newHub(), func(w *world) {
		l := &live{}
		s, err := w.Open(t.Context(), Request{User: "alice", End: func(reason string) { l.reasons = append(l.reasons, reason) }})
		if err != nil {
			t.Fatal(err)
		}
		l.Session = s
		w.send(standing("1-7", lockdown(7, time.Now()))) // while the host dials
		if err := s.Admit(t.Context()); !fault.Is(err, fault.Lockdown) || fault.From(err).Details["until"] == "" {
			t.Errorf("Admit answered %v", err)
		}
		w.mustBeOver(l, "")
	})
}

func TestAGateThatLagsLetsNobodyPastACut(t *testing.T) {
	run(t, newHub(), func(w *world) {
		w.send(standing("1-7", termination(7, all())))
		w.gate.knows(6)
		_, err := w.Open(t.Context(), Request{User: "alice", End: func(string) { t.Error("End was called of what was never opened") }})
		if !fault.Is(err, fault.Aborted) {
			t.Errorf("got %v", err)
		}
		w.settle()
		if w.Live() != 0 {
			t.Error("it stayed")
		}
	})
}

func TestASessionThatIsBeingOpenedCountsAsOpen(t *testing.T) {
	run(t, newHub(), func(w *world) {
		hold, answered := make(chan struct{}), make(chan error)
		w.gate.asks(func() { <-hold })
		go func() {
			_, err := w.try("alice", "db-1")
			answered <- err
		}()
		synctest.Wait()
		w.send(standing("1-7", termination(7, all())))
		if got := w.hub.beat.GetCuts(); len(got) != 1 || got[0].GetOpen() != 1 || w.hub.beat.GetOpenSessions() != 1 {
			t.Errorf("the broker heard %v", w.hub.beat)
		}
		close(hold)
		if err := <-answered; !fault.Is(err, fault.Aborted) {
			t.Errorf("got %v", err)
		}
		w.settle()
		if got := w.hub.beat.GetCuts(); got[0].GetOpen() != 0 || got[0].GetEnded() != 1 {
			t.Errorf("the broker heard %v", w.hub.beat)
		}
	})
}

func TestAScheduledLockdownEndsOnTimeWithNobodyToSayIt(t *testing.T) {
	run(t, newHub(), func(w *world) {
		start := time.Now().Add(10 * time.Minute)
		early := w.open("alice", "db-1")
		w.send(standing("1-7", lockdown(7, start)))
		w.gate.knows(7, start) // it knows what is to come, and stamps it
		late := w.open("bob", "db-2")
		w.hub.kill()
		w.pass(time.Until(start) - time.Millisecond)
		w.mustLive(early)
		w.mustLive(late)
		w.pass(time.Millisecond)
		w.mustBeOver(early, "")
		w.mustBeOver(late, "")
	})
}

func TestACancelBeforeTheStartEndsNothing(t *testing.T) {
	run(t, newHub(), func(w *world) {
		start := time.Now().Add(time.Minute)
		before := w.open("alice", "db-1")
		w.send(standing("1-7", lockdown(7, start)))
		w.gate.knows(7, start)
		during := w.open("bob", "db-2")
		w.send(standing("1-20")) // cancelled
		w.pass(time.Hour)
		w.mustLive(before)
		w.mustLive(during)
	})
}

func TestACancelsLaterRevisionEndsNothing(t *testing.T) {
	run(t, newHub(), func(w *world) {
		cut := lockdown(10, time.Now())
		w.send(standing("1-10", cut))
		w.gate.knows(15)
		s := w.open("alice", "db-1")
		cut.Begun = true // cancelled at 20: the cut stands, with the revision that it had
		w.send(standing("1-20", cut))
		w.mustLive(s)
	})
}

func TestAStartOnRecordBitesWhateverTheClockSays(t *testing.T) {
	run(t, newHub(), func(w *world) {
		s := w.open("alice", "db-1")
		cut := lockdown(7, time.Now().Add(time.Hour)) // this clock is slow
		w.send(standing("1-7", cut))
		w.mustLive(s)
		cut = lockdown(7, time.Now().Add(time.Hour))
		cut.Begun = true
		w.send(standing("1-8", cut))
		w.mustBeOver(s, "")
	})
}

func TestAnOlderStandingTakesNothingBack(t *testing.T) {
	run(t, newHub(), func(w *world) {
		start := time.Now().Add(time.Minute)
		s := w.open("alice", "db-1")
		w.send(standing("1-9", lockdown(7, start)))
		w.send(standing("1-5")) // from a broker that lags
		if w.Held().Sequence != 9 {
			t.Errorf("it holds %v", w.Held())
		}
		w.pass(time.Minute)
		w.mustBeOver(s, "")
	})
}

func TestABrokerThatComesBackHearsEverything(t *testing.T) {
	run(t, newHub(), func(w *world) {
		w.hub.with(func() { w.hub.confirms = false })
		over, stays := w.open("alice", "db-1"), w.open("bob", "db-2")
		w.send(standing("1-7", termination(7, &emergencyv1.Selector{Users: []string{"alice"}})))
		w.hub.kill()
		w.hub.with(func() {
			w.hub.sessions, w.hub.ended, w.hub.hellos = map[string]*sessionv1.Session{}, map[string][]*sessionv1.EndedSession{}, nil
		})
		w.pass(time.Minute)
		w.hub.revive()
		w.pass(2 * maxBackoff)
		synctest.Wait()
		hello := w.hub.hellos[0]
		if hello.GetHeldRevision() != "1-7" || hello.GetCuts()[0].GetEnded() != 1 || hello.GetGeneration() != 1 {
			t.Errorf("it said %v", hello)
		}
		if w.hub.sessions[stays.ID()] == nil || len(w.hub.ended[over.ID()]) == 0 {
			t.Errorf("it heard of %v and of the end of %v", w.hub.sessions, w.hub.ended)
		}
		w.mustLive(stays)
	})
}

func TestAnEndIsRepeatedUntilItIsConfirmed(t *testing.T) {
	run(t, newHub(), func(w *world) {
		w.hub.with(func() { w.hub.confirms = false })
		s := w.open("alice", "db-1")
		s.Close()
		w.pass(3 * repeatAfter)
		heard := len(w.hub.ended[s.ID()])
		if heard < 3 || w.hub.ended[s.ID()][0].GetCause() != Closed {
			t.Errorf("it was said %d times: %v", heard, w.hub.ended[s.ID()])
		}
		w.hub.with(func() { w.hub.confirms = true })
		w.pass(2 * repeatAfter)
		heard = len(w.hub.ended[s.ID()])
		w.pass(5 * repeatAfter)
		if again := len(w.hub.ended[s.ID()]); again != heard {
			t.Errorf("it was said %d times after the confirmation", again-heard)
		}
	})
}

func TestASilentBrokerIsLeft(t *testing.T) {
	run(t, newHub(), func(w *world) {
		w.hub.with(func() { w.hub.frozen = true })
		w.pass(silence + maxBackoff)
		if len(w.hub.links) < 2 {
			t.Error("it stayed with a broker that says nothing")
		}
	})
}

func TestAnAdministratorEndsOneSession(t *testing.T) {
	run(t, newHub(), func(w *world) {
		one, other := w.open("alice", "db-1"), w.open("alice", "db-1")
		w.hub.links[0].say(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_End{End: &sessionv1.End{
			Ids: []string{one.ID(), "unknown"}, Cause: "ended", Reason: "An administrator ended it"}}})
		w.settle()
		w.mustBeOver(one, "An administrator ended it")
		w.mustLive(other)
		if got := w.hub.ended[one.ID()]; len(got) != 1 || got[0].GetCause() != "ended" {
			t.Errorf("the broker heard %v", got)
		}
	})
}

func TestAHostThatTakesLongHoldsUpNoOtherSession(t *testing.T) {
	run(t, newHub(), func(w *world) {
		var over atomic.Int64
		for range 1000 {
			s, err := w.Open(t.Context(), Request{User: "alice", End: func(string) {
				time.Sleep(200 * time.Millisecond)
				over.Add(1)
			}})
			if err != nil || s.Admit(t.Context()) != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		w.hub.send(standing("1-7", termination(7, all())))
		for over.Load() < 1000 {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(start); took > 700*time.Millisecond {
			t.Errorf("a thousand sessions that take 200 ms each took %v", took)
		}
		w.settle()
		if got := w.hub.beat.GetCuts()[0]; got.GetEnded() != 1000 || got.GetOpen() != 0 {
			t.Errorf("the broker heard %v", got)
		}
	})
}

func TestAHostThatHangsOnOneSessionHidesTheEndOfNoOther(t *testing.T) {
	run(t, newHub(), func(w *world) {
		let := make(chan struct{})
		defer close(let)
		for i := range 100 {
			end := func(string) {}
			if i%10 == 9 {
				end = func(string) { <-let }
			}
			if s, err := w.Open(t.Context(), Request{User: "alice", End: end}); err != nil || s.Admit(t.Context()) != nil {
				t.Fatal(err)
			}
		}
		w.hub.send(standing("1-7", termination(7, all())))
		w.settle()
		time.Sleep(time.Second)
		w.settle()
		if got := w.hub.beat.GetCuts()[0]; got.GetEnded() != 90 || got.GetOpen() != 10 {
			t.Errorf("90 have ended and 10 hang, and the broker heard %v", got)
		}
	})
}

func TestEndIsCalledOnceWhoeverElseClosesToo(t *testing.T) {
	run(t, newHub(), func(w *world) {
		var mu sync.Mutex
		calls := map[string]int{}
		var sessions []*Session
		for i := range 200 {
			name := fmt.Sprint("user-", i)
			s, err := w.Open(t.Context(), Request{User: name, End: func(string) {
				mu.Lock()
				defer mu.Unlock()
				calls[name]++
			}})
			if err != nil || s.Admit(t.Context()) != nil {
				t.Fatal(err)
			}
			sessions = append(sessions, s)
		}
		go func() {
			for _, s := range sessions[:100] {
				s.Close()
			}
		}()
		w.hub.send(standing("1-8", lockdown(8, time.Now()), termination(7, all())))
		w.settle()
		for name, n := range calls {
			if n > 1 {
				t.Errorf("the session of %s was ended %d times", name, n)
			}
		}
		if w.Live() != 0 || len(w.hub.ended) != 200 {
			t.Errorf("%d live, %d ended", w.Live(), len(w.hub.ended))
		}
		for _, cut := range w.hub.beat.GetCuts() {
			if cut.GetOpen() != 0 || int(cut.GetEnded()) < len(calls) {
				t.Errorf("of %d ends the broker heard %v", len(calls), cut)
			}
		}
	})
}

func TestANewChannelAsksTheGateAgain(t *testing.T) {
	run(t, newHub(), func(w *world) {
		s := w.open("alice", "db-1")
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.gate.refuses(fault.New(fault.Frozen, "db-1 is frozen"))
		if err := s.Check(t.Context()); !fault.Is(err, fault.Frozen) {
			t.Errorf("got %v", err)
		}
		w.mustLive(s) // live sessions go on
	})
}

func TestAHelloOfManySessionsComesInParts(t *testing.T) {
	run(t, newHub(), func(w *world) {
		for range helloPart + 1 {
			w.open("alice", "db-1")
		}
		w.hub.kill()
		w.hub.with(func() { w.hub.hellos, w.hub.sessions = nil, map[string]*sessionv1.Session{} })
		w.hub.revive()
		w.pass(2 * maxBackoff)
		synctest.Wait()
		if len(w.hub.sessions) != helloPart+1 {
			t.Errorf("the broker heard of %d sessions", len(w.hub.sessions))
		}
		more := slices.IndexFunc(w.hub.hellos, func(h *sessionv1.Hello) bool { return !h.GetMore() })
		if more != len(w.hub.hellos)-1 || more < 2 {
			t.Errorf("the hello came in %d parts, and the last is number %d", len(w.hub.hellos), more)
		}
	})
}

func TestWhatComesAndGoesQuicklyIsToldOfOnlyIfItWasLetIn(t *testing.T) {
	run(t, newHub(), func(w *world) {
		w.hub.busy.Add(1)
		first := w.open("bob", "db-1")
		synctest.Wait() // the connector is telling of it, and of nothing else before the broker listens
		s := w.open("alice", "db-1")
		s.Close()
		w.gate.refuses(fault.New(fault.Frozen, "db-1 is frozen"))
		_, err := w.try("alice", "db-1")
		if !fault.Is(err, fault.Frozen) {
			t.Fatal(err)
		}
		w.hub.busy.Done()
		w.settle()
		if got := w.hub.sessions[s.ID()]; got.GetUser() != "alice" || len(w.hub.ended[s.ID()]) != 1 {
			t.Errorf("the broker heard of %v and of its end %v", got, w.hub.ended[s.ID()])
		}
		if len(w.hub.sessions) != 2 || w.hub.sessions[first.ID()] == nil || len(w.hub.ended) != 1 {
			t.Errorf("the broker heard of %v, and of the ends %v", w.hub.sessions, w.hub.ended)
		}
	})
}

func TestWhatCameAndWentWithoutABrokerIsToldOfInFull(t *testing.T) {
	run(t, newHub(), func(w *world) {
		w.hub.kill()
		w.pass(time.Second)
		s := w.open("alice", "db-1")
		s.Close()
		w.hub.revive()
		w.pass(2 * maxBackoff)
		got := w.hub.ended[s.ID()]
		if len(got) == 0 || got[0].GetSession().GetUser() != "alice" || w.hub.sessions[s.ID()] != nil {
			t.Errorf("the broker heard %v", got)
		}
	})
}

func TestABrokerThatIsThereIsKept(t *testing.T) {
	run(t, newHub(), func(w *world) {
		w.pass(10 * silence)
		if len(w.hub.links) != 1 {
			t.Errorf("it attached %d times to a broker that was there all along", len(w.hub.links))
		}
	})
}

func TestAClockThatIsSetBringsAStartAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		h, g := newHub(), &gate{}
		g.knows(1)
		c, err := New(Config{ID: "host-1", Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }}, Deps{Broker: h, Gate: g.check})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		synctest.Wait()
		w := &world{Connector: c, t: t, hub: h, gate: g}
		s := w.open("alice", "db-1")
		w.send(standing("1-7", lockdown(7, time.Now().Add(time.Hour))))
		w.mustLive(s)
		ahead.Store(int64(time.Hour)) // as after a suspended machine wakes
		if err := s.Check(t.Context()); !fault.Is(err, fault.Lockdown) {
			t.Errorf("a new channel before anybody has looked at the clock: %v", err)
		}
		w.pass(time.Second)
		w.mustBeOver(s, "")
		stop()
		<-done
	})
}

func TestACutThatIsSaidAnewWhileItEndsASessionCountsItOnce(t *testing.T) {
	run(t, newHub(), func(w *world) {
		hold := make(chan struct{})
		s, err := w.Open(t.Context(), Request{User: "alice", End: func(string) { <-hold }})
		if err != nil || s.Admit(t.Context()) != nil {
			t.Fatal(err)
		}
		for i := range uint64(3) {
			cut := termination(7, all())
			cut.MemberDevices = []string{fmt.Sprint("db-", i)}
			w.send(&sessionv1.Standing{Revision: "1-7", Version: i, Cuts: []*emergencyv1.Cut{cut}})
		}
		if got := w.hub.beat.GetCuts()[0]; got.GetOpen() != 1 || got.GetEnded() != 0 {
			t.Errorf("while it ends: %v", got)
		}
		close(hold)
		w.settle()
		if got := w.hub.beat.GetCuts()[0]; got.GetOpen() != 0 || got.GetEnded() != 1 {
			t.Errorf("when it has ended: %v", got)
		}
	})
}
