package scenario

import (
	"net/http"
	"syscall"
	"time"
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
