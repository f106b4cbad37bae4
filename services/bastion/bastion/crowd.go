package bastion

import (
	"net"
	"slices"
	"sync"
	"time"

	"portcullis.dev/services/internal/pace"
)

// Bounds of those who have not proven who they are yet.
const (
	maxUnproven = 256
	loginGrace  = 60 * time.Second
)

// crowd are the connections of those who have not proven who they are. When there are too many, one is closed of the
// address that has most of them, or of the IPv6 network: the one that has taken longest. Whoever only holds connections
// open, or opens ever more, locks nobody out but those who share that address.
type crowd struct {
	mu      sync.Mutex
	waiting []unproven // the longest first
}

type unproven struct {
	net.Conn
	from string
}

func (c *crowd) join(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = pace.Network(host)
	}
	c.waiting = append(c.waiting, unproven{conn, from})
	if len(c.waiting) > maxUnproven {
		i := c.surplus()
		_ = c.waiting[i].Close() // whatever it says: it goes
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
}

// surplus is the longest one of the address that has most.
func (c *crowd) surplus() int {
	count, most := map[string]int{}, 0
	for _, w := range c.waiting {
		count[w.from]++
		most = max(most, count[w.from])
	}
	return slices.IndexFunc(c.waiting, func(w unproven) bool { return count[w.from] == most })
}

func (c *crowd) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.waiting, func(w unproven) bool { return w.Conn == conn }); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
}
