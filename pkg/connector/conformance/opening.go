package conformance

import (
	"slices"
	"strings"
	"testing"
	"time"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

func announces(t *testing.T, r *run) {
	s := r.stand
	s.await(t, "a connector attaches, and begins with a hello", patience, func() bool { return s.hello != nil })
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hello
	if h.GetConnector() == "" || h.GetBootId() == "" || len(h.GetProtocols()) == 0 {
		t.Errorf("a hello names the connector, its process and its protocols; it said %v", h)
	}
	if len(h.GetSessions()) > 0 || h.GetGeneration() != 0 {
		t.Errorf("a host that has just started has no sessions and knows of no attachment; it said %v", h)
	}
	for _, p := range h.GetProtocols() {
		if !slices.Contains([]string{"SSH", "POSTGRES", "TCP", "KUBERNETES"}, p) {
			t.Errorf("there is no protocol %q", p)
		}
	}
}

func beats(t *testing.T, r *run) {
	s := r.stand
	s.acknowledged(t)
	s.strike()
	s.acknowledged(t)
	var before int
	s.with(func() { before = s.beats })
	s.await(t, "a heartbeat comes every two seconds at least", 3*patience/10, func() bool { return s.beats >= before+2 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.beat.GetTime(); at == nil || time.Since(at.AsTime()).Abs() > soon {
		t.Errorf("a heartbeat says the connector's clock; it said %v", at)
	}
}

func opens(t *testing.T, r *run) {
	s := r.stand
	let := make(chan struct{})
	s.answers(func(n int) (*gatev1.CheckResponse, error) {
		if n == 1 {
			<-let
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.allow(), nil
	})
	defer s.answers(nil)
	p := r.begin(t, "alice")
	s.await(t, "a session is registered as OPENING while the gate is asked", soon, func() bool {
		for _, one := range s.sessions {
			return one.GetUser() == "alice" && one.GetDevice() == Device && one.GetState() == sessionv1.Session_OPENING
		}
		return false
	})
	p.says(t, "hello")
	close(let)
	p.reads(t, "hello")
	s.await(t, "it is OPEN", soon, func() bool { p.id = s.newest("alice"); return p.id != "" })
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.sessions[p.id]
	if got.GetRevision() != revision(s.sequence) || got.GetAdmission().GetRevision() != revision(s.sequence) || !slices.Equal(got.GetAccessGroups(), []string{"payments"}) {
		t.Errorf("a session is stamped with what the gate said, at %s: %v", revision(s.sequence), got)
	}
	if got.GetConnector() != s.hello.GetConnector() || !slices.Contains(s.hello.GetProtocols(), got.GetProtocol()) || got.GetStartTime() == nil {
		t.Errorf("a session says its connector, its protocol and its start: %v", got)
	}
	if s.n < 2 {
		t.Errorf("the gate was asked %d times: once before the device is dialled, and once more after", s.n)
	}
	if s.unregistered != "" {
		t.Errorf("the gate was asked about a session that was not registered: %s", s.unregistered)
	}
	_ = p.conn.Close()
}

func refused(t *testing.T, r *run) {
	s := r.stand
	s.answers(func(int) (*gatev1.CheckResponse, error) {
		return &gatev1.CheckResponse{Reason: gatev1.CheckResponse_FROZEN, Message: Device + " is frozen, the gate says"}, nil
	})
	defer s.answers(nil)
	p := r.begin(t, "alice")
	p.says(t, "secret")
	p.isCutOff(t, patience, "is frozen, the gate says")
	p.hasNot(t, "secret")
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := s.newest("alice"); id != "" {
		t.Errorf("it was OPEN: %v", s.sessions[id])
	}
}

// cutBefore cuts while the gate is asked for the nth time of one session, and has it answer as of before.
func cutBefore(t *testing.T, r *run, n int) {
	s := r.stand
	asked, answer := make(chan struct{}), make(chan struct{})
	var before *gatev1.CheckResponse
	s.with(func() { before = s.allow() })
	s.answers(func(k int) (*gatev1.CheckResponse, error) {
		if k == n {
			close(asked)
			<-answer
		}
		return before, nil
	})
	defer s.answers(nil)
	p := r.begin(t, "alice")
	p.says(t, "secret")
	select {
	case <-asked:
	case <-time.After(patience):
		t.Fatalf("the gate was not asked %d times of a session", n)
	}
	cut := termination(s.next(), all())
	s.strike(cut)
	s.acknowledged(t)
	s.await(t, "the session that is being opened counts as one that the cut takes", soon, func() bool {
		c := s.progress(cut.GetEmergency())
		return c.GetOpen()+c.GetEnded() == 1
	})
	close(answer)
	p.isCutOff(t, patience, "")
	p.hasNot(t, "secret")
	s.await(t, "of the cut nothing is open", soon, func() bool { return s.progress(cut.GetEmergency()).GetOpen() == 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := s.newest("alice"); id != "" {
		t.Errorf("it was OPEN: %v", s.sessions[id])
	}
	if all, _, _ := p.has(); strings.TrimSpace(all) == "" {
		t.Error("the person reads nothing of why")
	}
}
