package connector

import (
	"runtime"
	"sync"
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
	workers    sync.WaitGroup
	mu         sync.Mutex
	hands      []*hand
}

// hand is what one worker has ended and not noted yet.
type hand struct {
	mu   sync.Mutex
	n    int
	over [noted]*Session
}

// noted is how many sessions a worker notes at a time.
const noted = 16

func (w *crew) run(workers int64) {
	w.hire(workers)
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for before := int64(0); ; before = w.done.Load() {
		select {
		case <-w.taken:
			w.finish(tick.C)
			return
		case <-tick.C:
		}
		if w.done.Load()-before < workers {
			w.hire(workers)
			workers *= 2
		}
	}
}

func (w *crew) hire(workers int64) {
	for range workers {
		w.workers.Go(w.work)
	}
}

// finish notes what has ended by the next tick, if a worker hangs on another until then.
func (w *crew) finish(tick <-chan time.Time) {
	idle := make(chan struct{})
	go func() { w.workers.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-tick:
		w.empty()
	}
}

// work ends one after the other, and notes a few at a time that they are over.
func (w *crew) work() {
	last := int64(len(w.over))
	h := &hand{}
	w.mu.Lock()
	w.hands = append(w.hands, h)
	w.mu.Unlock()
	for i := w.next.Add(1); i <= last; i = w.next.Add(1) {
		if i == last {
			close(w.taken)
		}
		s := w.over[i-1]
		if s.gone.Load() {
			continue
		}
		s.shut()
		s.stop(s.ending.reason)
		w.done.Add(1)
		if h.put(s) == noted {
			w.noteAll(h)
		}
	}
	w.noteAll(h)
}

func (h *hand) put(s *Session) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over[h.n] = s
	h.n++
	return h.n
}

func (h *hand) take() ([noted]*Session, int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.n
	h.n = 0
	return h.over, n
}

func (w *crew) noteAll(h *hand) {
	over, n := h.take()
	w.note(over[:n])
}

// empty notes what the workers have ended so far.
func (w *crew) empty() {
	w.mu.Lock()
	hands := w.hands
	w.mu.Unlock()
	for _, h := range hands {
		w.noteAll(h)
	}
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
