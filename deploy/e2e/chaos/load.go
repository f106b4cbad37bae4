//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/target"
)

const (
	keepers  = 4                      // who keep a session open
	askers   = 2                      // who ask gates
	askEvery = 20 * time.Millisecond  // each of them
	rest     = 300 * time.Millisecond // between acts, and before a session is opened again
)

// act is one emergency that somebody asked for, with the same body until it is answered.
type act struct {
	by       *client.Person
	path     string
	body     client.Object
	id       string    // of the answer, empty until there is one
	asked    time.Time // first
	answered time.Time
	lifted   bool // its cancel was answered
	refused  string
}

func (a *act) why() string { return a.body["justification"].(string) }

// session is one ssh of alice's, and when it was seen to be open.
type session struct {
	ssh    *target.Session
	device string
	opened time.Time
}

// check is what a gate answered between two moments.
type check struct {
	device        string
	asked, heard  time.Time
	allowed       bool
	reason, until string
	revision      string
}

// load has people act, work and ask until stop is called, which waits for them.
func (w *world) load() (stop func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	for i := range keepers {
		all.Go(func() { w.keepOpen([]string{"db-1", "web-1"}[i%2], over) })
	}
	for i := range askers {
		all.Go(func() { w.askOn([]string{"db-1", "web-1"}[i%2], over) })
	}
	all.Go(func() { w.actOn(over) })
	all.Go(func() { w.backUpOn(over) })
	return func() { close(over); all.Wait() }
}

func paused(over <-chan struct{}, d time.Duration) bool {
	select {
	case <-over:
		return false
	case <-time.After(d):
		return true
	}
}

func (w *world) keepOpen(device string, over <-chan struct{}) {
	for paused(over, rest) {
		ssh, err := w.door.Hold("alice", device, w.alice)
		if err != nil {
			w.mu.Lock()
			w.refusal = err
			w.mu.Unlock()
			continue // refused, or something is down
		}
		s := &session{ssh, device, time.Now()}
		w.mu.Lock()
		w.sessions = append(w.sessions, s)
		w.mu.Unlock()
		select {
		case <-ssh.Ended():
		case <-over:
			return
		}
	}
}

func (w *world) askOn(device string, over <-chan struct{}) {
	for paused(over, askEvery) {
		asked := time.Now()
		a, err := w.asks.Call(http.MethodPost, "/v1/access:check", client.Object{"user": "alice", "device": device, "channel": "SESSION"})
		if err != nil || a.Status != http.StatusOK {
			continue
		}
		c := check{device, asked, time.Now(), a.Value("allowed") == true, a.Text("reason"), a.Text("until"), a.Text("revision")}
		w.mu.Lock()
		w.checks = append(w.checks, c)
		w.mu.Unlock()
	}
}

// actOn applies and cancels, by whoever has a code. What is not answered is asked again, as it was.
func (w *world) actOn(over <-chan struct{}) {
	r := rand.New(rand.NewPCG(w.seed, 1))
	for n := 0; paused(over, rest); n++ {
		for _, a := range w.unanswered() {
			w.send(a)
		}
		w.cancelOne(r)
		p := w.crew[r.IntN(len(w.crew))]
		if !p.Ready() || w.signIn(p) != nil || !p.Ready() {
			continue
		}
		a := w.draft(r, p, n)
		grant, err := p.Grant(a.body["purpose"].(string))
		if err != nil {
			continue
		}
		delete(a.body, "purpose")
		a.asked = time.Now()
		a.body["grant"] = grant
		w.mu.Lock()
		w.acts = append(w.acts, a)
		w.mu.Unlock()
		w.send(a)
	}
}

func (w *world) draft(r *rand.Rand, p *client.Person, n int) *act {
	a := &act{by: p, body: client.Object{"justification": fmt.Sprintf("chaos %d-%d", w.seed, n), "requestId": uuid.NewString()}}
	switch at := r.IntN(30); {
	case at < 17:
		a.path, a.body["purpose"], a.body["selector"] = "/v1/terminations", "terminate", client.Object{"devices": []string{[]string{"db-1", "web-1"}[r.IntN(2)]}}
	case at < 29:
		a.path, a.body["purpose"], a.body["duration"], a.body["endLiveSessions"] = "/v1/freezes", "freeze", "60s", r.IntN(2) == 0
	default:
		a.path, a.body["purpose"], a.body["duration"] = "/v1/lockdowns", "lockdown", "60s"
	}
	return a
}

func (w *world) unanswered() []*act {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*act
	for _, a := range w.acts {
		if a.id == "" && a.refused == "" {
			all = append(all, a)
		}
	}
	return all
}

// send asks once. A refusal for good is not asked again; whoever a lockdown signed out signs in first.
func (w *world) send(a *act) {
	if w.signIn(a.by) != nil {
		return
	}
	answer, err := a.by.Call(http.MethodPost, a.path, a.body)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && answer.Status != http.StatusOK {
		w.refusals[strings.TrimSuffix(answer.Reason()+"/"+answer.Text("details.cause"), "/")]++
	}
	switch {
	case err != nil || answer.Status >= http.StatusInternalServerError || answer.Status == http.StatusConflict:
	case answer.Status == http.StatusOK:
		a.id, a.answered = answer.Text("id"), time.Now()
	case answer.Reason() == "UNAUTHENTICATED":
	default:
		a.refused = answer.String() // such as a grant of a sign-in that is over
	}
}

// answers is how many emergencies were answered.
func (w *world) answers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, a := range w.acts {
		if a.id != "" {
			n++
		}
	}
	return n
}

// cancelOne lifts a window now and then, so that doors open again.
func (w *world) cancelOne(r *rand.Rand) {
	p := w.crew[r.IntN(len(w.crew))]
	if !p.Ready() || w.signIn(p) != nil || !p.Ready() {
		return
	}
	w.mu.Lock()
	var on []*act
	for _, a := range w.acts {
		if a.id != "" && a.id[0] != 'T' && time.Since(a.answered) < time.Minute {
			on = append(on, a)
		}
	}
	w.mu.Unlock()
	if len(on) == 0 {
		return
	}
	one := on[r.IntN(len(on))]
	if i := slices.IndexFunc(on, func(a *act) bool { return a.path == "/v1/lockdowns" }); i >= 0 {
		one = on[i] // it keeps everybody out
	}
	grant, err := p.Grant("cancel")
	if err != nil {
		return
	}
	a, err := p.Call(http.MethodPost, one.path+"/"+one.id+":cancel", client.Object{"justification": "Again", "grant": grant, "requestId": uuid.NewString()})
	if err != nil || a.Status != http.StatusOK {
		return // one that was not answered may be on record or not
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	one.lifted = true
}
