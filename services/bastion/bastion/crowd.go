package bastion

import (
	"net"
	"slices"
	"sync"
	"time"
)

// Bounds of those who have not proven who they are yet.
const (
	maxUnproven = 256
	loginGrace  = 60 * time.Second
)

// crowd are the connections of those who have not proven who they are. When there are too many, the one
// that has taken longest is closed: whoever only holds connections open locks nobody out.
type crowd struct {
	mu      sync.Mutex
	waiting []net.Conn // the longest first
}

func (c *crowd) join(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) >= maxUnproven {
		_ = c.waiting[0].Close() // whatever it says: it goes
		c.waiting = slices.Delete(c.waiting, 0, 1)
	}
	c.waiting = append(c.waiting, conn)
}

func (c *crowd) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiting, conn); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
}
