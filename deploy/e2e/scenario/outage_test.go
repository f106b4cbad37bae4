package scenario

import (
	"net/http"
	"syscall"
	"time"

	"portcullis.dev/deploy/e2e/client"
)

func scheduledWithoutControl(w *world) {
	root := w.root()
	before := w.hold("alice", "db-1")
	start := time.Now().Add(6 * time.Second).UTC()
	l := w.must(w.ask(root, "lockdown", "/v1/lockdowns", object{
		"startTime": start.Format(time.RFC3339Nano), "duration": "600s",
	}))
	if l.Text("status") != "PENDING" {
		w.Errorf("the scheduled lockdown reads %s", l)
	}
	knowing := w.hold("bruno", "web-1") // admitted with knowledge of what is to come
	w.Process("emergency-control").Kill()
	if !before.Alive() || !knowing.Alive() {
		w.Error("a session ended before the lockdown's start")
	}
	w.endsWithin(before, start, time.Second)
	w.endsWithin(knowing, start, time.Second)
	for _, s := range []time.Time{before.End, knowing.End} {
		if s.Before(start) {
			w.Errorf("a session ended %v before the lockdown's start", start.Sub(s))
		}
	}
	w.shut("alice", "db-1")
	a, err := w.stranger("alice").SignIn()
	w.isD3("alice, with control dead,", w.moment(l, "endTime"), a, err)

	if err := w.Restart("emergency-control"); err != nil {
		w.Fatal(err)
	}
	w.again(root) // a scheduled start spares nobody
	w.eventually(5*time.Second, "control records the start once it is back", func() bool {
		now, err := root.Call(http.MethodGet, "/v1/lockdowns/"+l.Text("id"), nil)
		if err != nil || now.Status == http.StatusServiceUnavailable {
			return false // whoever asks has not found it again yet
		}
		return now.Text("status") == "ONGOING" && now.Value("started") == true
	})
	w.shut("alice", "db-1")
}

func stoppedConnector(w *world) {
	root, other := w.root(), w.root()
	old := w.hold("alice", "db-1")
	bastion := w.Process("bastion")
	if err := bastion.Signal(syscall.SIGSTOP); err != nil {
		w.Fatal(err)
	}
	l := w.lockdown(root, nil)
	w.eventually(10*time.Second, "the connector's receipt says UNREACHABLE", func() bool {
		receipts := w.must(root.Call(http.MethodGet, "/v1/emergencies/"+l.Text("id")+"/receipts", nil))
		for _, one := range receipts.Objects("receipts") {
			if one["service"] == "connector" && one["state"] == "UNREACHABLE" {
				return true
			}
		}
		return false
	})
	end := w.shorten(w.again(other), "lockdowns", l.Text("id"), 2*time.Second)
	time.Sleep(time.Until(end) + 500*time.Millisecond)
	if !old.Alive() {
		w.Fatalf("the session ended with its connector stopped: %s", old.Output())
	}
	woke := time.Now()
	if err := bastion.Signal(syscall.SIGCONT); err != nil {
		w.Fatal(err)
	}
	w.endsWithin(old, woke, time.Second)
	w.eventually(5*time.Second, "a new session gets in after the lockdown", func() bool {
		_, code, err := w.door.Run("alice", "db-1", w.keys["alice"], "true")
		return err == nil && code == 0
	})
}

func wipedRedis(w *world) {
	root, other := w.root(), w.root()
	program := w.token(root, "API")
	l := w.lockdown(root, nil)
	end := w.moment(l, "endTime")
	w.everyDoorHolds(root, l.Text("id"))
	if err := w.Wipe(); err != nil {
		w.Fatal(err)
	}
	refuses := func(when string) {
		a, err := program.Call(http.MethodGet, "/v1/devices", nil)
		w.isD3("a program "+when, end, a, err)
		a, err = w.stranger("alice").SignIn()
		w.isD3("alice "+when, end, a, err)
		w.shut("alice", "web-1")
		w.must(root.Call(http.MethodGet, "/v1/lockdowns/"+l.Text("id"), nil))
	}
	refuses("after the wipe")
	w.Process("redis").Kill() // the way out depends on the least
	refuses("without Redis")
	w.cancel(w.again(other), "lockdowns", l.Text("id"))
	w.eventually(time.Second, "the program works again", func() bool {
		a, err := program.Call(http.MethodGet, "/v1/devices", nil)
		return err == nil && a.Status == http.StatusOK
	})
	w.open("alice", "web-1")

	if err := w.Restart("redis"); err != nil {
		w.Fatal(err)
	}
	live := w.hold("alice", "db-1")
	if err := w.Wipe(); err != nil {
		w.Fatal(err)
	}
	w.eventually(10*time.Second, "the connector's session is listed again after a wipe", func() bool {
		return len(w.must(root.Call(http.MethodGet, "/v1/sessions", nil)).Objects("sessions")) == 1
	})
	if !live.Alive() {
		w.Errorf("a wiped Redis ended a session: %s", live.Output())
	}
}

func terminationResent(w *world) {
	root := w.root()
	old := w.hold("alice", "db-1")
	w.counts(w.terminate(root, object{"all": true}), 1)
	w.endsWithin(old, time.Now(), time.Second)
	newer := w.hold("alice", "db-1")
	w.Process("session-broker").Kill()
	if err := w.Restart("session-broker"); err != nil {
		w.Fatal(err)
	}
	w.eventually(10*time.Second, "the connector is attached again, and its session listed", func() bool {
		return len(w.must(root.Call(http.MethodGet, "/v1/sessions", nil)).Objects("sessions")) == 1
	})
	if newer.Wait(time.Second) {
		w.Errorf("the termination, sent again, ended a session that was opened after it: %s", newer.Output())
	}
	f := w.freeze(root, nil)
	w.Process("bastion").Kill() // a crash of the host ends its sessions, and only they are lost
	if err := w.Restart("bastion"); err != nil {
		w.Fatal(err)
	}
	w.shut("alice", "db-1")
	w.open("alice", "web-1")
	_ = f
}

func heldWithoutJournal(w *world) {
	root := w.root()
	program, alice := w.token(root, "API"), w.person("alice")
	w.must(alice.SignIn())
	old := w.hold("alice", "db-1")
	w.Process("nats").Kill()
	refused := func(status int, reason string) func(*client.Answer, error) {
		return func(a *client.Answer, err error) { w.Helper(); w.refused(status, reason, a, err) }
	}
	refused(http.StatusServiceUnavailable, "JOURNAL_UNAVAILABLE")(root.Call(http.MethodPost, "/v1/grants", object{"code": "000000", "purpose": "lockdown"}))

	hold := object{"duration": "1800s", "justification": "Intruder inside, and the journal is gone", "requestId": requestID()}
	refused(http.StatusUnauthorized, "CODE_INVALID")(root.Call(http.MethodPost, "/v1/holds", with(object{"code": "000000"}, hold)))
	refused(http.StatusBadRequest, "DURATION_OUT_OF_RANGE")(root.Call(http.MethodPost, "/v1/holds", with(hold, object{"duration": "7200s", "code": "000000"})))
	if !old.Alive() {
		w.Fatal("a refused hold has ended a session")
	}
	code, err := root.Code()
	if err != nil {
		w.Fatal(err)
	}
	asked := time.Now()
	h := w.must(root.Call(http.MethodPost, "/v1/holds", with(object{"code": code}, hold)))
	for _, door := range h.Objects("doors") {
		if door["state"] != "HELD" {
			w.Errorf("a door does not hold: %v", door)
		}
	}
	if doors := h.Objects("doors"); len(doors) != 7 || h.Text("lockdown") != "" {
		w.Errorf("the hold reads %s", h)
	}
	w.endsWithin(old, asked, 2*time.Second)
	w.shut("alice", "db-1")
	a, err := program.Call(http.MethodGet, "/v1/devices", nil)
	w.isD3("a program", w.moment(h, "endTime"), a, err)
	a, err = alice.Call(http.MethodGet, "/v1/users/me", nil)
	w.isD3("alice, who was signed in,", w.moment(h, "endTime"), a, err)
	again := w.must(root.Call(http.MethodPost, "/v1/holds", with(object{"code": code}, hold)))
	if again.Text("id") != h.Text("id") {
		w.Errorf("the same request made another hold: %s", again)
	}
	refused(http.StatusUnauthorized, "CODE_USED")(root.Call(http.MethodPost, "/v1/holds", with(object{"code": code, "duration": "900s", "justification": "Again"}, object{"requestId": requestID()})))

	w.Process("access-gate").Kill() // what it holds outlives it, and what it knew: without the journal it decides by that
	if err := w.Restart("access-gate"); err != nil {
		w.Fatal(err)
	}
	w.shut("alice", "db-1")
	w.eventually(5*time.Second, "the gateway has found the gate that was started", func() bool {
		a, err = program.Call(http.MethodGet, "/v1/devices", nil)
		return err == nil && a.Reason() != "UNAVAILABLE"
	})
	w.isD3("a program, of a gate that knows it from its own disk,", w.moment(h, "endTime"), a, err)
	if err := w.Start("nats"); err != nil {
		w.Fatal(err)
	}
	var l object
	w.eventually(20*time.Second, "the hold is on record as a lockdown", func() bool {
		all, err := root.Call(http.MethodGet, "/v1/lockdowns", nil)
		if err != nil || all.Status != http.StatusOK || len(all.Objects("lockdowns")) != 1 {
			return false
		}
		l = all.Objects("lockdowns")[0]
		return l["hold"] == h.Text("id") && l["status"] == "ONGOING" && l["endTime"] == h.Text("endTime")
	})
	w.shut("alice", "db-1")
	id, _ := l["id"].(string)
	w.everyDoorHolds(root, id)
	w.cancel(root, "lockdowns", id)
	w.eventually(2*time.Second, "the program works again", func() bool {
		a, err := program.Call(http.MethodGet, "/v1/devices", nil)
		return err == nil && a.Status == http.StatusOK
	})
	w.open("alice", "db-1")
}
