package gateway

import (
	"net"
	"sync"
)

// limited is a listener that holds so many connections and no more, in all and from one address, so
// that no stranger takes the last way in. What is over is closed at once: nobody waits in a queue that
// an administrator would have to stand in too.
type limited struct {
	net.Listener
	all, each int
	trusted   proxies

	lock sync.Mutex
	open int
	from map[string]int
}

func limit(l net.Listener, all, each int, trusted proxies) *limited {
	return &limited{Listener: l, all: all, each: each, trusted: trusted, from: map[string]int{}}
}

// Accept answers the next connection that is within the limits.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := host(c.RemoteAddr())
		if l.admit(from) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { l.leave(from) })}, nil
		}
		_ = c.Close() // nothing was said on it
	}
}

func (l *limited) admit(from string) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.open >= l.all || l.from[from] >= l.each && !l.trusted.has(from) {
		return false
	}
	l.open++
	l.from[from]++
	return true
}

func (l *limited) leave(from string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.open--
	if l.from[from]--; l.from[from] == 0 {
		delete(l.from, from)
	}
}

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
