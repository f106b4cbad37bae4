package scenario

import (
	"net/http"
	"strings"
	"time"
)

func freezeCloses(w *world) {
	root, other := w.root(), w.root()
	alice := w.person("alice")
	live := w.hold("alice", "db-1")

	f := w.freeze(root, nil)
	if f.Text("status") != "ONGOING" || f.Text("kind") != "FREEZE" || f.Text("createdBy") != root.Name {
		w.Errorf("the freeze reads %s", f)
	}
	end := w.moment(f, "endTime")
	if read := w.shut("alice", "db-1"); !strings.Contains(read, "frozen until "+said(end)) {
		w.Errorf("alice reads %q, which does not say until when (%s)", read, said(end))
	}
	if c := w.check(alice, "db-1"); c.Value("allowed") != false || c.Text("reason") != "FROZEN" ||
		!w.moment(c, "until").Equal(end) || c.Text("emergency") != f.Text("id") {
		w.Errorf("the check of alice on db-1 reads %s", c)
	}
	w.open(root.Name, "db-1")
	w.open("alice", "web-1")
	if !live.Alive() {
		w.Errorf("a live session ended: %s", live.Output())
	}
	devices := w.must(root.Call(http.MethodGet, "/v1/freezes/"+f.Text("id")+"/devices", nil))
	if names := devices.Objects("devices"); len(names) != 2 || names[0]["name"] != "db-1" || names[1]["name"] != "db-2" {
		w.Errorf("the freeze's devices read %s", devices)
	}

	// Editing a group changes the answer as soon as each gate has read so: closing takes no grant, opening takes one.
	w.must(root.Call(http.MethodPatch, "/v1/access-groups/websites", object{"blockDuringFreezes": true}))
	everyGate := func(device, reason string) {
		w.eventually(time.Second, device+" is "+reason+" for alice at every gate", func() bool {
			for range 6 { // they answer by turns
				if w.check(alice, device).Text("reason") != reason {
					return false
				}
			}
			return true
		})
	}
	everyGate("web-1", "FROZEN")
	w.shut("alice", "web-1")
	a, err := root.Call(http.MethodPatch, "/v1/access-groups/payments", object{"blockDuringFreezes": false})
	w.refused(http.StatusForbidden, "GRANT_REQUIRED", a, err)
	grant, err := root.Grant("access-group")
	if err != nil {
		w.Fatal(err)
	}
	w.must(root.Call(http.MethodPatch, "/v1/access-groups/payments", object{
		"blockDuringFreezes": false, "grant": grant, "justification": "The database team needs in",
	}))
	everyGate("db-1", "ALLOWED")
	w.open("alice", "db-1")

	w.shut("alice", "web-1")
	c := w.cancel(other, "freezes", f.Text("id"))
	if c.Text("status") != "CANCELLED" || c.Text("cancelledBy") != other.Name || !w.moment(c, "endTime").Equal(w.moment(c, "cancelTime")) {
		w.Errorf("the cancelled freeze reads %s", c)
	}
	everyGate("web-1", "ALLOWED")
	w.open("alice", "web-1")
	a, err = w.ask(other, "cancel", "/v1/freezes/"+f.Text("id")+":cancel", object{})
	w.refused(http.StatusBadRequest, "NOT_CANCELLABLE", a, err)
}

func freezesOverlap(w *world) {
	root, other := w.root(), w.root()
	alice := w.person("alice")
	live, spared := w.hold("alice", "db-1"), w.hold("alice", "web-1")
	long := w.freeze(root, object{"duration": "1200s"})
	short := w.freeze(root, object{"endLiveSessions": true})
	w.endsWithin(live, time.Now(), time.Second)
	if !spared.Alive() {
		w.Error("endLiveSessions ended a session on a device that is not frozen")
	}
	c := w.check(alice, "db-1")
	if !w.moment(c, "until").Equal(w.moment(long, "endTime")) {
		w.Errorf("the check names %s, want the latest end %s", c, long.Text("endTime"))
	}
	w.cancel(other, "freezes", long.Text("id"))
	w.eventually(time.Second, "the check names the end of the freeze that is left", func() bool {
		c := w.check(alice, "db-1")
		return c.Text("reason") == "FROZEN" && w.moment(c, "until").Equal(w.moment(short, "endTime"))
	})
	end := w.shorten(other, "freezes", short.Text("id"), 2*time.Second)
	time.Sleep(time.Until(end)) // the end itself is what is looked at
	if c := w.check(alice, "db-1"); c.Text("reason") != "ALLOWED" {
		w.Errorf("after the last freeze's end the check reads %s", c)
	}
	w.open("alice", "db-1")
	list := w.must(root.Call(http.MethodGet, "/v1/freezes?filter=status=ENDED", nil))
	if rows := list.Objects("freezes"); len(rows) != 1 || rows[0]["id"] != short.Text("id") {
		w.Errorf("the freezes that ended are %s", list)
	}
}
