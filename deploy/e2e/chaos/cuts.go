//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	grace  = 10 * time.Second // more than the second that is promised: other things run on this machine
	rounds = 3                // of cuts when nothing is broken any more
	ahead  = 30               // seconds that the gates' clocks are then
)

// compareSessions looks at who is alive though cut, when everything has been there again for a while.
func (w *world) compareSessions(entries []*emergencyv1.Entry) error {
	time.Sleep(time.Until(w.calm.Add(grace)))
	written := map[string]*emergencyv1.Entry{}
	for _, e := range entries {
		if id := e.GetEmergency().GetId(); id != "" && written[id] == nil {
			written[id] = e
		}
	}
	var wrong []error
	for _, s := range w.sessions {
		for _, a := range w.acts {
			if e := written[a.id]; s.ssh.Alive() && !a.answered.After(w.calm) && cuts(e, s.device) && s.opened.Before(w.earliest(a, e)) {
				wrong = append(wrong, fmt.Errorf("alice's session on %s of %s is alive, and %s, answered at %s, cut it", s.device, s.opened.UTC(), a.id, a.answered.UTC()))
			}
		}
	}
	return errors.Join(wrong...)
}

// earliest is when an emergency was written at the earliest: after it was first asked for, and, if it was asked for again and again,
// not long before what a clock said that is bound to be wrong.
func (w *world) earliest(a *act, e *emergencyv1.Entry) time.Time {
	_, ahead := w.clocksOf("emergency-control", w.began, w.calm)
	if said := e.GetTime().AsTime().Add(-ahead); said.After(a.asked) {
		return said
	}
	return a.asked
}

// cuts reports whether an entry is the first of what ends sessions on a device.
func cuts(e *emergencyv1.Entry, device string) bool {
	r := e.GetEmergency()
	if r == nil || r.GetCutoffRevision() != r.GetRevision() {
		return false
	}
	switch r.GetKind() {
	case emergencyv1.Emergency_LOCKDOWN:
		return true
	case emergencyv1.Emergency_FREEZE:
		return r.GetEndLiveSessions() && device == "db-1"
	}
	return len(r.GetSelector().GetDevices()) > 0 && r.GetSelector().GetDevices()[0] == device
}

// compareCuts terminates sessions as soon as they are open, by gates whose clocks are half a minute ahead: it is the record that
// says what came first.
func (w *world) compareCuts() error {
	for _, s := range w.sessions {
		s.ssh.Kill() // of the storm
	}
	var wrong []error
	for _, process := range []string{"access-gate", stack.Replica("access-gate", 1)} {
		w.kill(process)
		w.setClock(process, ahead)
		wrong = append(wrong, w.start(process))
	}
	if err := errors.Join(append(wrong, w.WaitReady())...); err != nil {
		return err
	}
	for range rounds {
		wrong = append(wrong, w.cutAtOnce())
	}
	return errors.Join(wrong...)
}

func (w *world) cutAtOnce() error {
	p := w.first
	var grant string
	err := w.await("somebody is granted a termination", func() bool {
		p = w.ready()
		if w.signIn(p) != nil {
			return false
		}
		var err error
		grant, err = p.Grant("terminate")
		return err == nil
	})
	if err != nil {
		return err
	}
	s := &session{device: "web-1"}
	err = w.await("alice opens a session on web-1", func() bool {
		var err error
		s.ssh, err = w.door.Hold("alice", s.device, w.alice)
		w.refusal = err
		return err == nil
	})
	if err != nil {
		return errors.Join(err, w.refusal)
	}
	defer s.ssh.Kill()
	s.opened = time.Now()
	body := client.Object{"justification": "As soon as it is open", "selector": client.Object{"devices": []string{s.device}}, "grant": grant, "requestId": uuid.NewString()}
	if err := answered(p.Call(http.MethodPost, "/v1/terminations", body)); err != nil {
		return err
	}
	if !s.ssh.Wait(3 * grace) {
		return fmt.Errorf("alice's session on %s of %s is alive %s after a termination that was asked for later", s.device, s.opened.UTC(), 3*grace)
	}
	return nil
}

// ready is somebody with a code to give, or else the first.
func (w *world) ready() *client.Person {
	for _, p := range w.crew {
		if p.Ready() {
			return p
		}
	}
	return w.first
}
