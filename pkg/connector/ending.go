package connector

import (
	"runtime"
	"sync/atomic"
	"time"
)

// patience is how long the callers of End may make no headway before there are twice as many of them.
const patience = 10 * time.Millisecond

// cutOff calls End on each, once, from a few goroutines: as many as there are processors while each
// call is quick, and soon one for each session when they are not. It does not wait.
func (c *Connector) cutOff(over []*Session) {
	if len(over) == 0 {
		return
	}
	w := &crew{c: c, over: over, taken: make(chan struct{})}
	go w.run(int64(min(len(over), runtime.GOMAXPROCS(0))))
}

// crew is the callers of End on one list.
type crew struct {
	c          *Connector
	over       []*Session
	next, done atomic.Int64
	taken      chan struct{} // closed when the last was taken
}

func (w *crew) run(workers int64) {
	for range workers {
		go w.work()
	}
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for before := int64(0); ; before = w.done.Load() {
		select {
		case <-w.taken:
			return
		case <-tick.C:
		}
		if w.done.Load()-before < workers {
			for range workers {
				go w.work()
			}
			workers *= 2
		}
	}
}

// work ends one after the other, and notes a few at a time that they are over.
func (w *crew) work() {
	last := int64(len(w.over))
	var over [16]*Session
	n := 0
	for i := w.next.Add(1); i <= last; i = w.next.Add(1) {
		if i == last {
			close(w.taken)
		}
		s := w.over[i-1]
		if s.gone.Load() {
			continue
		}
		s.stop(s.ending.reason)
		w.done.Add(1)
		over[n] = s
		if n++; n == len(over) {
			w.note(over[:n])
			n = 0
		}
	}
	w.note(over[:n])
}

func (w *crew) note(over []*Session) {
	now := w.c.config.Now()
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for _, s := range over {
		w.c.settle(s)
		w.c.finish(s, now)
	}
}
