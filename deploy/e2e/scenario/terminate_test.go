package scenario

import (
	"net/http"
	"strings"
	"time"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/target"
)

// terminate ends what a selector names and waits until it is done.
func (w *world) terminate(p *client.Person, selector object) *client.Answer {
	w.Helper()
	t := w.must(w.ask(p, "terminate", "/v1/terminations", object{"selector": selector}))
	var now *client.Answer
	w.eventually(5*time.Second, "the termination is DONE", func() bool {
		now = w.must(p.Call(http.MethodGet, "/v1/terminations/"+t.Text("id"), nil))
		return now.Text("status") == "DONE"
	})
	return now
}

func (w *world) counts(t *client.Answer, ended int) {
	w.Helper()
	if t.Number("ended") != ended || t.Number("open") != 0 || t.Number("unreachable") != 0 {
		w.Errorf("the termination reads %s, want %d ended, none open or unreachable", t, ended)
	}
	if ms := t.Number("lastEndedMs"); ended > 0 && (ms < 0 || ms > 1000) {
		w.Errorf("the last session ended after %d ms by its own account", ms)
	}
}

// suspends suspends the session of somebody, lets it go on, and leaves it suspended: a cut ends it as any other.
func (w *world) suspends(p *client.Person, user, device string, live *target.Session) {
	w.Helper()
	found := w.must(p.Call(http.MethodGet, "/v1/sessions?filter=user%3D"+user+"+AND+device%3D"+device, nil)).Objects("sessions")
	if len(found) != 1 || found[0]["suspendable"] != true {
		w.Fatalf("of %s on %s there is listed %v", user, device, found)
	}
	path := "/v1/sessions/" + found[0]["id"].(string)
	for _, step := range []struct{ verb, state, said string }{
		{":suspend", "SUSPENDED", "session suspended by an administrator"}, {":resume", "OPEN", "the session goes on"}, {":suspend", "SUSPENDED", ""},
	} {
		if a := w.must(p.Call(http.MethodPost, path+step.verb, object{"justification": "odd"})); a.Text("state") != step.state {
			w.Errorf("%s answers %s", step.verb, a)
		}
		if a := w.must(p.Call(http.MethodGet, path, nil)); a.Text("state") != step.state {
			w.Errorf("after %s it is %s", step.verb, a)
		}
		w.eventually(2*time.Second, "its person reads "+step.said, func() bool { return strings.Contains(live.Output(), step.said) })
	}
}

func terminationEnds(w *world) {
	root, other := w.root(), w.root()
	onDatabase, onWeb, ofBruno := w.hold("alice", "db-1"), w.hold("alice", "web-1"), w.hold("bruno", "web-1")
	ofRoot := w.hold(root.Name, "db-2")
	w.eventually(2*time.Second, "four sessions are listed", func() bool {
		return len(w.must(root.Call(http.MethodGet, "/v1/sessions", nil)).Objects("sessions")) == 4
	})

	w.suspends(root, "alice", "web-1", onWeb)

	grant, err := root.Grant("terminate")
	if err != nil {
		w.Fatal(err)
	}
	for _, selector := range []any{nil, object{}, object{"all": false}, object{"users": []string{}}} {
		a, err := w.ask(root, "terminate", "/v1/terminations", object{"selector": selector, "grant": grant})
		w.refused(http.StatusBadRequest, "SELECTOR_EMPTY", a, err)
	}
	before := time.Now()
	a := w.must(w.ask(root, "terminate", "/v1/terminations", object{
		"selector": object{"users": []string{"alice"}, "devices": []string{"web-1"}}, "grant": grant,
	}))
	w.endsWithin(onWeb, before, time.Second)
	if read := onWeb.Output(); !strings.Contains(read, a.Text("id")) || strings.Contains(read, "break-in") {
		w.Errorf("alice reads %q: it must name %s, and keep the justification, which is not public", read, a.Text("id"))
	}
	w.eventually(3*time.Second, "the termination is DONE", func() bool {
		a = w.must(root.Call(http.MethodGet, "/v1/terminations/"+a.Text("id"), nil))
		return a.Text("status") == "DONE"
	})
	w.counts(a, 1)
	if !onDatabase.Alive() || !ofBruno.Alive() {
		w.Fatal("a selector of a user and a device ended sessions of others, or on others")
	}

	w.counts(w.terminate(root, object{"accessGroups": []string{"payments"}}), 2)
	w.endsWithin(onDatabase, time.Now(), time.Second)
	w.endsWithin(ofRoot, time.Now(), time.Second)
	if !ofBruno.Alive() {
		w.Fatal("a selector of a group ended a session outside it")
	}

	later := w.hold("alice", "web-1")
	w.counts(w.terminate(other, object{"all": true}), 2)
	w.endsWithin(ofBruno, time.Now(), time.Second)
	w.endsWithin(later, time.Now(), time.Second)
	newer := w.hold("alice", "db-1") // new ones may start at once
	w.counts(w.terminate(other, object{"users": []string{"bruno"}}), 0)
	if newer.Wait(1500 * time.Millisecond) {
		w.Errorf("a session opened after the termination was ended: %s", newer.Output())
	}
	list := w.must(root.Call(http.MethodGet, "/v1/terminations", nil)).Objects("terminations")
	if len(list) != 4 {
		w.Errorf("%d terminations are listed, want 4", len(list))
	}
}
