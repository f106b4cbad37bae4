package scenario

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
)

func cutsHold(w *world) {
	root, other := w.root(), w.root()
	// Cancelled before its start, a lockdown ends nothing, then or later.
	early := w.hold("alice", "db-1")
	start := time.Now().Add(5 * time.Second).UTC()
	scheduled := w.must(w.ask(root, "lockdown", "/v1/lockdowns", object{"startTime": start.Format(time.RFC3339Nano), "duration": "60s"}))
	knowing := w.hold("alice", "web-1")
	w.cancel(root, "lockdowns", scheduled.Text("id"))
	if early.Wait(time.Until(start)+time.Second) || !knowing.Alive() {
		w.Errorf("a lockdown that was cancelled before its start ended a session: %s%s", early.Output(), knowing.Output())
	}

	// A later revision of a lockdown, its cancel, ends nothing that was admitted while it was on.
	l := w.lockdown(other, object{"breakGlassUsers": []string{"bruno"}})
	w.endsWithin(early, time.Now(), time.Second)
	w.endsWithin(knowing, time.Now(), time.Second)
	during := w.hold("bruno", "web-1")
	w.cancel(other, "lockdowns", l.Text("id"))
	if during.Wait(1500 * time.Millisecond) {
		w.Errorf("the cancel ended what was admitted after the lockdown's start: %s", during.Output())
	}
	w.open("alice", "web-1")
}

func anyProcessKilled(w *world) {
	root, other := w.root(), w.root()
	alice := w.person("alice")
	f := w.freeze(root, nil)
	w.everyDoorHolds(root, f.Text("id"))
	live := w.hold("alice", "web-1")
	for _, name := range []string{"emergency-control", "identity", "gateway", "session-broker", "notifier", "nats", "access-gate", "redis"} {
		w.Process(name).Kill()
		if name != "access-gate" { // without the gate nobody is let in; with it, the freeze holds whatever else is gone
			w.shut("alice", "db-1")
		}
		if err := w.Restart(name); err != nil {
			w.Fatalf("%s does not come back: %v", name, err)
		}
		if !live.Alive() {
			w.Fatalf("killing %s ended a session: %s", name, live.Output())
		}
	}
	w.eventually(10*time.Second, "the gate answers again", func() bool {
		a, err := alice.Call(http.MethodPost, "/v1/access:check", object{"user": "alice", "device": "db-1", "channel": "SESSION"})
		return err == nil && a.Text("reason") == "FROZEN"
	})
	w.shut("alice", "db-1")
	w.cancel(other, "freezes", f.Text("id"))
	w.counts(w.terminate(root, object{"all": true}), 1)
	w.endsWithin(live, time.Now(), time.Second)
	w.verify(root.Token)
}

// anyOneLost has one process after the other gone for as long as it takes to use everything that matters, and in the end one
// of each kind at the same time. After a NATS server the others elect who leads its streams, which takes them some seconds; sessions
// go on meanwhile, and doors decide.
func anyOneLost(w *world) {
	root, other := w.root(), w.root()
	live := w.hold("alice", "web-1")
	works := func(without string) {
		w.Helper()
		began, name := time.Now(), "without-"+strings.ReplaceAll(without, " ", "-")
		w.eventually(30*time.Second, "the panel answers without "+without, func() bool {
			a, err := root.Call(http.MethodPost, "/v1/emergencies:preview", object{"lockdown": object{"duration": "600s"}})
			return err == nil && a.Status == http.StatusOK
		})
		w.eventually(30*time.Second, "the record takes something new without "+without, func() bool {
			a, err := root.Call(http.MethodGet, "/v1/enforcers", nil)
			return err == nil && a.Text("journal.state") == "READY"
		})
		for path, body := range map[string]object{"/v1/access-groups": {}, "/v1/users": {"password": password}} {
			try := 0
			w.eventually(30*time.Second, path+" is written without "+without, func() bool {
				try++
				a, err := root.Call(http.MethodPost, path, with(object{"name": fmt.Sprint(name, "-", try), "requestId": requestID()}, body))
				return err == nil && a.Status == http.StatusOK
			})
		}
		w.eventually(30*time.Second, "alice gets in without "+without, func() bool {
			_, code, err := w.door.Run("alice", "web-1", w.keys["alice"], "true")
			return err == nil && code == 0
		})
		w.must(root.Call(http.MethodPost, "/v1/sign-ins/current:refresh", object{}))
		if !live.Alive() {
			w.Fatalf("without %s a session ended: %s", without, live.Output())
		}
		w.Logf("everything was used without %s after %v", without, time.Since(began).Round(10*time.Millisecond))
	}
	lost := []string{"nats", "nats-2", "nats-3", "emergency-control", "identity-2", "access-gate", "session-broker", "session-broker-2", "notifier", "redis"}
	for _, name := range lost {
		w.Process(name).Kill()
		works(name)
		if err := w.Restart(name); err != nil {
			w.Fatalf("%s does not come back: %v", name, err)
		}
	}
	w.eventually(20*time.Second, "every NATS server has all again", func() bool {
		a, err := root.Call(http.MethodPost, "/v1/access-groups", object{"name": "all-back", "requestId": requestID()})
		return err == nil && (a.Status == http.StatusOK || a.Status == http.StatusConflict)
	})
	for _, name := range []string{"nats-2", "emergency-control-2", "identity", "access-gate-2", "session-broker", "notifier-2", "redis"} {
		w.Process(name).Kill()
	}
	works("one of each")
	grant, err := root.Grant("lockdown")
	if err != nil {
		w.Fatal(err)
	}
	var l *client.Answer
	once := object{"duration": "600s", "grant": grant, "requestId": requestID()}
	w.eventually(10*time.Second, "a lockdown goes through, asked again as it says", func() bool { // its stream may still elect who leads it
		l, err = w.ask(root, "lockdown", "/v1/lockdowns", once)
		return err == nil && l.Status == http.StatusOK
	})
	w.endsWithin(live, time.Now(), 2*time.Second)
	w.shut("alice", "db-1")
	w.cancel(w.again(other), "lockdowns", l.Text("id"))
	w.verify(root.Token)
}

// verify has the product's own command check the record.
func (w *world) verify(token string) {
	w.Helper()
	binary, err := stack.Binary("portcullis")
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command(binary, "audit", "verify")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.door.Folder, "PORTCULLIS_ADDRESS=" + w.HTTP, "PORTCULLIS_TOKEN=" + token}
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Errorf("portcullis audit verify: %v: %s", err, out)
	}
}
