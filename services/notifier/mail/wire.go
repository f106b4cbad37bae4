package mail

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// maxAnswer is how much a server may say in one stage, certificates included.
const maxAnswer = 1 << 18

var errTooMuch = errors.New("the server said more than any answer needs")

// wire is a connection whose every stage ends, in time and in what a server may say.
type wire struct {
	net.Conn
	left atomic.Int64
}

func newWire(conn net.Conn) *wire {
	w := &wire{Conn: conn}
	w.left.Store(maxAnswer)
	return w
}

// stage begins the next one, to be over within the limit.
func (w *wire) stage(limit time.Duration) {
	w.left.Store(maxAnswer)
	// A connection that can't take a deadline is closed, and the next read says so.
	_ = w.SetDeadline(time.Now().Add(limit))
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err == nil && w.left.Add(-int64(n)) < 0 {
		return 0, errTooMuch
	}
	return n, err
}

func (w *wire) loopback() bool {
	addr, ok := w.RemoteAddr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}
