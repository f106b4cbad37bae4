package conformance

import (
	"fmt"
	"testing"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// isOver waits until the connector says that a session is over, by a cause.
func (r *run) isOver(t *testing.T, p *person, within time.Duration, cause string) {
	t.Helper()
	s := r.stand
	s.await(t, "the connector says that "+p.id+" is over by "+cause, within, func() bool {
		for _, e := range s.ended[p.id] {
			return e.cause == cause
		}
		return false
	})
}

func terminated(t *testing.T, r *run) {
	s := r.stand
	people := []*person{r.open(t, "alice"), r.open(t, "alice"), r.open(t, "bob")}
	cut := termination(s.next(), all())
	began := time.Now()
	s.strike(cut)
	for _, p := range people {
		p.isCutOff(t, soon, cut.GetReason())
	}
	t.Logf("the last of %d people was cut off after %v", len(people), time.Since(began))
	for _, p := range people {
		r.isOver(t, p, soon, cut.GetEmergency())
	}
	s.acknowledged(t)
	s.await(t, "the heartbeats count three ended and none open", soon, func() bool {
		c := s.progress(cut.GetEmergency())
		return c.GetEnded() == 3 && c.GetOpen() == 0 && s.beat.GetOpenSessions() == 0
	})
}

func saidAgain(t *testing.T, r *run) {
	s := r.stand
	cut := termination(s.next(), all())
	s.strike(cut)
	s.acknowledged(t)
	p := r.open(t, "alice")
	for n := range 3 { // in other words each time, and with more beside it
		again := termination(s.next()-1-uint64(n), all())
		again.MemberDevices = []string{Device, fmt.Sprint("web-", n)}
		s.strike(termination(s.next(), &emergencyv1.Selector{Users: []string{"nobody"}}), again)
		s.acknowledged(t)
	}
	p.lives(t, "still here")
	_ = p.conn.Close()
}

func selected(t *testing.T, r *run) {
	s := r.stand
	alice, bob := r.open(t, "alice"), r.open(t, "bob")
	cut := termination(s.next(), &emergencyv1.Selector{Users: []string{"alice"}, Devices: []string{Device}})
	s.strike(cut, termination(s.next(), &emergencyv1.Selector{}))
	s.acknowledged(t)
	alice.isCutOff(t, soon, "")
	r.isOver(t, alice, soon, cut.GetEmergency())
	bob.lives(t, "not meant")
	_ = bob.conn.Close()
}

func named(t *testing.T, r *run) {
	s := r.stand
	one, other := r.open(t, "alice"), r.open(t, "alice")
	s.say(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_End{End: &sessionv1.End{
		Ids: []string{"unknown", one.id}, Cause: "ended", Reason: "An administrator ended it"}}})
	r.isOver(t, one, soon, "ended")
	one.isCutOff(t, soon, "An administrator ended it")
	other.lives(t, "not named")
	_ = other.conn.Close()
}

func confirmed(t *testing.T, r *run) {
	s := r.stand
	people := []*person{r.open(t, "alice"), r.open(t, "bob"), r.open(t, "alice")}
	s.with(func() { s.confirms = false })
	cut := termination(s.next(), all())
	s.strike(cut)
	s.await(t, "each end is said again while it is not confirmed", patience, func() bool {
		for _, p := range people {
			if len(s.ended[p.id]) < 2 || s.ended[p.id][0].cause != cut.GetEmergency() {
				return false
			}
		}
		return true
	})
	confirm := &sessionv1.Confirm{}
	for _, p := range people {
		confirm.Ids = append(confirm.Ids, p.id)
	}
	s.with(func() { s.confirms = true })
	s.say(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Confirm{Confirm: confirm}})
	s.await(t, "the confirmations have arrived", soon, func() bool { return len(s.link.down) == 0 })
	var beats int
	s.with(func() { beats = s.beats })
	s.await(t, "two heartbeats more", patience, func() bool { return s.beats >= beats+2 })
	r.reattach(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.hello.GetEnded()); n != 0 {
		t.Errorf("what was confirmed, in one batch, is in the next hello all the same: %v", s.hello.GetEnded())
	}
}
