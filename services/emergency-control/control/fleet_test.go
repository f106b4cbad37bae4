package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/emergency-control/receipt"
	"portcullis.dev/services/internal/crowd"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/watch"
)

// A fleet is very many doors and the journal, in a process of their own, so that what control takes can be told from what they take.
// Three gates speak for one half, and three brokers for the other, as they really do: each follows the record itself, and says of a door
// that it holds what it holds itself at that moment.
const (
	fleetMark = "PORTCULLIS_TEST_FLEET" // in the environment of its process
	sweep     = 50 * time.Millisecond   // a tenth of the doors say how they are: each does twice a second
)

// order is what a fleet is told: a line of JSON each.
type order struct {
	Key   []byte `json:"key,omitempty"`   // that signs the record
	Doors int    `json:"doors,omitempty"` // so many come
	Hush  int    `json:"hush,omitempty"`  // of each kind so many more fall silent, for good
}

// muster is what a fleet says of itself, in answer to each order.
type muster struct {
	URL                     string
	Messages, Bytes, Cycles int64 // sent so far; CPU in microseconds, with the journal's
	Largest                 int64 // message, in bytes
}

// fleet is the other end of one: the process of its own.
type fleet struct {
	tb     testing.TB
	end    func()
	orders *json.Encoder
	says   *json.Decoder
}

// newFleet starts one, whose journal is at the URL that it answers.
func newFleet(tb testing.TB) (f *fleet, url string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0], "-test.run", "^$", "-test.bench", "^BenchmarkTenThousandEnforcers$", "-test.benchtime", "1x")
	read, write, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Env, cmd.ExtraFiles, cmd.Stderr = append(os.Environ(), fleetMark+"=1"), []*os.File{write}, os.Stderr
	orders, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	_ = write.Close()
	end := sync.OnceFunc(func() {
		_ = orders.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the fleet ended: %v", err)
		}
	})
	tb.Cleanup(end)
	f = &fleet{tb: tb, end: end, orders: json.NewEncoder(orders), says: json.NewDecoder(read)}
	return f, f.hear().URL
}

// tell gives an order, and answers how the fleet is once it is done.
func (f *fleet) tell(o order) muster {
	f.tb.Helper()
	if err := f.orders.Encode(o); err != nil {
		f.tb.Fatal(err)
	}
	return f.hear()
}

func (f *fleet) hear() (m muster) {
	f.tb.Helper()
	if err := f.says.Decode(&m); err != nil {
		f.tb.Fatalf("the fleet says nothing: %v", err)
	}
	return m
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// beFleet is the process of a fleet, until its orders end.
func beFleet(tb testing.TB) {
	server, err := local.Start(local.Config{Dir: tb.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		tb.Fatal(err)
	}
	defer server.Shutdown()
	out := json.NewEncoder(os.NewFile(3, "answers"))
	if err := out.Encode(muster{URL: server.URL()}); err != nil {
		tb.Fatal(err)
	}
	ctx, end := context.WithCancel(tb.Context())
	c := &camp{tb: tb, url: server.URL()}
	defer c.running.Wait()
	defer end()
	for in := json.NewDecoder(os.Stdin); ; {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			tb.Fatal(err)
		}
		c.follow(ctx, o)
		if err := out.Encode(muster{Messages: c.messages.Load(), Bytes: c.bytes.Load(), Largest: c.largest.Load(), Cycles: cpu().Microseconds()}); err != nil {
			tb.Fatal(err)
		}
	}
}

// camp is a fleet in its own process.
type camp struct {
	tb                             testing.TB
	url                            string
	messages, bytes, largest, hush atomic.Int64
	running                        sync.WaitGroup
}

// follow does what an order says.
func (c *camp) follow(ctx context.Context, o order) {
	c.hush.Add(int64(o.Hush))
	const speakers = 3
	for i := range min(o.Doors, 1) * speakers {
		begin, end := o.Doors/2*i/speakers, o.Doors/2*(i+1)/speakers
		c.speak(ctx, o.Key, "guard", fmt.Sprintf("gate-%d", i), begin, end)
		c.speak(ctx, o.Key, receipt.Connector, fmt.Sprintf("broker-%d", i), begin, end)
	}
}

// speak has one gate or broker speak for the doors of its kind from one number to another.
func (c *camp) speak(ctx context.Context, key []byte, service, name string, begin, end int) {
	j, err := journal.Connect(ctx, journal.Config{URL: c.url, Name: name})
	if err != nil {
		c.tb.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s := &speaker{camp: c, service: service, begin: begin, view: watch.New(watch.Config{Journal: j, Trust: audit.Trust(key), Directory: true, Now: time.Now, Log: log})}
	s.crowd = crowd.New(crowd.Config{Service: service, Instance: name, Log: log, Beat: func(subject string, data []byte) error {
		c.messages.Add(1)
		c.bytes.Add(int64(len(data)))
		for at := c.largest.Load(); int64(len(data)) > at && !c.largest.CompareAndSwap(at, int64(len(data))); at = c.largest.Load() {
		}
		return j.Beat(subject, data)
	}})
	s.doors = make([]*emergencyv1.Beat, end-begin)
	s.crowd.Add(int64(len(s.doors)))
	c.running.Go(func() { _ = s.view.Run(ctx) })
	c.running.Go(func() { _ = s.crowd.Run(ctx) })
	c.running.Go(func() { defer j.Close(); s.run(ctx) })
}

// speaker is a gate or a broker.
type speaker struct {
	camp    *camp
	service string
	begin   int
	view    *watch.Watcher
	crowd   *crowd.Crowd
	doors   []*emergencyv1.Beat // as they were last
}

// run has every door say twice a second how it is, and at once when it holds something new.
func (s *speaker) run(ctx context.Context) {
	moved, stop := s.view.Subscribe()
	defer stop()
	tick, held := time.NewTicker(sweep), ""
	defer tick.Stop()
	for turn := 0; ; {
		first, step := 0, 1
		select {
		case <-ctx.Done():
			return
		case <-moved:
			if s.view.State() == nil || s.view.State().Emergency.Revision().String() == held {
				continue
			}
		case <-tick.C:
			turn++
			first, step = turn%10, 10
		}
		state := s.view.State()
		if state == nil {
			continue
		}
		held = state.Emergency.Revision().String()
		for i := first; i < len(s.doors); i += step {
			s.say(ctx, i, held, state)
		}
	}
}

// say has one door say how it is. Of a guard that is silent nothing is heard; of a connector its broker says so.
func (s *speaker) say(ctx context.Context, i int, held string, state *watch.State) {
	last, silent := s.doors[i], int64(s.begin+i) < s.camp.hush.Load()
	if silent && s.service == "guard" {
		return
	}
	b := s.door(i)
	if silent {
		b.Revision, b.HeldTime, b.LastAllowedTime, b.Cuts, b.Unreachable = last.GetRevision(), last.GetHeldTime(), last.GetLastAllowedTime(), last.GetCuts(), true
	} else {
		b.Revision, b.HeldTime, b.LastAllowedTime = held, last.GetHeldTime(), last.GetLastAllowedTime()
		if last.GetRevision() != held {
			b.HeldTime, b.LastAllowedTime = timestamppb.Now(), timestamppb.Now()
		}
		for _, cut := range state.Emergency.Cuts() {
			b.Cuts = append(b.Cuts, &emergencyv1.CutProgress{Emergency: cut.Emergency, Ended: 3})
		}
	}
	s.crowd.Tell(ctx, last, b)
	s.doors[i] = b
}

// door is what a door always says.
func (s *speaker) door(i int) *emergencyv1.Beat {
	n := s.begin + i
	b := &emergencyv1.Beat{Service: s.service, Enforcer: fmt.Sprintf("host-%05d", n), BootId: fmt.Sprintf("BOOTBOOTBOOTBOOTBOOT%06d", n), Mode: emergencyv1.Enforcer_BEST_EFFORT,
		OpenSessions: new(uint32(3)), OldestAdmission: "1-1", Age: durationpb.New(700 * time.Millisecond), Bound: durationpb.New(10 * time.Second)}
	if s.service == "guard" {
		b.Enforcer, b.Mode = fmt.Sprintf("orders-%05d@tok_0123456789", n), emergencyv1.Enforcer_STRICT
	}
	return b
}
