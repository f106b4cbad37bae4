package main

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"portcullis.dev/deploy/e2e/stack"
)

// fault is one thing that breaks, and for how long.
type fault struct {
	at, lasts time.Duration
	kind      kind
	process   string
}

type kind int

const (
	killed  kind = iota // kill -9, and started again
	stopped             // SIGSTOP: it is there, and says nothing
	wiped               // Redis has forgotten everything
)

func (k kind) String() string { return [...]string{"kill -9", "SIGSTOP", "FLUSHALL"}[k] }

// replicas are how many of each service there are: two of what is not at the edge.
func replicas() map[string]int {
	return map[string]int{"emergency-control": 2, "identity": 2, "access-gate": 2, "session-broker": 2, "notifier": 2}
}

const brokers = 3

func processes() []string {
	all := []string{"bastion", "gateway", "redis"}
	for _, service := range []string{"emergency-control", "identity", "access-gate", "session-broker", "notifier"} {
		all = append(all, service, stack.Replica(service, 1))
	}
	for i := range brokers {
		all = append(all, stack.Replica("nats", i))
	}
	return all
}

// schedule is what a seed breaks: a fault each second or so, some of them at the same time.
func schedule(seed uint64, lasts time.Duration) []fault {
	r := rand.New(rand.NewPCG(seed, 0))
	names := processes()
	busy := map[string]time.Duration{} // until when
	var all []fault
	for at := time.Second; at < lasts; at += time.Duration(r.Int64N(int64(2 * time.Second))) {
		f := fault{at: at, process: names[r.IntN(len(names))], kind: kind(r.IntN(2))}
		f.lasts = 100*time.Millisecond + time.Duration(r.Int64N(int64(5*time.Second)))
		if f.process == "redis" && r.IntN(3) == 0 {
			f.kind, f.lasts = wiped, 0
		}
		if busy[f.process] > at {
			continue // what is broken can't be broken again
		}
		busy[f.process] = at + f.lasts + 4*time.Second // it takes its time to come back
		all = append(all, f)
	}
	return all
}

// breakThings makes the faults at their times, and ends each.
func (w *world) breakThings(faults []fault) (int, error) {
	began, over := time.Now(), make(chan error, len(faults))
	for _, f := range faults {
		time.Sleep(time.Until(began.Add(f.at)))
		w.say("%6.1fs %s %s for %s", f.at.Seconds(), f.kind, f.process, f.lasts.Round(time.Millisecond))
		go func() { over <- w.breakOne(f) }()
	}
	for range faults {
		if err := <-over; err != nil {
			return len(faults), err
		}
	}
	return len(faults), nil
}

func (w *world) breakOne(f fault) error {
	switch f.kind {
	case wiped:
		_ = w.Wipe() // it may be down
		return nil
	case stopped:
		if err := w.signal(f.process, syscall.SIGSTOP); err != nil {
			return err
		}
		time.Sleep(f.lasts)
		return w.signal(f.process, syscall.SIGCONT)
	}
	w.mu.Lock()
	p := w.Process(f.process)
	w.mu.Unlock()
	p.Kill()
	time.Sleep(f.lasts)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Start(f.process)
}

func (w *world) signal(process string, s syscall.Signal) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.Process(process).Signal(s); err != nil {
		return fmt.Errorf("%s has ended by itself: %w\n%s", process, err, w.Process(process).Tail(20))
	}
	return nil
}

// heal waits until everything is there, and then a second: what was cut is gone by then.
func (w *world) heal() error {
	for _, name := range processes() {
		select {
		case <-w.Process(name).Exited():
			return fmt.Errorf("%s has ended by itself:\n%s", name, w.Process(name).Tail(30))
		default:
		}
	}
	if err := w.WaitReady(); err != nil {
		return err
	}
	err := w.await("the journal takes entries, and people sign in", func() bool {
		return w.signIn(w.first) == nil && w.works()
	})
	w.calm = time.Now()
	return err
}
