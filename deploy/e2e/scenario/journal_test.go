package scenario

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
	"portcullis.dev/deploy/e2e/target"
)

// These are H7: whatever keeps anything new from being put on record, what is on is enforced, what is new is refused by
// name, the panel says so, and it is over by itself once its cause is.

func TestAFullDiskRefusesWhatIsNewByNameAndOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Separate, stack.Options{Environment: quick.Environment, Volume: 64}, 2)
	root := w.root()
	alice, live := w.person("alice"), w.hold("alice", "db-1")
	f := w.freeze(root, nil)
	w.everyDoorHolds(root, f.Text("id"))
	long := strings.Repeat("密", 2000) // fits in no page that has some room left
	lockdown := w.granted(root, "lockdown", "/v1/lockdowns", object{"justification": long, "duration": "600s"})
	if err := w.Fill("nats"); err != nil {
		t.Fatal(err)
	}
	lockdown.again()
	refused := w.refused(http.StatusServiceUnavailable, "JOURNAL_UNAVAILABLE", lockdown.a, lockdown.err)
	if refused.Text("details.cause") != "FULL" {
		w.Errorf("an apply on a full disk reads %s", refused)
	}
	w.panelSays(root, "FULL")
	w.doorsAre(root, false)
	w.frozenAsBefore(alice, live)
	lockdown.again()
	w.refused(http.StatusServiceUnavailable, "JOURNAL_UNAVAILABLE", lockdown.a, lockdown.err)

	if w.Well("nats") {
		t.Error("the server says that it is well, so that no platform would start it anew")
	}
	w.platformRestarts("nats") // while the disk is full
	w.frozenAsBefore(alice, live)
	if err := w.Empty("nats"); err != nil {
		t.Fatal(err)
	}
	w.platformRestarts("nats")
	w.panelSays(root, "READY")
	w.doorsAre(root, true)
	w.takenOnce(root, lockdown)
}

// One process has no platform to start its server anew: it goes on, and is well once there is room.
func TestTheAllInOneOutlivesAFullDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.AllInOne, stack.Options{Environment: quick.Environment, Volume: 64}, 2)
	root, process := w.root(), w.Process("portcullis")
	alice, live := w.person("alice"), w.hold("alice", "db-1")
	f := w.freeze(w.root(), nil)
	w.everyDoorHolds(root, f.Text("id"))
	lockdown := w.granted(root, "lockdown", "/v1/lockdowns", object{"justification": strings.Repeat("密", 2000), "duration": "600s"})
	if err := w.Fill("data"); err != nil {
		t.Fatal(err)
	}
	lockdown.again()
	if refused := w.refused(http.StatusServiceUnavailable, "JOURNAL_UNAVAILABLE", lockdown.a, lockdown.err); refused.Text("details.cause") != "FULL" {
		w.Errorf("an apply on a full disk reads %s", refused)
	}
	w.panelSays(root, "FULL")
	w.frozenAsBefore(alice, live)
	w.filledAnewMeanwhile(root, alice, live)
	w.takenOnce(root, lockdown)
	if w.Process("portcullis") != process {
		t.Error("the process was started anew")
	}
	if err := w.Fill("data"); err != nil {
		t.Fatal(err)
	}
	w.Process("portcullis").Kill()
	if err := w.Restart("portcullis"); err != nil {
		t.Fatal(err) // E10: it enforces what it has
	}
	if a, err := (&client.Client{Base: w.HTTP}).Call(http.MethodGet, "/v1/posture", nil); err != nil || a.Value("lockdown") == nil {
		t.Errorf("started on a full disk, it knows of no lockdown: %s %v", a, err)
	}
	if out := w.shut("alice", "web-1"); !strings.Contains(out, "Lockdown") {
		t.Errorf("ssh is told %q", out)
	}
}

// filledAnewMeanwhile makes room, so that the server within the process is started anew, and leaves none where it starts: the process
// is without a server then, and tries again as long as the disk is full.
func (w *world) filledAnewMeanwhile(root, alice *client.Person, live *target.Session) {
	w.Helper()
	uncover, err := w.Cover("data/nats/jetstream")
	if err == nil {
		err = w.Empty("data")
	}
	if err != nil {
		w.Fatal(err)
	}
	w.eventually(30*time.Second, "the log says that the server did not start", func() bool {
		return strings.Contains(w.Process("portcullis").Log(), "the embedded NATS server did not start; trying again")
	})
	if err := w.Fill("data"); err != nil {
		w.Fatal(err)
	}
	w.panelSays(root, "UNREACHABLE")
	w.frozenAsBefore(alice, live)

	code, err := root.Code()
	if err != nil {
		w.Fatal(err)
	}
	h := w.must(root.Call(http.MethodPost, "/v1/holds", object{
		"duration": "1800s", "justification": "Intruder inside, and no journal", "code": code, "requestId": requestID(),
	}))
	for _, door := range h.Objects("doors") {
		if door["state"] != "HELD" {
			w.Errorf("a door does not hold: %v", door)
		}
	}
	w.endsWithin(live, time.Now(), 2*time.Second)
	w.shut("alice", "web-1")

	if err := uncover(); err != nil {
		w.Fatal(err)
	}
	if err := w.Empty("data"); err != nil {
		w.Fatal(err)
	}
	w.panelSays(root, "READY")
	w.eventually(20*time.Second, "the hold is on record as a lockdown", func() bool {
		all, err := root.Call(http.MethodGet, "/v1/lockdowns", nil)
		return err == nil && slices.ContainsFunc(all.Objects("lockdowns"), func(l object) bool { return l["hold"] == h.Text("id") })
	})
}

func TestALostQuorumRefusesWhatIsNewByNameAndOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Separate, stack.Options{Environment: quick.Environment, Brokers: 3}, 2)
	root := w.root()
	alice, live := w.person("alice"), w.hold("alice", "db-1")
	f := w.freeze(root, nil)
	w.everyDoorHolds(root, f.Text("id"))
	lockdown := w.granted(root, "lockdown", "/v1/lockdowns", object{"duration": "600s"})
	w.Process("nats-2").Kill()
	w.Process("nats-3").Kill()
	w.panelSays(root, "UNREACHABLE")
	lockdown.again()
	w.refused(http.StatusServiceUnavailable, "JOURNAL_UNAVAILABLE", lockdown.a, lockdown.err)
	w.doorsAre(root, false)
	w.frozenAsBefore(alice, live)
	for _, name := range []string{"nats-2", "nats-3"} {
		if err := w.Start(name); err != nil {
			t.Fatal(err)
		}
	}
	w.panelSays(root, "READY")
	w.doorsAre(root, true)
	w.takenOnce(root, lockdown)
}

func TestAWrongClockRefusesWhatIsNewByNameAndOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Separate, quick, 2)
	root, other, alice := w.root(), w.root(), w.person("alice")
	f := w.freeze(root, nil)
	w.everyDoorHolds(root, f.Text("id"))
	wrong := func(name string, ahead time.Duration, skew func(*client.Answer) any) {
		w.Helper()
		if err := w.Skew(name, ahead); err != nil {
			t.Fatal(err)
		}
		w.eventually(10*time.Second, "the panel says that the clock of "+name+" is wrong", func() bool {
			a, err := root.Call(http.MethodGet, "/v1/enforcers", nil)
			return err == nil && a.Status == http.StatusOK && skew(a) != nil
		})
		a, err := root.Call(http.MethodPost, "/v1/emergencies:preview", object{"lockdown": object{"duration": "600s"}})
		w.refused(http.StatusServiceUnavailable, "CLOCK_SKEWED", a, err)
		w.frozenAsBefore(alice)
	}
	wrong("access-gate", 10*time.Second, func(a *client.Answer) any {
		for _, e := range a.Objects("enforcers") {
			if e["service"] == "access-gate" {
				return e["clockSkew"]
			}
		}
		return nil
	})
	lockdown := w.granted(root, "lockdown", "/v1/lockdowns", object{"duration": "600s"})
	lockdown.again()
	if refused := w.refused(http.StatusServiceUnavailable, "CLOCK_SKEWED", lockdown.a, lockdown.err); !strings.Contains(refused.Text("message"), "access-gate-1 (10s fast)") {
		w.Errorf("whose clock it is reads %s", refused)
	}
	w.terminate(other, object{"all": true}) // goes by no clock
	w.Process("access-gate").Stop()
	if err := w.Restart("access-gate"); err != nil {
		t.Fatal(err)
	}
	wrong("emergency-control", -10*time.Second, func(a *client.Answer) any { return a.Value("clockSkew") })
	w.Process("emergency-control").Stop()
	if err := w.Restart("emergency-control"); err != nil {
		t.Fatal(err)
	}
	w.takenOnce(root, lockdown)
}

func TestApplyWorksWithEveryOtherStreamFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Separate, quick, 2)
	root, other := w.root(), w.root()
	live := w.hold("alice", "db-1")
	if err := w.FillStreams("EMERGENCY", "IDENTITY", "IDENTITY_SECRET"); err != nil {
		t.Fatal(err)
	}
	a, err := root.Call(http.MethodPost, "/v1/devices", object{"name": "another", "host": "127.0.0.1", "port": 1, "protocol": "TCP"})
	w.refused(http.StatusServiceUnavailable, "JOURNAL_UNAVAILABLE", a, err)
	asked := time.Now()
	l := w.lockdown(root, nil)
	w.everyDoorHolds(root, l.Text("id"))
	w.endsWithin(live, asked, 2*time.Second)
	w.shut("alice", "web-1")
	w.cancel(w.again(other), "lockdowns", l.Text("id"))
	w.eventually(2*time.Second, "sessions are let in again", func() bool {
		_, code, err := w.door.Run("alice", "db-1", w.keys["alice"], "true")
		return err == nil && code == 0
	})
}

// granted is an apply with its grant, which may be sent more than once, with the same body.
type granted struct {
	again func()
	a     *client.Answer
	err   error
}

func (w *world) granted(p *client.Person, purpose, path string, more object) *granted {
	w.Helper()
	grant, err := p.Grant(purpose)
	if err != nil {
		w.Fatal(err)
	}
	body := with(object{"justification": "Suspected break-in", "grant": grant, "requestId": requestID()}, more)
	u := &granted{}
	u.again = func() { u.a, u.err = p.Call(http.MethodPost, path, body) }
	return u
}

// takenOnce sends it until it is on record, which it is once, beside what a hold has put there.
func (w *world) takenOnce(p *client.Person, u *granted) {
	w.Helper()
	w.eventually(15*time.Second, "the apply is on record", func() bool {
		u.again()
		return u.err == nil && u.a.Status == http.StatusOK
	})
	all := w.must(p.Call(http.MethodGet, "/v1/lockdowns", nil)).Objects("lockdowns")
	if all = slices.DeleteFunc(all, func(l object) bool { return l["hold"] != "" }); len(all) != 1 {
		w.Errorf("the one apply is on record %d times", len(all))
	}
	w.shut("alice", "web-1")
}

func (w *world) panelSays(p *client.Person, state string) {
	w.Helper()
	var last *client.Answer
	w.eventually(20*time.Second, "the panel says that the journal is "+state, func() bool {
		a, err := p.Call(http.MethodGet, "/v1/enforcers", nil)
		last = a
		return err == nil && a.Text("journal.state") == state
	})
	if w.Failed() {
		w.Log(last)
	}
}

// doorsAre waits until the panel says of every door whether it can tell that its view is fresh. Those here go on either way.
func (w *world) doorsAre(p *client.Person, fresh bool) {
	w.Helper()
	var last *client.Answer
	defer func() {
		if w.Failed() {
			w.Log(last)
		}
	}()
	w.eventually(20*time.Second, "the panel says whether doors are fresh", func() bool {
		a, err := p.Call(http.MethodGet, "/v1/enforcers", nil)
		last = a
		if err != nil || a.Status != http.StatusOK {
			return false
		}
		all := a.Objects("enforcers")
		return len(all) > 2 && !slices.ContainsFunc(all, func(e object) bool { return (e["fresh"] == true) != fresh })
	})
}

// frozenAsBefore is what enforcing goes on means, as alice sees it, who is signed in.
func (w *world) frozenAsBefore(alice *client.Person, live ...*target.Session) {
	w.Helper()
	w.shut("alice", "db-1")
	for device, reason := range map[string]string{"db-1": "FROZEN", "web-1": "ALLOWED"} {
		w.eventually(5*time.Second, "the gate says "+reason+" of "+device, func() bool { // it may be looking for its server
			a, err := alice.Call(http.MethodPost, "/v1/access:check", object{"user": "alice", "device": device, "channel": "SESSION"})
			return err == nil && a.Status == http.StatusOK && a.Text("reason") == reason
		})
	}
	for _, s := range live {
		if !s.Alive() {
			w.Errorf("a session ended that nothing ends: %s", s.Output())
		}
	}
}

// platformRestarts does as a liveness probe: a server that says that it can't write is started anew. One that was started
// on the full disk, and was asked for nothing since, says that it is well, and is.
func (w *world) platformRestarts(name string) {
	w.Helper()
	if w.Well(name) {
		return
	}
	w.Process(name).Stop()
	if err := w.Start(name); err != nil {
		w.Fatal(err)
	}
}
