package scenario

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/target"
)

const exercises = 5

// busy keeps calls coming until it is stopped, and counts those that were not let through.
type busy struct {
	calls, refused atomic.Int64
	last           atomic.Pointer[string]
	stop           chan struct{}
	running        sync.WaitGroup
}

func (w *world) busy(callers ...func() (*client.Answer, error)) *busy {
	b := &busy{stop: make(chan struct{})}
	for _, call := range callers {
		b.running.Go(func() {
			for {
				if a, err := call(); err != nil || a.Status != http.StatusOK || a.Value("allowed") == false {
					b.refused.Add(1)
					said := fmt.Sprint(a, err)
					b.last.Store(&said)
				}
				b.calls.Add(1)
				select {
				case <-b.stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	return b
}

// drillsPractise: on a busy system drills touch nobody, and take as long to reach every door as lockdowns do.
func drillsPractise(w *world) {
	roots := []*client.Person{w.root(), w.root(), w.root()}
	alice, program := w.person("alice"), w.token(roots[0], "API")
	live := []*target.Session{w.hold("alice", "db-1"), w.hold("bruno", "web-1"), w.hold(roots[0].Name, "db-2"), w.hold("olga", "web-1")}
	w.eventually(2*time.Second, "the sessions are listed", func() bool {
		return len(w.must(roots[0].Call(http.MethodGet, "/v1/sessions", nil)).Objects("sessions")) == len(live)
	})
	load := w.busy(
		func() (*client.Answer, error) { return program.Call(http.MethodGet, "/v1/devices", nil) },
		func() (*client.Answer, error) {
			return alice.Call(http.MethodPost, "/v1/access:check", object{"user": "alice", "device": "db-1", "channel": "SESSION"})
		},
	)
	var drilled []float64
	for i := range exercises {
		drilled = append(drilled, w.exercise(roots[i/2], len(live)))
	}
	if calls, refused := load.calls.Load(), load.refused.Load(); refused > 0 || calls < 20 {
		w.Errorf("of %d calls %d were refused during the drills, the last with %s", calls, refused, *load.last.Load())
	}
	for i, s := range live {
		if s.Wait(0) {
			w.Errorf("session %d has ended during the drills; it wrote: %s", i, s.Output())
		}
	}
	for _, kind := range []string{"lockdowns", "freezes", "terminations"} {
		if all := w.must(roots[0].Call(http.MethodGet, "/v1/"+kind, nil)); len(all.Objects(kind)) > 0 {
			w.Errorf("a drill is among the %s: %s", kind, all)
		}
	}

	// Each lockdown signs everyone out. Who enrols only then has a code to apply the next with, and one to cancel it.
	makers := []*client.Person{roots[2], w.root(), w.root()}
	var next []*client.Person
	for i := range exercises - 1 {
		p, err := w.crew.Make(makers[(i+1)/2])
		if err != nil {
			w.Fatal(err)
		}
		next = append(next, p)
	}
	locked := []float64{w.realOne(w.root())}
	for _, p := range next {
		w.must(p.SignIn())
		if err := p.Enroll(); err != nil {
			w.Fatal(err)
		}
		locked = append(locked, w.realOne(p))
	}
	close(load.stop) // it has gone on during the lockdowns, which are compared
	load.running.Wait()
	d, l := median(drilled), median(locked)
	w.Logf("half of the doors held within %.0f ms in five drills %v, and within %.0f ms in five lockdowns %v", d, drilled, l, locked)
	const turn = 10 // milliseconds that a busy machine may keep any of them waiting for its turn
	if d > 2*l+turn || l > 2*d+turn {
		w.Errorf("a drill shows %.0f ms and a lockdown %.0f ms: more than a factor of two", d, l)
	}
}

// exercise runs a drill until every door has confirmed, and answers how long half of them took.
func (w *world) exercise(root *client.Person, sessions int) float64 {
	w.Helper()
	path := "/v1/drills/" + w.must(w.ask(root, "drill", "/v1/drills", object{"lockdown": object{}, "duration": "60s"})).Text("id")
	var now *client.Answer
	w.eventually(3*time.Second, "every door takes part in "+path, func() bool {
		now = w.must(root.Call(http.MethodGet, path, nil))
		return now.Number("result.confirmed") > 3 && now.Number("result.waiting") <= 0 && now.Number("result.unreachable") <= 0 &&
			now.Number("result.wouldEnd") == sessions && now.Text("result.wouldRefuse") > "0"
	})
	ended := w.must(root.Call(http.MethodPost, path+":cancel", object{"requestId": requestID()}))
	if ended.Text("status") != "CANCELLED" || len(ended.Objects("result.receipts")) < 4 {
		w.Errorf("it ended as %s", ended)
	}
	return float64(ended.Number("result.medianMs"))
}

// realOne applies a lockdown and cancels it, and answers how long half of the doors took to hold it.
func (w *world) realOne(root *client.Person) float64 {
	w.Helper()
	w.hold("alice", "db-1")
	l := w.lockdown(root, nil)
	w.everyDoorHolds(root, l.Text("id"))
	var all []float64
	for _, one := range w.must(root.Call(http.MethodGet, "/v1/emergencies/"+l.Text("id")+"/receipts", nil)).Objects("receipts") {
		if ms, told := one["heldMs"].(float64); told {
			all = append(all, ms)
		}
	}
	w.cancel(root, "lockdowns", l.Text("id"))
	return median(all)
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[(len(all)-1)/2]
}
