package scenario

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// settled is how long whoever speaks with a replica has, once it is ready again, to find that out before the next one
// goes: minReadySeconds of a Deployment.
const settled = 1200 * time.Millisecond

func TestARollingRestartOfEverythingFailsNoCheckAndAnswersNoneWrong(t *testing.T) {
	t.Parallel()
	both := map[string]int{}
	for _, service := range []string{"emergency-control", "identity", "access-gate", "session-broker", "notifier", "gateway"} {
		both[service] = 2
	}
	w := newWorld(t, stack.Separate, stack.Options{Environment: quick.Environment, Replicas: both}, 2)
	root, other := w.root(), w.root()
	c := w.checksBy(root)
	most := c.measure(time.Second)
	done := c.every(time.Second * 5 / time.Duration(most))
	w.roll("emergency-control", "emergency-control-2", "identity", "access-gate-2", "gateway")

	c.expect(either)
	f := w.freeze(root, nil)
	w.everyDoorHolds(root, f.Text("id"))
	c.expect(frozen)
	w.roll("access-gate", "access-gate-2", "gateway-2", "identity-2", "session-broker")
	c.expect(either)
	w.cancel(other, "freezes", f.Text("id"))
	w.eventually(2*time.Second, "every gate has heard of the cancel", c.allowed)
	c.expect(open)
	w.roll("session-broker-2", "notifier", "notifier-2", "bastion", "access-gate")
	done()
	t.Logf("%d checks at a fifth of %d a second, %d of them while frozen", c.asked.Load(), most, c.frozen.Load())
	for _, wrong := range c.wrong {
		t.Error(wrong)
	}
	if c.asked.Load() < int64(most) || c.frozen.Load() == 0 {
		t.Error("too few checks: the test shows nothing")
	}
}

// roll restarts one process after the other as a platform does: it is asked to end, and the next one's turn comes once
// it is ready again.
func (w *world) roll(names ...string) {
	w.Helper()
	for _, name := range names {
		began := time.Now()
		p := w.Process(name)
		p.Stop()
		if code := p.ExitCode(); code != 0 {
			w.Errorf("%s ended with %d:\n%s", name, code, p.Tail(10))
		}
		ended := time.Since(began)
		if err := w.Restart(name); err != nil {
			w.Fatal(err)
		}
		w.Logf("%s ended within %v, and was ready after %v", name, ended.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		time.Sleep(settled)
	}
}

// expectation is what a check must be answered now.
type expectation int32

const (
	open expectation = iota
	frozen
	either
)

// checks asks about alice and db-1, over all gateways with gRPC's own balancing.
type checks struct {
	client        gatev1.AccessClient
	ctx           context.Context
	now           atomic.Int32
	asked, frozen atomic.Int64

	mu    sync.Mutex
	wrong []string
}

func (w *world) checksBy(root *client.Person) *checks {
	w.Helper()
	gateways := manual.NewBuilderWithScheme("gateways")
	var all []resolver.Address
	for _, g := range w.Gateways {
		all = append(all, resolver.Address{Addr: g.GRPC})
	}
	gateways.InitialState(resolver.State{Addresses: all})
	c, err := grpc.NewClient("gateways:///all", grpc.WithResolvers(gateways), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, MaxDelay: 500 * time.Millisecond}, MinConnectTimeout: time.Second}))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	return &checks{client: gatev1.NewAccessClient(c), ctx: bearer(w.token(root, "ENFORCER").Token)}
}

func (c *checks) expect(e expectation) { c.now.Store(int32(e)) }

func (c *checks) ask() (*gatev1.CheckResponse, error) {
	ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
	defer cancel()
	return c.client.Check(ctx, &gatev1.CheckRequest{User: "alice", Device: "db-1", Channel: gatev1.Channel_SESSION})
}

// allowed reports whether each of some answers in a row lets alice in.
func (c *checks) allowed() bool {
	for range 20 {
		if a, err := c.ask(); err != nil || !a.GetAllowed() {
			return false
		}
	}
	return true
}

// measure answers how many checks are answered in a second, with 64 under way.
func (c *checks) measure(lasts time.Duration) int64 {
	var group sync.WaitGroup
	var answered atomic.Int64
	until := time.Now().Add(lasts)
	for range 64 {
		group.Go(func() {
			for time.Now().Before(until) {
				if a, err := c.ask(); err == nil && a.GetAllowed() {
					answered.Add(1)
				}
			}
		})
	}
	group.Wait()
	return max(100, answered.Load()*int64(time.Second)/int64(lasts))
}

// every asks at a pace, whatever is still under way, until done is called.
func (c *checks) every(pace time.Duration) (done func()) {
	stop, over := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	go func() {
		defer close(over)
		for next := time.Now(); ; next = next.Add(pace) {
			select {
			case <-stop:
				return
			case <-time.After(time.Until(next)):
				group.Go(c.check)
			}
		}
	}()
	return func() { close(stop); <-over; group.Wait() }
}

// check asks once. What was expected at the beginning or at the end is right.
func (c *checks) check() {
	before, began := expectation(c.now.Load()), time.Now()
	a, err := c.ask()
	after := expectation(c.now.Load())
	c.asked.Add(1)
	reason := a.GetReason().String()
	if reason == "FROZEN" {
		c.frozen.Add(1)
	}
	fits := func(e expectation) bool {
		return e == either && (a.GetAllowed() || reason == "FROZEN") || e == open && a.GetAllowed() || e == frozen && reason == "FROZEN"
	}
	if err == nil && (fits(before) || fits(after)) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wrong) < 20 {
		c.wrong = append(c.wrong, fmt.Sprintf("at %s, after %v: %v %v, expected %d", began.Format("15:04:05.000"), time.Since(began), a, err, before))
	}
}
