// Package guard shuts a program's own doors when a freeze or a lockdown comes: interceptors for gRPC servers and clients, and
// middleware for net/http. It decides in process, on what a gate tells it and keeps telling it, so that a check costs no call; and
// it keeps a registry of what goes on (streams, WebSockets, server-sent events, long downloads), and cuts it when the decision turns.
//
//	g, err := guard.New(guard.Config{Address: "gate.example.com:9090", Token: token, Name: "orders-1", Devices: []string{"orders"}})
//	go g.Run(ctx)
//	server := grpc.NewServer(
//		grpc.UnaryInterceptor(guard.UnaryServerInterceptor(g, who)),
//		grpc.StreamInterceptor(guard.StreamServerInterceptor(g, who)))
//
// Who asks is the program's to say, by a function: from what it has authenticated itself, never from what a client can forge.
package guard

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"portcullis.dev/pkg/age"
	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Mode is what a guard does when it can't tell whether its view is fresh. A freeze or a lockdown that it knows to be on is enforced to
// its end either way, and what it never heard of a gate lets nobody in.
type Mode uint8

const (
	// Strict lets nobody new in once the view is older than the bound. What goes on, goes on.
	Strict Mode = iota
	// BestEffort goes on with what it knows.
	BestEffort
)

func (m Mode) proto() emergencyv1.Enforcer_Mode {
	if m == BestEffort {
		return emergencyv1.Enforcer_BEST_EFFORT
	}
	return emergencyv1.Enforcer_STRICT
}

// Config says who the guard is and what it guards.
type Config struct {
	// Address is the gate's gRPC address, host:port.
	Address string
	// Token is an enforcer's: it may watch and report, and survives every lockdown.
	Token string
	// TLS is how the gate is reached. Nil is the system's roots; on a loopback address, no TLS at all.
	TLS *tls.Config
	// Name is the guard's among its token's, the same at each start: letters, digits, - and _.
	Name string
	// Devices are those that stand behind it, as the directory names them. None: only the channel is asked about.
	Devices []string
	// Mode is Strict by default, and Bound how old a strict view may be: 10 s by default.
	Mode  Mode
	Bound time.Duration
	// Memory is a file that keeps what is known, so that a start without a gate enforces it; empty for none.
	Memory string
	// Texts speaks to those who are refused.
	Texts emergency.Texts
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log may be nil.
	Log *slog.Logger
}

// Caller is who asks, as the guarded program has authenticated them.
type Caller struct {
	// User is a person, by name. Token is a program, by the id of its token. One of the two.
	User, Token string
	// Device is what is to be reached, one of the Config's; empty asks about the channel alone.
	Device string
	// Channel is Interactive, API, Agent or SessionChannel. The zero value counts as API.
	Channel emergency.Channel
}

func (c *Caller) request() emergency.Request {
	r := emergency.Request{User: c.User, Token: c.Token, Device: c.Device, Channel: c.Channel}
	if r.Channel == 0 || r.Channel == emergency.Enforcer { // no guarded program's caller is a door
		r.Channel = emergency.API
	}
	return r
}

// Guard decides and cuts. It is safe for any number of goroutines.
type Guard struct {
	config Config
	clock  *age.Clock
	boot   string
	conn   *grpc.ClientConn
	view   atomic.Pointer[view]
	// held is what was in force and, where there is a memory, kept when that was last said.
	held   atomic.Pointer[emergency.Revision]
	ready  chan struct{}
	once   sync.Once
	shards [shards]shard
	count  counters
	// progress is how many each recent cut has ended here.
	progress progress
	practice practice
	changed  chan struct{}
}

const (
	maxDevices = 64
	leastBound = 2 * time.Second // a gate's own view is up to a second and a half old
)

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// New checks the configuration, reads the memory, and reaches for no gate yet: that is Run's.
func New(c Config) (*Guard, error) {
	if c.Address == "" || c.Token == "" {
		return nil, errors.New("making a guard: it takes a gate's Address and an enforcer's Token")
	}
	if !name.MatchString(c.Name) {
		return nil, fmt.Errorf("making a guard: Name %q must be 1 to 64 letters, digits, - and _", c.Name)
	}
	if len(c.Devices) > maxDevices {
		return nil, fmt.Errorf("making a guard: at most %d devices may stand behind one", maxDevices)
	}
	if c.Bound < 0 || c.Bound > 0 && c.Bound < leastBound {
		return nil, fmt.Errorf("making a guard: a Bound below %s would be passed by every pause of the network", leastBound)
	}
	if c.Bound == 0 {
		c.Bound = 10 * time.Second
	}
	clock := &age.Clock{Wall: c.Now}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	conn, err := dial(c)
	if err != nil {
		return nil, fmt.Errorf("making a guard: %w", err)
	}
	g := &Guard{config: c, clock: clock, boot: rand.Text(), conn: conn, ready: make(chan struct{}), changed: make(chan struct{}, 1)}
	for i := range g.shards {
		g.shards[i].all = map[*entry]struct{}{}
	}
	g.recall()
	return g, nil
}

// Run follows a gate until the context ends, and then returns nil. Without one it goes on trying; what is known stays in force.
func (g *Guard) Run(ctx context.Context) error {
	defer g.conn.Close()
	var edges sync.WaitGroup
	edges.Go(func() { g.watchClock(ctx) })
	g.stayAttached(ctx)
	edges.Wait()
	return nil
}

// Ready is closed once the guard can decide: it has heard a gate, or remembers what one said.
func (g *Guard) Ready() <-chan struct{} { return g.ready }

// Revision is how far the guard knows the record of emergencies; zero while it knows nothing.
func (g *Guard) Revision() emergency.Revision {
	if v := g.view.Load(); v != nil {
		return v.snapshot.Revision()
	}
	return emergency.Revision{}
}

// Check refuses with a *fault.Error whoever may not pass now, and answers nil to all others. It does no I/O.
func (g *Guard) Check(c Caller) error {
	v, now := g.view.Load(), g.config.Now()
	verdict := g.judge(v, &c, now)
	if verdict.Allowed() {
		g.count.allowed.Add(1)
		g.practise(v, &c, now)
		v.pass(now)
		return nil
	}
	g.count.refused.Add(1)
	return fault.Refused(g.config.Texts, verdict, c.Device, now)
}

// judge decides. What is on refuses first, and says so; then the view's age does.
func (g *Guard) judge(v *view, c *Caller, now time.Time) emergency.Verdict {
	if v == nil {
		return emergency.Verdict{Reason: emergency.Stale}
	}
	verdict := emergency.Decide(v.snapshot, c.request(), now)
	if verdict.Allowed() && g.config.Mode == Strict && g.age(v) > g.config.Bound {
		verdict.Reason = emergency.Stale
	}
	return verdict
}
