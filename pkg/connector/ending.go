package connector

import (
	"runtime"
	"sync/atomic"
	"time"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// patience is how long the callers of End may make no headway before there are twice as many of them.
const patience = 2 * time.Millisecond

// cutOff calls End on each, once, from a few goroutines: as many as there are processors while each
// call is quick, and soon one for each session when they are not. It does not wait.
func (c *Connector) cutOff(over []*Session) {
	if len(over) == 0 {
		return
	}
	crew := &crew{over: over, end: c.end, taken: make(chan struct{})}
	go crew.run(int64(min(len(over), runtime.GOMAXPROCS(0))))
}

// crew is the callers of End on one list.
type crew struct {
	over       []*Session
	end        func(*Session)
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

func (w *crew) work() {
	last := int64(len(w.over))
	for i := w.next.Add(1); i <= last; i = w.next.Add(1) {
		if i == last {
			close(w.taken)
		}
		w.end(w.over[i-1])
		w.done.Add(1)
	}
}

func (c *Connector) end(s *Session) {
	c.mu.Lock()
	gone, reason := s.state == sessionv1.Session_ENDED, ""
	if s.ending != nil {
		reason = s.ending.reason
	}
	c.mu.Unlock()
	if gone {
		return
	}
	if s.request.End != nil {
		s.request.End(reason)
	}
	s.Close()
}
