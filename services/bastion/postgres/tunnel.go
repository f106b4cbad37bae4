package postgres

import (
	"context"
	"io"
	"net"
	"time"
)

// Channel is one of SSH, or as good as that.
type Channel interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// Tunnel is one connection of a session that somebody else has let in and registered, over SSH: who and where to
// are known, and it is secure already.
type Tunnel struct {
	session *session
	ctx     context.Context
	stopped bool
	done    chan struct{}
}

// Tunnel makes one of a channel on a connection. It does nothing until Run, and is over with the context.
func (d *Door) Tunnel(ctx context.Context, c Channel, on net.Conn) *Tunnel {
	ctx, cancel := context.WithCancel(ctx)
	raw := channel{c, on}
	return &Tunnel{session: d.session(raw, raw, startup{}, cancel), ctx: ctx, done: make(chan struct{})}
}

// Run serves the connection from its first byte to its last. The user name that the client says is not looked at.
func (t *Tunnel) Run(user, device string, live Live) {
	defer close(t.done)
	s := t.session
	defer s.giveUp()
	first, err := t.greet()
	switch {
	case err != nil:
		s.door.turnAway(t.ctx, s.raw, s.person, s.because(err))
	case first.cancels != nil:
		s.door.cancel(t.ctx, *first.cancels)
	default:
		s.first = first
		s.carry(t.ctx, someone{user: user, device: device}, part{live, s})
	}
}

// Refuse says why there is no such session, and closes.
func (t *Tunnel) Refuse(err error) {
	if _, silent := t.greet(); silent == nil {
		t.session.door.refuse(t.ctx, t.session.raw, t.session.person, err)
	}
	t.session.giveUp()
}

func (t *Tunnel) greet() (startup, error) {
	defer time.AfterFunc(loginGrace, func() { _ = t.session.raw.Close() }).Stop()
	_, first, err := Config{Plain: true}.greet(t.session.raw)
	if err == nil && first.cancels == nil {
		_, err = t.session.person.Write(first.negotiated())
	}
	return first, err
}

// Stop holds both directions.
func (t *Tunnel) Stop() { t.stopped = t.session.stop() }

// Explain says why, and closes. It is called after Stop, and returns when the server's backend is gone too.
func (t *Tunnel) Explain(reason string) {
	if t.stopped {
		t.session.conclude(reason)
	}
	select {
	case <-t.done:
	case <-time.After(farewell):
	}
}

// part ends by its own limits alone.
type part struct {
	Live
	session *session
}

func (p part) EndNow(_, reason string) { p.session.end(reason) }

// channel is a connection without deadlines: who cuts it off sets one on what it runs over.
type channel struct {
	Channel
	from net.Conn
}

func (c channel) LocalAddr() net.Addr              { return c.from.LocalAddr() }
func (c channel) RemoteAddr() net.Addr             { return c.from.RemoteAddr() }
func (c channel) SetDeadline(time.Time) error      { return nil }
func (c channel) SetReadDeadline(time.Time) error  { return nil }
func (c channel) SetWriteDeadline(time.Time) error { return nil }
