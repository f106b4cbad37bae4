package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"portcullis.dev/services/bastion/limit"
)

const (
	chunk = 32 << 10
	// maxHeld is the longest message that is held until it is whole. In the middle of a longer one nobody can
	// be told why the session ends.
	maxHeld = 256 << 10
	// leaveWithin is how long a server has to end what a person has left.
	leaveWithin = time.Second
)

// relay carries a session's bytes, both ways.
type relay struct {
	person net.Conn
	server *backend
	meter  limit.Meter
	shut   atomic.Bool

	up, down chan struct{} // closed when that direction has ended
	// Of the server's direction, once it has ended: the person has nothing but whole messages; and it was the
	// server that ended it.
	whole, bye bool
}

func newRelay(person net.Conn, server *backend) *relay {
	return &relay{person: person, server: server, whole: true, up: make(chan struct{}), down: make(chan struct{})}
}

// stop holds both directions: from here on not a byte passes.
func (r *relay) stop() {
	r.shut.Store(true)
	r.server.close()
}

// run relays until the server has closed, or the person has gone.
func (r *relay) run(welcome []byte) {
	go r.toServer()
	go r.toPerson(welcome)
	select {
	case <-r.down:
	case <-r.up:
		select {
		case <-r.down:
		case <-time.After(leaveWithin):
			r.server.close()
		}
	}
}

// toServer passes on what the person says. When nothing can be passed on any more, it still reads: a peer whose
// bytes wait would be cut off without having read why.
func (r *relay) toServer() {
	defer close(r.up)
	buf := make([]byte, chunk)
	for {
		n, err := r.person.Read(buf)
		if n > 0 && !r.shut.Load() {
			r.meter.Busy.Store(true)
			r.meter.Touch()
			_, _ = r.server.conn.Write(buf[:n]) // if that fails, the other direction has ended
		}
		if err != nil {
			break
		}
	}
	if half, ok := r.server.conn.(interface{ CloseWrite() error }); ok && !r.shut.Load() {
		_ = half.CloseWrite()
	}
}

// toPerson passes on what the server says, in whole messages.
func (r *relay) toPerson(welcome []byte) {
	defer close(r.down)
	if !r.pass(welcome) {
		return
	}
	f, buf, held := framer{}, make([]byte, chunk), 0
	for {
		n, err := r.server.conn.Read(buf[held:])
		held += n
		r.meter.Touch()
		ready, bad := f.take(buf[:held])
		if f.last == 'Z' && ready == held { // before the person can answer
			r.meter.Busy.Store(false)
		}
		if ready > 0 && !r.pass(buf[:ready]) {
			return
		}
		r.whole = f.left == 0
		held = copy(buf, buf[ready:held])
		if err = errors.Join(bad, err); err != nil {
			r.bye = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
			return
		}
		buf = f.room(buf, held)
	}
}

// pass reports whether all of it went to the person. If nothing did, whole stays as it was.
func (r *relay) pass(p []byte) bool {
	if r.shut.Load() {
		return false
	}
	_, err := r.person.Write(p)
	r.whole = r.whole && err == nil
	return err == nil
}

// framer finds where messages end.
type framer struct {
	left int  // of a message that is too long to be held
	last byte // the type of the last whole message
	next int  // how long the message at the beginning of what is held will be; 0 if that is not known
}

// take answers how many of the bytes may be passed on.
func (f *framer) take(p []byte) (n int, err error) {
	f.last, f.next = 0, 0
	for {
		passing := min(f.left, len(p)-n)
		n, f.left = n+passing, f.left-passing
		if f.left > 0 || len(p)-n < 5 {
			return n, nil
		}
		size := binary.BigEndian.Uint32(p[n+1:])
		if size < 4 || size > 1<<30 {
			return n, fmt.Errorf("a message %q of %d bytes is none of PostgreSQL's", p[n], size)
		}
		whole := int(size) + 1
		if whole > maxHeld {
			f.last, f.left = p[n], whole
			continue
		}
		if whole > len(p)-n {
			f.last, f.next = 0, whole
			return n, nil
		}
		f.last, n = p[n], n+whole
	}
}

// room answers a buffer with what is held, into which the rest of a message fits.
func (f *framer) room(buf []byte, held int) []byte {
	if f.next <= len(buf) {
		return buf
	}
	larger := make([]byte, f.next)
	copy(larger, buf[:held])
	return larger
}
