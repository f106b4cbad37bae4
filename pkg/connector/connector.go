// Package connector makes a program that holds privileged sessions one whose sessions can be ended: it
// is the client side of the broker's Attach stream.
//
// A session is registered before the gate is asked, so that nothing slips in beside an emergency. What
// must end is desired state, not a command: the broker sends every cut that may still concern a session,
// and each cut ends what it selects and was admitted below its revision, whenever that turns up. A cut
// that starts later has its own timer here, so that it bites on time with broker and control gone.
//
// A session counts as ended when its host has said so by returning from End.
package connector

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"portcullis.dev/pkg/emergency"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// Config says who the connector is.
type Config struct {
	// ID is its name among the connectors, the same at each start.
	ID string
	// Protocols are what it carries: SSH, POSTGRES, TCP, KUBERNETES.
	Protocols []string
	// Texts speaks to those who are cut off.
	Texts emergency.Texts
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Heartbeat is how often it says how it is; 0 is twice a second.
	Heartbeat time.Duration
}

// Deps is what a connector needs of others.
type Deps struct {
	Broker sessionv1.ConnectorsClient
	Gate   Gate
	// Log may be nil.
	Log *slog.Logger
}

// Gate decides whether a session may be opened. A refusal is an error whose text the person may read.
type Gate func(context.Context, Request) (Admitted, error)

// Admitted is what a gate stamps on a session.
type Admitted struct {
	Admission emergency.Admission
	// Groups are the device's access groups now.
	Groups []string
}

// Request asks for a session.
type Request struct {
	User, Device, Protocol string
	// Address is the person's.
	Address string
	// End is called once, from another goroutine, when the session must end, with a sentence for the
	// person. When it returns, nothing passes any more. It is not called after Close.
	End func(reason string)
	// Suspend is called, from another goroutine, each time that the session is suspended and that it goes
	// on, with a sentence for the person. When it returns from the first, nothing passes any more that the
	// person sends, which reading through Session.Input sees to; all else goes on. The calls of one session
	// come one after the other; one may be under way while End is called. Nil: this host can't suspend.
	Suspend func(held bool, reason string)
}

// Connector keeps the sessions of one host.
type Connector struct {
	config Config
	deps   Deps
	boot   string
	over   *holding // of all sessions that are

	mu         sync.Mutex
	sessions   map[string]*Session // those that are over stay until that is confirmed
	live       int
	inOrder    []*Session // as they came, which is how they lie in memory; some are over
	cuts       []*cut     // the newest first
	progress   map[string]*progress
	recent     []string // the keys of progress, the oldest first
	held       emergency.Revision
	heldAt     time.Time // when it took hold of that, zero for what was there at the start
	admitted   time.Time // when it last let a session in
	before     time.Time // and when it did before it held that; zero for never
	version    uint64
	generation uint64
	stood      bool
	linked     bool // a broker has had the hello
	closed     bool

	opened  []*Session // to be told of, since they were last
	ended   []*Session
	oldest  *Session // admitted under the lowest revision; nil if that must be found out
	changed bool     // since the last heartbeat
	urgent  bool     // and it can't wait
	wake    chan struct{}
}

// New answers a connector that does nothing until Run.
func New(c Config, d Deps) (*Connector, error) {
	if c.ID == "" || d.Broker == nil || d.Gate == nil {
		return nil, errors.New("making a connector: it takes an id, a broker and a gate")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = 500 * time.Millisecond
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	over := &holding{done: make(chan struct{}), over: true}
	close(over.done)
	return &Connector{
		over: over, config: c, deps: d, boot: rand.Text(), sessions: map[string]*Session{}, progress: map[string]*progress{},
		wake: make(chan struct{}, 1),
	}, nil
}

// Run keeps the connector attached until the context ends, and then returns nil. Without a broker it
// goes on trying; what it knows already stays in force.
func (c *Connector) Run(ctx context.Context) error {
	var clock sync.WaitGroup
	clock.Go(func() { c.watchClock(ctx) })
	c.stayAttached(ctx)
	clock.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, cut := range c.cuts {
		cut.disarm()
	}
	return nil
}

// Live is how many sessions are registered: those that are being opened too.
func (c *Connector) Live() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live
}

// Held is the revision of emergencies that the connector holds; zero before the first word of a broker.
func (c *Connector) Held() emergency.Revision {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

// watchClock looks at the starts that lie ahead besides their timers: a timer stands still while a
// machine is suspended, and does not know of a clock that was set.
func (c *Connector) watchClock(ctx context.Context) {
	tick := time.NewTicker(c.config.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.biteDue()
		}
	}
}

// nudge wakes the link, if there is one. Callers hold the lock.
func (c *Connector) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
