package scenario

import (
	"net/http"
	"strings"
	"time"

	"portcullis.dev/deploy/e2e/client"
)

func (w *world) lock(p *client.Person, on object) *client.Answer {
	w.Helper()
	return w.must(w.ask(p, "lock", "/v1/locks", on))
}

func locksHold(w *world) {
	root, other, third := w.root(), w.root(), w.root()
	alice := w.person("alice")
	ofAlice, ofRoot, spared := w.hold("alice", "db-1"), w.hold(root.Name, "db-1"), w.hold("bruno", "web-1")

	// A device: nobody's session on it lives or begins, until somebody lifts the lock.
	k := w.lock(root, object{"device": "db-1"})
	if k.Text("status") != "ONGOING" || k.Text("endTime") != "" || !strings.HasPrefix(k.Text("id"), "K-") {
		w.Errorf("the lock reads %s", k)
	}
	w.endsWithin(ofAlice, time.Now(), time.Second)
	w.endsWithin(ofRoot, time.Now(), time.Second)
	if read := ofAlice.Output(); !strings.Contains(read, "The device is locked ("+k.Text("id")+"), until an administrator lifts it") {
		w.Errorf("alice's session ended with %q", read)
	}
	for _, user := range []string{"alice", root.Name} {
		if read := w.shut(user, "db-1"); !strings.Contains(read, "db-1 is locked until an administrator lifts it. Ask an administrator about "+k.Text("id")) {
			w.Errorf("%s reads %q", user, read)
		}
	}
	w.open("alice", "db-2")
	w.cancel(other, "locks", k.Text("id"))
	w.eventually(time.Second, "db-1 is open again", func() bool { return w.check(alice, "db-1").Text("reason") == "ALLOWED" })
	w.open("alice", "db-1")

	// A user: signed out, and refused everywhere, with the time.
	ofAlice = w.hold("alice", "db-2")
	k = w.lock(other, object{"user": "alice", "duration": "600s"})
	end := w.moment(k, "endTime")
	w.endsWithin(ofAlice, time.Now(), time.Second)
	a, err := alice.Call(http.MethodGet, "/v1/users/alice", nil)
	w.refused(http.StatusForbidden, "LOCKED", a, err)
	a, err = w.stranger("alice").SignIn()
	w.refused(http.StatusForbidden, "LOCKED", a, err)
	if !strings.Contains(a.Text("message"), "Your user is locked until "+said(end)) {
		w.Errorf("alice, who signs in, reads %s", a)
	}
	wrong := w.stranger("alice")
	wrong.Password = "not alice's password"
	a, err = wrong.SignIn()
	w.refused(http.StatusUnauthorized, "UNAUTHENTICATED", a, err)
	if read := w.shut("alice", "web-1"); !strings.Contains(read, "Your user is locked until "+said(end)) {
		w.Errorf("alice reads %q at the bastion", read)
	}

	// A group: by who is in it at that moment.
	k = w.lock(third, object{"accessGroup": "websites"})
	w.endsWithin(spared, time.Now(), time.Second)
	w.shut(root.Name, "web-1")
	moved := w.hold("bruno", "db-2")
	w.must(root.Call(http.MethodPatch, "/v1/access-groups/websites", object{"devices": []string{"web-1", "db-2"}}))
	w.endsWithin(moved, time.Now(), 2*time.Second)
	w.shut("bruno", "db-2")
	a, err = root.Call(http.MethodPatch, "/v1/access-groups/websites", object{"devices": []string{"web-1"}})
	w.refused(http.StatusForbidden, "GRANT_REQUIRED", a, err)
	w.cancel(third, "locks", k.Text("id"))
	w.eventually(time.Second, "web-1 is open again", func() bool { return w.check(w.person("bruno"), "web-1").Text("reason") == "ALLOWED" })
	w.open("bruno", "db-2")
}
