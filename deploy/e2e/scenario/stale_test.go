package scenario

import (
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
)

// This is E5: two gates lose the journal at once, a strict one and one that goes on with what it has.

const staleBound = 2 * time.Second

func TestWithTheirJournalCutOffStrictDoorsRefuseAndOthersGoOnAndAKnownLockdownHoldsInBoth(t *testing.T) {
	t.Parallel()
	wire := &relay{modes: map[string]string{"access-gate": "strict", "access-gate-2": "best_effort"}, stores: tempDir(t), live: map[net.Conn]bool{}}
	t.Cleanup(wire.stop)
	w := newWorld(t, stack.Separate, stack.Options{Environment: quick.Environment, Place: wire, Replicas: map[string]int{"access-gate": 2}}, 2)
	cut := 3 * time.Second
	if longer, err := time.ParseDuration(os.Getenv("PORTCULLIS_CUT")); err == nil {
		cut = longer // by hand
	}
	root, other := w.root(), w.root()
	w.eventually(10*time.Second, "both gates are fresh", func() bool { return w.gatesAre(root, true) })
	w.saysSoon(root, 5*time.Second, "ALLOWED")
	freeze := w.granted(root, "freeze", "/v1/freezes", object{"duration": "600s"}) // a grant takes what is about to be cut off

	wire.cut()
	began := time.Now()
	w.saysSoon(root, staleBound+3*time.Second, "ALLOWED", "STALE")
	t.Logf("the strict gate refuses %v after the cut, with a bound of %v", time.Since(began).Round(time.Millisecond), staleBound)
	freeze.again()
	w.must(freeze.a, freeze.err)
	for time.Since(began) < cut {
		w.says(root, "ALLOWED", "STALE") // neither knows of the freeze, and only one says so
		time.Sleep(50 * time.Millisecond)
	}
	w.eventually(5*time.Second, "the panel says that both gates can't be told to be fresh", func() bool { return w.gatesAre(root, false) })
	wire.mend()
	began = time.Now()
	w.saysSoon(root, 5*time.Second, "FROZEN")
	took := time.Since(began)
	t.Logf("what was applied meanwhile is enforced by both %v after the journal is back", took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("what was applied meanwhile bites after %v", took)
	}
	w.eventually(5*time.Second, "both gates are fresh again, by themselves", func() bool { return w.gatesAre(root, true) })

	l := w.lockdown(other, nil)
	w.everyDoorHolds(other, l.Text("id"))
	wire.cut()
	for began = time.Now(); time.Since(began) < cut; time.Sleep(50 * time.Millisecond) {
		w.says(other, "LOCKDOWN")
	}
	wire.mend()
	w.says(other, "LOCKDOWN")
}

// gatesAre reports whether the panel shows both gates in their modes, and as fresh or not.
func (w *world) gatesAre(p *client.Person, fresh bool) bool {
	a, err := p.Call(http.MethodGet, "/v1/enforcers", nil)
	if err != nil || a.Status != http.StatusOK {
		return false
	}
	seen := map[any]bool{}
	for _, e := range a.Objects("enforcers") {
		said, _ := e["age"].(string)
		age, err := time.ParseDuration(said)
		if is := e["fresh"] == true; e["service"] != "access-gate" || is != fresh || e["bound"] != "2s" || err != nil || fresh != (age <= staleBound) {
			continue
		}
		seen[e["mode"]] = true
	}
	return seen["STRICT"] && seen["BEST_EFFORT"]
}

// answers are the reasons that the gates give, of whom one answers after the other.
func (w *world) answers(p *client.Person) []string {
	w.Helper()
	given := map[string]bool{}
	for range 8 {
		a := w.must(p.Call(http.MethodPost, "/v1/access:check", object{"user": "alice", "device": "db-1", "channel": "SESSION"}))
		given[a.Text("reason")] = true
	}
	return slices.Sorted(maps.Keys(given))
}

func (w *world) says(p *client.Person, want ...string) {
	w.Helper()
	if got := w.answers(p); !slices.Equal(got, want) {
		w.Fatalf("the gates say %v, want %v", got, want)
	}
}

func (w *world) saysSoon(p *client.Person, patience time.Duration, want ...string) {
	w.Helper()
	var got []string
	defer func() {
		if w.Failed() {
			w.Logf("the gates say %v", got)
		}
	}()
	w.eventually(patience, "the gates say "+strings.Join(want, " and "), func() bool {
		got = w.answers(p)
		return slices.Equal(got, want)
	})
}

// relay is a place whose gates reach NATS over a wire that can be cut: nothing comes through then, and nobody is told.
type relay struct {
	modes  map[string]string // of the processes behind it
	stores string

	mu     sync.Mutex
	listen net.Listener
	to     string
	broken bool
	live   map[net.Conn]bool
}

func (r *relay) Host(string) string          { return "127.0.0.1" }
func (r *relay) Store(process string) string { return filepath.Join(r.stores, process) }

// Enter puts a gate behind the wire.
func (r *relay) Enter(process string, command, environment []string) ([]string, []string) {
	mode, behind := r.modes[process]
	if !behind {
		return command, environment
	}
	environment = append(slices.Clone(environment), "PORTCULLIS_STALE_MODE="+mode, "PORTCULLIS_STALE_BOUND="+staleBound.String())
	for i, one := range environment {
		if to, nats := strings.CutPrefix(one, "PORTCULLIS_NATS=tls://"); nats {
			environment[i] = "PORTCULLIS_NATS=tls://" + r.serve(to)
		}
	}
	return command, environment
}

func (r *relay) serve(to string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listen == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return to // and the test fails, for nothing is cut
		}
		r.listen, r.to = l, to
		go r.accept()
	}
	return r.listen.Addr().String()
}

func (r *relay) accept() {
	for {
		near, err := r.listen.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		go r.carry(near, far)
		go r.carry(far, near)
	}
}

// carry passes on what comes until either side ends. What comes while the wire is cut is lost, and so is the connection.
func (r *relay) carry(from, to net.Conn) {
	r.mu.Lock()
	r.live[from] = true
	r.mu.Unlock()
	defer from.Close()
	defer to.Close()
	_, _ = io.Copy(&passing{r, to}, from)
}

type passing struct {
	r  *relay
	to net.Conn
}

func (p *passing) Write(data []byte) (int, error) {
	p.r.mu.Lock()
	broken := p.r.broken
	p.r.mu.Unlock()
	if broken {
		return len(data), nil
	}
	return p.to.Write(data)
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = true
}

// mend lets new connections through; those that were cut have lost what they carried.
func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = false
	for c := range r.live {
		_ = c.Close()
	}
	clear(r.live)
}

func (r *relay) stop() {
	r.mend()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listen != nil {
		_ = r.listen.Close()
	}
}
