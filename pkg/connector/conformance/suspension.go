package conformance

import (
	"fmt"
	"strings"
	"testing"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// suspend has sessions held, or lets them go on, and waits until the connector says so.
func (r *run) suspend(t *testing.T, held bool, reason string, p *person) {
	t.Helper()
	s := r.stand
	for range 2 { // once more does nothing more
		s.say(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Suspend{Suspend: &sessionv1.Suspend{Ids: []string{"unknown", p.id}, Held: held, Reason: reason}}})
	}
	want := sessionv1.Session_OPEN
	if held {
		want = sessionv1.Session_SUSPENDED
	}
	s.await(t, "the session is "+want.String(), soon, func() bool { return s.sessions[p.id].GetState() == want })
}

// suspendable opens a session, and leaves the test out on a host that can't suspend.
func (r *run) suspendable(t *testing.T) *person {
	t.Helper()
	p := r.open(t, "alice")
	r.stand.mu.Lock()
	defer r.stand.mu.Unlock()
	if !r.stand.sessions[p.id].GetSuspendable() {
		_ = p.conn.Close()
		t.Skip("LEFT OUT: this host says that it can't suspend its sessions")
	}
	return p
}

func suspended(t *testing.T, r *run) {
	p, other := r.suspendable(t), r.open(t, "bob")
	r.suspend(t, true, "An administrator holds it", p)
	p.reads(t, "An administrator holds it")
	for n := range 100 {
		p.says(t, fmt.Sprint("held-", n))
	}
	other.lives(t, "not mine")
	var beats int
	r.stand.with(func() { beats = r.stand.beats })
	r.stand.await(t, "two heartbeats more", patience, func() bool { return r.stand.beats >= beats+2 })
	p.hasNot(t, "held-0")
	r.suspend(t, false, "It goes on", p)
	p.reads(t, "It goes on")
	p.reads(t, "held-99")
	text, _, _ := p.has()
	for n, at := 0, 0; n < 100; n++ {
		next := strings.Index(text[at:], fmt.Sprintf("held-%d", n))
		if next < 0 {
			t.Fatalf("held-%d was lost, or came too early", n)
		}
		at += next
	}
	_, _ = p.conn.Close(), other.conn.Close()
}

func suspendedAndCut(t *testing.T, r *run) {
	s, p := r.stand, r.suspendable(t)
	r.suspend(t, true, "An administrator holds it", p)
	p.says(t, "held")
	r.reattach(t)
	s.await(t, "the hello says that it is SUSPENDED", soon, func() bool { return s.sessions[p.id].GetState() == sessionv1.Session_SUSPENDED })
	cut := termination(s.next(), all())
	s.strike(cut)
	p.isCutOff(t, soon, cut.GetReason())
	r.isOver(t, p, soon, cut.GetEmergency())
	for _, line := range strings.Split(tail(p.string()), "\n") {
		if strings.TrimSpace(line) == "held" {
			t.Error("what was held has passed")
		}
	}
}

func (p *person) string() string { text, _, _ := p.has(); return text }
