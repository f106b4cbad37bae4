package broker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/fault"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/session-broker/registry"
)

// suspendable opens a session on a host that can suspend it, and answers what the host is told.
func (s *site) suspendable(user, device string) (*live, chan string) {
	s.t.Helper()
	l, told := &live{reasons: make(chan string, 8)}, make(chan string, 100)
	session, err := s.Open(context.Background(), connector.Request{User: user, Device: device, Protocol: "SSH",
		End:     func(reason string) { l.reasons <- reason },
		Suspend: func(held bool, reason string) { told <- fmt.Sprint(held, " ", reason) }})
	must(s.t, err)
	must(s.t, session.Admit(context.Background()))
	l.Session = session
	return l, told
}

func (r *replica) suspend(t *testing.T, id string) *sessionv1.Session {
	t.Helper()
	s, err := r.SuspendSession(t.Context(), &sessionv1.SuspendSessionRequest{Id: id, Justification: "odd"})
	must(t, err)
	return s
}

func (r *replica) resume(t *testing.T, id string) *sessionv1.Session {
	t.Helper()
	s, err := r.ResumeSession(t.Context(), &sessionv1.ResumeSessionRequest{Id: id})
	must(t, err)
	return s
}

func (r *replica) mustBe(t *testing.T, id string, state sessionv1.Session_State) {
	t.Helper()
	eventually(t, fmt.Sprint("the list has it as ", state), func() bool {
		for _, s := range r.list(t, "") {
			if s.GetId() == id {
				return s.GetState() == state
			}
		}
		return false
	})
}

func TestAnAdministratorSuspendsASessionLetsItGoOnOrEndsIt(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	one, told := site.suspendable("alice", "db-1")
	other, _ := site.suspendable("alice", "db-1")
	r.mustBe(t, one.ID(), sessionv1.Session_OPEN)
	if s := r.suspend(t, one.ID()); s.GetState() != sessionv1.Session_SUSPENDED {
		t.Errorf("got %v", s)
	}
	r.mustBe(t, one.ID(), sessionv1.Session_SUSPENDED)
	r.mustBe(t, other.ID(), sessionv1.Session_OPEN)
	if s := r.resume(t, one.ID()); s.GetState() != sessionv1.Session_OPEN {
		t.Errorf("got %v", s)
	}
	if first, second := <-told, <-told; first != "true "+r.config.Texts.Suspended() || second != "false "+r.config.Texts.Resumed() {
		t.Errorf("the host was told %q, then %q", first, second)
	}
	r.suspend(t, one.ID())
	id := g.view.terminate(everyone())
	one.mustEnd(t, id)
	other.mustEnd(t, id)
	eventually(t, "it is on record", func() bool { return g.recorded(one.ID()).GetEndCause() == id })
	if s := r.resume(t, one.ID()); s.GetState() != sessionv1.Session_ENDED {
		t.Errorf("resuming one that is over: %v", s)
	}
}

func TestASuspendedSessionIsSuspendedAfterTheBrokersRestart(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	site := g.site("host-1", r.addr)
	s, told := site.suspendable("alice", "db-1")
	r.mustBe(t, s.ID(), sessionv1.Session_OPEN)
	r.suspend(t, s.ID())
	eventually(t, "it is on record once", func() bool { return g.recorded(s.ID()).GetUser() == "alice" })
	r.kill()
	again := g.replicaAt(r.addr)
	again.mustBe(t, s.ID(), sessionv1.Session_SUSPENDED)
	time.Sleep(2 * breath) // the record is read, and nothing is said anew
	if len(told) != 1 {
		t.Errorf("the host was told %d times", len(told))
	}
	if got := again.resume(t, s.ID()); got.GetState() != sessionv1.Session_OPEN {
		t.Errorf("got %v", got)
	}
	site.mustLive(s)
}

func TestASuspensionThatWasWantedWhileTheConnectorWasAwayIsSaidUntilItIsSo(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	held := func(state sessionv1.Session_State) *sessionv1.Hello {
		s := session("host-1", "a")
		s.Suspendable, s.State = true, state
		return &sessionv1.Hello{Connector: "host-1", BootId: "one", Sessions: []*sessionv1.Session{s}}
	}
	hears := func(c *raw, want bool, times int) {
		t.Helper()
		for n, late := 0, time.After(10*time.Second); n < times; {
			select {
			case m := <-c.heard:
				if s := m.GetSuspend(); s != nil && s.GetHeld() == want && len(s.GetIds()) == 1 {
					n++
				}
			case <-late:
				t.Fatalf("it was said %d times", n)
			}
		}
	}
	c := r.attach(t, held(sessionv1.Session_OPEN))
	r.mustBe(t, "a", sessionv1.Session_OPEN)
	must(t, c.stream.CloseSend())
	eventually(t, "it is gone", func() bool { return !r.host("host-1").attachedHere() })
	if s := r.suspend(t, "a"); s.GetState() != sessionv1.Session_UNREACHABLE {
		t.Errorf("got %v", s)
	}
	c = r.attach(t, held(sessionv1.Session_OPEN))
	hears(c, true, 2)
	must(t, c.stream.CloseSend())
	eventually(t, "it is gone", func() bool { return !r.host("host-1").attachedHere() })
	c = r.attach(t, held(sessionv1.Session_SUSPENDED))
	go func() { _, _ = r.ResumeSession(t.Context(), &sessionv1.ResumeSessionRequest{Id: "a"}) }()
	hears(c, false, 2)
	c.say(&sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Opened{Opened: &sessionv1.Opened{Sessions: held(sessionv1.Session_OPEN).GetSessions()}}})
	r.mustBe(t, "a", sessionv1.Session_OPEN)
	h := r.host("host-1")
	eventually(t, "nothing more is said", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.suspending) == 0
	})
}

func TestASessionThatCanNotBeSuspendedIsNotSaidToBe(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	r := g.replica()
	s := g.site("host-1", r.addr).open("alice", "db-1")
	r.mustBe(t, s.ID(), sessionv1.Session_OPEN)
	if _, err := r.SuspendSession(t.Context(), &sessionv1.SuspendSessionRequest{Id: s.ID()}); !fault.Is(err, fault.NotSuspendable) {
		t.Errorf("got %v", err)
	}
	for _, id := range []string{"", "nobody", "a.b", "*"} {
		if _, err := r.SuspendSession(t.Context(), &sessionv1.SuspendSessionRequest{Id: id}); !fault.Is(err, fault.NotFound) {
			t.Errorf("suspending %q: %v", id, err)
		}
	}
}

func TestWithoutTheJournalASessionIsHeldAndNotLetGo(t *testing.T) {
	g := newGround(t, registry.NewMemory())
	g.replica().kill()
	b, err := New(Config{Instance: "full"}, Deps{View: g.view, Pulse: g.pulses, Store: g.index, Index: g.index,
		Records: func(ctx context.Context) (Records, error) {
			s, err := g.journal.Stream(ctx, "SESSION")
			return broken{s}, err
		}})
	must(t, err)
	full := g.serve(b, "127.0.0.1:0")
	s, told := g.site("host-1", full.addr).suspendable("alice", "db-1")
	full.mustBe(t, s.ID(), sessionv1.Session_OPEN)
	if _, err := full.SuspendSession(t.Context(), &sessionv1.SuspendSessionRequest{Id: s.ID()}); !fault.Is(err, fault.JournalUnavailable) {
		t.Errorf("suspending: %v", err)
	}
	full.mustBe(t, s.ID(), sessionv1.Session_SUSPENDED)
	if _, err := full.ResumeSession(t.Context(), &sessionv1.ResumeSessionRequest{Id: s.ID()}); !fault.Is(err, fault.JournalUnavailable) {
		t.Errorf("resuming: %v", err)
	}
	full.mustBe(t, s.ID(), sessionv1.Session_SUSPENDED)
	if first := <-told; first != "true "+full.config.Texts.Suspended() || len(told) > 0 {
		t.Errorf("the host was told %q", first)
	}
}
