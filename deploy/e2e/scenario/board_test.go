package scenario

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/pkg/guard"
)

const doors = 20

// Of twenty doors three are frozen and one is cut off when a lockdown comes. The board says exactly which, during and after; they say
// so themselves when they are back, and what they held open is gone by then.
func boardSays(w *world) {
	root, way := w.root(), w.newWay()
	all := w.doors(way.address)
	crowd := w.crowd(root)
	frozen, cut := []int{2, 7, 14}, doors-1
	var late []string
	for _, i := range append(frozen, cut) {
		late = append(late, all[i].name)
	}
	for _, i := range frozen {
		w.signal(all[i].process, syscall.SIGSTOP)
	}
	way.close()

	id := w.lockdown(root, nil).Text("id")
	lines, err := root.Stream(w.Context(), "/v1/emergencies/"+id+":watch")
	if err != nil {
		w.Fatal(err)
	}
	during := w.board(lines, func(b board) bool { return b.Summary.Unreachable == 4 && b.Summary.Waiting == 0 })
	if got := during.not(); !slices.Equal(got, late) {
		w.Errorf("unreachable are %v, and %v are", got, late)
	}
	if silent := during.silent(); !slices.Equal(silent, late) {
		w.Errorf("silent are %v, and %v are", silent, late)
	}
	if s := during.Summary; s.Confirmed < doors+crowded-4 || s.Timed < doors+crowded-4 || s.P50 == nil || len(s.Buckets) == 0 {
		w.Errorf("the board sums them up as %+v", s)
	}
	for i, d := range all {
		if late := slices.Contains(late, d.name); !late && !d.over(time.Second) || late && d.over(0) {
			w.Errorf("what %d held open: over is %v", i, !late)
		}
	}

	for _, i := range frozen {
		w.signal(all[i].process, syscall.SIGCONT)
	}
	way.open()
	for _, c := range crowd { // meanwhile a hundred others start again, each with nothing in its memory
		c.restart()
	}
	after := w.board(lines, func(b board) bool { return b.Summary.Unreachable+b.Summary.Waiting == 0 && b.crowd() == crowded })
	if got := after.not(); len(got) > 0 || len(after.silent()) > 0 {
		w.Errorf("after it %v have not confirmed, %v are silent", got, after.silent())
	}
	for _, d := range all { // a receipt comes once what was live is over, and says so
		if !d.over(100 * time.Millisecond) {
			w.Errorf("%s has confirmed, and what it held open goes on", d.name)
		}
		if r := after.receipt(d.name); r.Held == nil || r.Ended != 1 || r.HeldTime == "" || r.LastAllowed == "" {
			w.Errorf("%s says %+v", d.name, r)
		} else if slow := *r.Held > 2000; slow != slices.Contains(late, d.name) {
			w.Errorf("%s held it after %d ms", d.name, *r.Held)
		}
	}
	w.forgets(root, all[0])
	for _, c := range crowd {
		if r := after.receipt(c.name); r.Ended != 1 || r.Held == nil || *r.Held > 2000 {
			w.Errorf("%s has started again and says %+v", c.name, r)
		}
	}
}

// forgets has one door killed, which is missed until an administrator says that it is gone for good.
func (w *world) forgets(root *client.Person, door held) {
	w.Helper()
	var id string
	presence := func() (is any) {
		for _, e := range w.must(root.Call(http.MethodGet, "/v1/enforcers", nil)).Objects("enforcers") {
			if name, _ := e["id"].(string); own(name) == door.name {
				id, is = name, e["presence"]
			}
		}
		return is
	}
	if is := presence(); is != "JOINED" {
		w.Errorf("%s is %v", door.name, is)
	}
	forget := "/v1/enforcers/guard/" + id + ":forget"
	a, err := root.Call(http.MethodPost, forget, object{})
	w.refused(http.StatusBadRequest, "INVALID_ARGUMENT", a, err)
	w.signal(door.process, syscall.SIGKILL)
	w.eventually(10*time.Second, "it is missed", func() bool { return presence() == "MISSING" })
	a, err = root.Call(http.MethodPost, forget, object{})
	w.refused(http.StatusForbidden, "GRANT_REQUIRED", a, err)
	noted := w.granted(root, "enforcer", forget, nil)
	noted.again()
	w.must(noted.a, noted.err)
	w.eventually(2*time.Second, "nobody misses it any more", func() bool { return presence() == nil })
}

// crowded is how many more guards there are, in this process: so many that their gate tells of them together.
const crowded = 100

// restarting is a guard with something live behind it, until the lockdown; then it starts again under its name.
type restarting struct {
	w     *world
	name  string
	token string
	end   func()
	live  chan struct{}
}

func (w *world) crowd(root *client.Person) (all []*restarting) {
	w.Helper()
	token := w.must(w.first.Call(http.MethodPost, "/v1/tokens", object{"name": "crowd", "channel": "ENFORCER"})).Text("token")
	for i := range crowded {
		r := &restarting{w: w, name: fmt.Sprintf("crowd-%03d", i), token: token, live: make(chan struct{})}
		g := r.start()
		who := func(*http.Request) (guard.Caller, error) { return guard.Caller{User: "alice", Device: "web-1"}, nil }
		wait := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		go func() {
			defer close(r.live)
			<-g.Ready()
			guard.Middleware(g, who)(wait).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(w.Context(), http.MethodGet, "/", nil))
		}()
		all = append(all, r)
	}
	w.eventually(10*time.Second, "all guards have alice", func() bool {
		n := 0
		for _, e := range w.must(root.Call(http.MethodGet, "/v1/enforcers", nil)).Objects("enforcers") {
			if open, _ := e["openSessions"].(float64); e["service"] == "guard" && open == 1 {
				n++
			}
		}
		return n == crowded+doors
	})
	return all
}

func (r *restarting) start() *guard.Guard {
	g, err := guard.New(guard.Config{Address: r.w.GRPC, Token: r.token, Name: r.name, Devices: []string{"web-1"}})
	if err != nil {
		r.w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Run(ctx) })
	r.end = sync.OnceFunc(func() { cancel(); running.Wait() })
	r.w.Cleanup(r.end)
	return g
}

// restart ends it, in good order and with what was live over, and starts it again.
func (r *restarting) restart() {
	<-r.live
	r.end()
	r.start()
}

// crowd is how many of them have confirmed.
func (b board) crowd() (n int) {
	for _, r := range b.Receipts {
		if r.State == "CONFIRMED" && strings.HasPrefix(r.Enforcer, "crowd-") {
			n++
		}
	}
	return n
}

// board is what a watch tells of one emergency.
type board struct {
	Receipts []receipt
	Silent   []struct{ ID, Service string } `json:"silentEnforcers"`
	Summary  struct {
		Confirmed, Waiting, Unreachable, Missing, Timed int
		P50                                             *int `json:"p50Ms"`
		Buckets                                         []object
	}
}

type receipt struct {
	Enforcer, Service, State string
	Ended                    int    `json:"endedSessions"`
	Held                     *int   `json:"heldMs"`
	HeldTime                 string `json:"heldTime"`
	LastAllowed              string `json:"lastAllowedTime"`
}

// board reads on until it is as wanted.
func (w *world) board(lines <-chan string, wanted func(board) bool) board {
	w.Helper()
	var last string
	for late := time.After(12 * time.Second); ; {
		select {
		case line, open := <-lines:
			var told struct{ Result board }
			if last = line; !open || json.Unmarshal([]byte(line), &told) != nil {
				w.Fatalf("the watch has ended, or says %s", line)
			}
			if wanted(told.Result) {
				return told.Result
			}
		case <-late:
			w.Fatalf("the board never read as it should: %s", last)
		}
	}
}

// not are those that have not confirmed, by the names that they have themselves.
func (b board) not() (all []string) {
	for _, r := range b.Receipts {
		if r.State != "CONFIRMED" {
			all = append(all, own(r.Enforcer))
		}
	}
	return all
}

func (b board) silent() (all []string) {
	for _, e := range b.Silent {
		all = append(all, own(e.ID))
	}
	return all
}

func (b board) receipt(name string) receipt {
	i := slices.IndexFunc(b.Receipts, func(r receipt) bool { return own(r.Enforcer) == name })
	if i < 0 {
		return receipt{}
	}
	return b.Receipts[i]
}

func own(enforcer string) string { name, _, _ := strings.Cut(enforcer, "@"); return name }

// held is a door with something live behind it.
type held struct {
	name    string
	process *os.Process
	ended   chan struct{}
}

func (h held) over(within time.Duration) bool {
	select {
	case <-h.ended:
		return true
	case <-time.After(within):
		return false
	}
}

// doors starts them, the last by another way, with alice at each.
func (w *world) doors(way string) (all []held) {
	w.Helper()
	binary := w.example()
	token := w.must(w.first.Call(http.MethodPost, "/v1/tokens", object{"name": "doors", "channel": "ENFORCER"})).Text("token")
	addresses := make([]string, doors)
	for i := range doors {
		h := held{name: fmt.Sprintf("door-%02d", i+1), ended: make(chan struct{})}
		gate := w.GRPC
		if i == doors-1 {
			gate = way
		}
		h.process, addresses[i] = w.guardedAs(binary, h.name, "web-1", gate, token)
		all = append(all, h)
	}
	for i, h := range all {
		w.eventually(10*time.Second, h.name+" lets alice in", func() bool { return w.stays(addresses[i], h.ended) })
	}
	return all
}

// stays reports whether alice gets in, and closes ended when it is over.
func (w *world) stays(address string, ended chan struct{}) bool {
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, address, nil)
	if err != nil {
		w.Fatal(err)
	}
	r.SetBasicAuth("alice", password)
	page, err := http.DefaultClient.Do(r)
	if err != nil || page.StatusCode != http.StatusOK {
		return false
	}
	events := bufio.NewReader(page.Body)
	if first, err := events.ReadString('\n'); err != nil || !strings.HasPrefix(first, "data: ") {
		w.Fatal(first, err)
	}
	go func() {
		defer close(ended)
		defer page.Body.Close()
		_, _ = io.Copy(io.Discard, events)
	}()
	return true
}

func (w *world) signal(p *os.Process, s syscall.Signal) {
	w.Helper()
	if err := p.Signal(s); err != nil {
		w.Fatal(err)
	}
}

// cuttable is how one door reaches the gate, which can be cut.
type cuttable struct {
	w       *world
	address string
	mu      sync.Mutex
	closed  bool
	through map[net.Conn]struct{}
}

func (w *world) newWay() *cuttable {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	p := &cuttable{w: w, address: l.Addr().String(), through: map[net.Conn]struct{}{}}
	w.Cleanup(func() { l.Close(); p.close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(c)
		}
	}()
	return p
}

func (p *cuttable) carry(c net.Conn) {
	defer c.Close()
	to, err := net.Dial("tcp", p.w.GRPC)
	if err != nil || !p.enter(c, to) {
		return
	}
	defer to.Close()
	go func() {
		defer to.Close()
		_, _ = io.Copy(to, c)
	}()
	_, _ = io.Copy(c, to)
}

func (p *cuttable) enter(both ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range both {
		if p.closed {
			_ = c.Close()
			continue
		}
		p.through[c] = struct{}{}
	}
	return !p.closed
}

func (p *cuttable) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.through {
		_ = c.Close()
	}
	clear(p.through)
}

func (p *cuttable) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
}
