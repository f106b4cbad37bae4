package connector

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portcullis.dev/pkg/fault"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// person is somebody on a session that can be suspended: what they send, what has passed, and what they were told.
type person struct {
	*Session
	keys *io.PipeWriter
	mu   sync.Mutex
	got  []byte
	err  error // that the host's reading ended with
	told []string
}

func (w *world) person(before func(*Session)) *person {
	w.t.Helper()
	keys, typed := io.Pipe()
	p := &person{keys: typed}
	w.t.Cleanup(func() { _ = keys.Close(); p.Close() })
	note := func(text string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = append(p.told, text)
	}
	s, err := w.Open(w.t.Context(), Request{User: "alice", Device: "db-1", Protocol: "SSH",
		End: func(reason string) { note("ended: " + reason) },
		Suspend: func(held bool, reason string) {
			note(fmt.Sprint(held, ": ", reason))
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	before(s)
	if err := s.Admit(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	p.Session = s
	go p.read(s.Input(keys))
	return p
}

func (p *person) read(from io.Reader) {
	for {
		part := make([]byte, 3)
		n, err := from.Read(part)
		p.mu.Lock()
		p.got, p.err = append(p.got, part[:n]...), err
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *person) must(t *testing.T, got string, told ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if string(p.got) != got || !slices.Equal(p.told, told) {
		t.Errorf("passed has %q, want %q; told was %q, want %q", p.got, got, p.told, told)
	}
}

func (w *world) suspend(held bool, reason string, ids ...string) {
	w.hub.with(func() {
		w.hub.links[len(w.hub.links)-1].say(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Suspend{
			Suspend: &sessionv1.Suspend{Ids: ids, Held: held, Reason: reason}}})
	})
	w.settle()
}

func (w *world) state(s *Session) (state sessionv1.Session_State) {
	w.hub.with(func() { state = w.hub.sessions[s.ID()].GetState() })
	return state
}

func nothing(*Session) {}

func TestASuspendedSessionKeepsWhatItsPersonSendsAndLosesNothing(t *testing.T) {
	run(t, newHub(), func(w *world) {
		p, other := w.person(nothing), w.person(nothing)
		w.suspend(true, "held", p.ID(), "unknown")
		w.suspend(true, "held", p.ID()) // said again
		if got := w.state(p.Session); got != sessionv1.Session_SUSPENDED {
			t.Errorf("the broker heard %v", got)
		}
		go func() {
			_, _ = p.keys.Write([]byte("one two three"))
			_ = p.keys.Close()
		}()
		_, _ = other.keys.Write([]byte("mine"))
		w.pass(time.Hour)
		p.must(t, "", "true: held")
		other.must(t, "mine")
		if err := p.Check(t.Context()); !fault.Is(err, fault.Aborted) {
			t.Errorf("a new channel meanwhile: %v", err)
		}
		w.suspend(false, "goes on", p.ID())
		p.must(t, "one two three", "true: held", "false: goes on")
		if got := w.state(p.Session); got != sessionv1.Session_OPEN || p.err != io.EOF {
			t.Errorf("the broker heard %v, the end was %v", got, p.err)
		}
		if err := p.Check(t.Context()); err != nil {
			t.Errorf("a new channel after: %v", err)
		}
	})
}

func TestASuspendedSessionIsEndedByACutAsAnyOther(t *testing.T) {
	run(t, newHub(), func(w *world) {
		p := w.person(nothing)
		w.suspend(true, "held", p.ID())
		go func() { _, _ = p.keys.Write([]byte("rm -rf /")) }()
		w.send(standing("1-7", termination(7, all())))
		p.must(t, "", "true: held", "ended: Portcullis: session ended. Terminated. New sessions may start")
		w.suspend(false, "goes on", p.ID())
		p.must(t, "", "true: held", "ended: Portcullis: session ended. Terminated. New sessions may start")
		if len(w.hub.ended[p.ID()]) != 1 || p.err == nil {
			t.Errorf("the broker heard %v, the host's reading ended with %v", w.hub.ended[p.ID()], p.err)
		}
	})
}

func TestASuspendedSessionWhosePersonLeavesIsOver(t *testing.T) {
	run(t, newHub(), func(w *world) {
		p := w.person(nothing)
		w.suspend(true, "held", p.ID())
		go func() { _, _ = p.keys.Write([]byte("x")) }()
		synctest.Wait()
		p.Close()
		w.settle()
		p.must(t, "", "true: held")
		if p.err != io.ErrClosedPipe || w.Live() != 0 || w.hub.ended[p.ID()][0].GetCause() != Closed {
			t.Errorf("the host's reading ended with %v, %d live", p.err, w.Live())
		}
	})
}

func TestASuspensionOutlivesTheBroker(t *testing.T) {
	run(t, newHub(), func(w *world) {
		p := w.person(nothing)
		w.suspend(true, "held", p.ID())
		w.hub.kill()
		w.hub.with(func() { w.hub.sessions, w.hub.hellos = map[string]*sessionv1.Session{}, nil })
		_, _ = p.keys.Write([]byte("x")) // which the host has read, and keeps
		w.pass(time.Minute)
		w.hub.revive()
		w.pass(2 * maxBackoff)
		if got := w.hub.sessions[p.ID()]; got.GetState() != sessionv1.Session_SUSPENDED || !got.GetSuspendable() {
			t.Errorf("the hello says %v", got)
		}
		p.must(t, "", "true: held")
	})
}

func TestASessionThatIsSuspendedWhileItOpensPassesNothing(t *testing.T) {
	run(t, newHub(), func(w *world) {
		p := w.person(func(s *Session) {
			w.settle()
			w.suspend(true, "held", s.ID())
		})
		_, _ = p.keys.Write([]byte("x"))
		w.settle()
		p.must(t, "", "true: held")
		if got := w.state(p.Session); got != sessionv1.Session_SUSPENDED {
			t.Errorf("the broker heard %v", got)
		}
	})
}

func TestWhatIsSaidLastHoldsHoweverQuickly(t *testing.T) {
	run(t, newHub(), func(w *world) {
		p := w.person(nothing)
		for range 50 {
			w.suspend(true, "held", p.ID())
			w.suspend(false, "goes on", p.ID())
		}
		w.hub.with(func() {
			for i := range 51 {
				w.hub.links[0].say(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Suspend{
					Suspend: &sessionv1.Suspend{Ids: []string{p.ID()}, Held: i%2 == 0, Reason: "again"}}})
			}
		})
		w.settle()
		go func() { _, _ = p.keys.Write([]byte("x")) }()
		w.settle()
		if got := w.state(p.Session); got != sessionv1.Session_SUSPENDED || len(p.got) != 0 {
			t.Errorf("the broker heard %v, and %q passed", got, p.got)
		}
	})
}

func TestAHostThatCanNotSuspendSaysSo(t *testing.T) {
	run(t, newHub(), func(w *world) {
		s := w.open("alice", "db-1")
		w.suspend(true, "held", s.ID())
		if got := w.hub.sessions[s.ID()]; got.GetState() != sessionv1.Session_OPEN || got.GetSuspendable() {
			t.Errorf("the broker heard %v", got)
		}
		w.mustLive(s)
	})
}
