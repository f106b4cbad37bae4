package postgres

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"portcullis.dev/pkg/fault"
)

// goneWithin is how long an end waits for the server's word that the backend is gone. After that it is seen to
// all the same, but the session is not held up.
const goneWithin = 2 * time.Second

// session is one connection of one person to one server.
type session struct {
	door   *Door
	raw    net.Conn // as it was accepted
	person net.Conn // that, or TLS over it
	first  startup
	giveUp context.CancelFunc // of what is still being tried

	mu       sync.Mutex
	relay    *relay // nil until it is let in
	over     bool
	gone     <-chan struct{} // closed when the backend of one that is over is
	finished bool            // by itself

	reason   string        // why it is over
	reasoned chan struct{} // closed when that is known
	told     chan struct{} // closed when an end has done its work
}

func (d *Door) session(raw, person net.Conn, first startup, giveUp context.CancelFunc) *session {
	return &session{door: d, raw: raw, person: person, first: first, giveUp: giveUp, reasoned: make(chan struct{}), told: make(chan struct{})}
}

// carry signs in at the server, has itself decided on again, and relays.
func (s *session) carry(ctx context.Context, who someone, live Live) {
	server, device, err := s.door.dial(ctx, who.device, s.first)
	if err != nil {
		s.door.refuse(ctx, s.raw, s.person, s.because(err))
		return
	}
	server.record.ID, server.record.User, server.record.Time = live.ID(), who.user, time.Now()
	if err := s.enter(ctx, server, live); err != nil {
		server.close() // it has been told nothing yet
		s.door.reaper.forget(server.record)
		s.door.refuse(ctx, s.raw, s.person, s.because(err))
		return
	}
	lent := s.door.lend(s)
	defer s.door.takeBack(lent)
	go s.relay.meter.Watch(ctx, device, live.EndNow)
	s.relay.run(welcome(server, lent))
	s.finish()
}

// enter keeps what ends the backend, and asks again before the first byte.
func (s *session) enter(ctx context.Context, server *backend, live Live) error {
	if err := s.door.reaper.keep(server.record); err != nil {
		return fault.New(fault.Unavailable, "The bastion can't keep on disk what it takes to end this session, and what nobody could end must not begin. Ask whoever runs it").Because(err)
	}
	if err := live.Admit(ctx); err != nil {
		return err
	}
	if err := s.raw.SetDeadline(time.Time{}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errOver
	}
	s.relay = newRelay(s.person, server)
	return nil
}

var errOver = errors.New("it was ended meanwhile")

// because answers why it went wrong: if the session was ended meanwhile, that alone.
func (s *session) because(err error) error {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	if !over {
		return err
	}
	<-s.reasoned
	return fault.New(fault.Aborted, "%s", s.reason)
}

// end is called when an emergency ends the session. It returns when the server's backend is gone too.
func (s *session) end(reason string) {
	if s.stop() {
		s.conclude(reason)
	}
}

// stop holds both directions, and reports whether there was anything to end. Then somebody has to say why.
func (s *session) stop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.finished {
		return false
	}
	s.over = true
	if s.relay == nil { // nothing has passed; who opens it finds out
		s.giveUp()
		return true
	}
	s.relay.stop()
	s.gone = s.door.reaper.end(s.relay.server.record)
	return true
}

// conclude lets the person read why, for a moment, and closes everything, whatever the peer does.
func (s *session) conclude(reason string) {
	s.reason = reason
	close(s.reasoned)
	if s.relay == nil { // who opens it says so
		return
	}
	defer close(s.told)
	s.explain(reason)
	s.await(s.gone)
}

// explain writes the reason behind all that is on its way to the person, if that ends with a whole message.
func (s *session) explain(reason string) {
	_ = s.raw.SetWriteDeadline(time.Now().Add(farewell))
	select {
	case <-s.relay.down: // the server's side is closed, and writing has a deadline
	case <-time.After(2 * farewell): // but over SSH
		_ = s.raw.Close()
		return
	}
	if !s.relay.whole {
		_ = s.raw.Close()
		return
	}
	_, _ = s.person.Write(fatal(adminShutdown, reason))
	hangUp(s.raw, s.relay.up)
}

// finish clears up when one of the two has gone, or waits until an end has.
func (s *session) finish() {
	s.mu.Lock()
	s.finished = !s.over
	s.mu.Unlock()
	if !s.finished {
		<-s.told
		return
	}
	hangUp(s.raw, s.relay.up)
	<-s.relay.down
	server := s.relay.server
	server.close()
	if s.relay.bye {
		s.door.reaper.forget(server.record)
		return
	}
	s.await(s.door.reaper.end(server.record))
}

func (s *session) await(gone <-chan struct{}) {
	select {
	case <-gone:
	case <-time.After(goneWithin):
		s.door.deps.Log.Warn("a server's backend is not known to be gone yet", "device", s.relay.server.record.Device, "pid", s.relay.server.record.PID)
	}
}

// welcome is what a server says when it has let somebody in, but for the key, which is ours.
func welcome(b *backend, lent key) []byte {
	messages := []pgproto3.BackendMessage{&pgproto3.AuthenticationOk{}}
	for _, name := range slices.Sorted(maps.Keys(b.params)) {
		messages = append(messages, &pgproto3.ParameterStatus{Name: name, Value: b.params[name]})
	}
	messages = append(messages, &pgproto3.BackendKeyData{ProcessID: lent.pid, SecretKey: lent.bytes()}, &pgproto3.ReadyForQuery{TxStatus: b.tx})
	return encoded(messages...)
}
