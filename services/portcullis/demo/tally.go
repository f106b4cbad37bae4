package demo

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// settle is how long nothing must change before it is worth a line.
const settle = time.Second

// tally counts the sessions that are open, and says so once per state, not once per session.
type tally struct {
	mu     sync.Mutex
	all    int
	open   int
	reason string
	nudge  chan struct{}
}

func newTally(all int) *tally { return &tally{all: all, nudge: make(chan struct{}, 1)} }

func (t *tally) opened() { t.change(1, "") }

func (t *tally) closed(reason string) { t.change(-1, reason) }

// refused notes why one is not let in.
func (t *tally) refused(reason string) { t.change(0, reason) }

func (t *tally) change(by int, reason string) {
	t.mu.Lock()
	t.open += by
	if by <= 0 && reason != "" {
		t.reason = reason
	}
	t.mu.Unlock()
	select {
	case t.nudge <- struct{}{}:
	default:
	}
}

// state is what the sessions are in, and its line. How many are open of those that are not all there is no
// state of its own: they come back one by one.
func (t *tally) state() (state, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == t.all {
		return "open", fmt.Sprintf("demo: %d sessions open", t.open)
	}
	line = fmt.Sprintf("demo: %d of %d sessions open, trying again", t.open, t.all)
	if t.reason != "" {
		line += ": " + t.reason
	}
	return t.reason, line
}

// tell says each state once it has settled, until the context ends.
func (t *tally) tell(ctx context.Context, say func(string, ...any)) {
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.nudge:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
		if state, line := t.state(); state != last {
			last = state
			say("%s", line)
		}
	}
}
