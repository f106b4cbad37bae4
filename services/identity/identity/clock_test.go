package identity_test

import (
	"sync"
	"time"
)

// clock is real time, moved on by hand.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
	asked int
	at    int    // the question before whose answer meanwhile happens
	then  func() // what happens
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	c.asked++
	meanwhile := c.then
	if meanwhile != nil && c.asked == c.at {
		c.then = nil
		c.mu.Unlock()
		meanwhile()
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// meanwhile does something when the time is asked for the nth time from now on.
func (c *clock) meanwhile(n int, do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.then = c.asked+n, do
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}
