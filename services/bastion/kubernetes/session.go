package kubernetes

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/pkg/connector"
	"portcullis.dev/pkg/fault"
)

// session is one request that lasts. It has a connection to the API server to itself.
type session struct {
	question question
	person   net.Conn
	target   *target
	live     *connector.Session
	giveUp   context.CancelFunc // of what is still being tried
	stopped  atomic.Bool        // not a byte passes any more, in either direction
	done     chan struct{}      // closed when the request has been carried

	mu     sync.Mutex
	device net.Conn // nil before it is let in
	over   bool
	reason string
}

// carrySession registers a session, asks the gate, dials the API server, and has itself decided on again before the first
// byte of the request is sent there.
func (p *Proxy) carrySession(w http.ResponseWriter, r *http.Request, q question) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &session{question: q, person: connOf(r.Context()), giveUp: cancel, done: make(chan struct{})}
	live, err := p.deps.Open(ctx, connector.Request{User: q.user, Device: q.device, Protocol: Protocol, Address: q.address, End: s.end})
	if err != nil {
		p.refuse(w, r, q, err)
		return
	}
	defer live.Close()
	defer close(s.done)
	defer p.keep(s)()
	s.live = live
	verdict, err := p.check(ctx, q)
	if err == nil {
		s.target, err = p.targets.get(ctx, q.device)
	}
	if err != nil {
		p.refuse(w, r, q, s.because(err))
		return
	}
	p.deps.Log.InfoContext(ctx, "a session with a cluster begins", "session", live.ID(), "user", q.user, "device", q.device, "method", q.method, "path", q.path)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	own := s.target.transport(s.dial)
	own.DisableKeepAlives = true
	defer own.CloseIdleConnections()
	(&passage{proxy: p, question: q, target: s.target, groups: verdict.GetUserGroups(), transport: own, live: s, over: s.why}).serve(w, r.WithContext(ctx))
}

// dial connects to the API server; only if the session may go on then, the request is sent there.
func (s *session) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := s.target.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if err := s.live.Admit(ctx); err != nil {
		hangUp(conn)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		hangUp(conn)
		return nil, fault.New(fault.Aborted, "%s", s.reason)
	}
	s.device = conn
	return conn, nil
}

// end is called when an emergency ends the session. Both directions stop first; then whoever is there gets to read why, for a
// moment; then everything closes, whatever the peer does.
func (s *session) end(reason string) {
	s.mu.Lock()
	s.over, s.reason = true, reason
	s.stopped.Store(true)
	device := s.device
	s.mu.Unlock()
	_ = s.person.SetWriteDeadline(time.Now().Add(farewell))
	if device == nil { // nothing has passed; who opens it finds out, and says so
		s.giveUp()
		return
	}
	hangUp(device)
	select {
	case <-s.done:
	case <-time.After(farewell):
	}
	hangUp(s.person)
}

// why answers why it is over; nil if it is not.
func (s *session) why() error { return s.because(nil) }

// because answers why it went wrong: if the session was ended meanwhile, that alone.
func (s *session) because(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return fault.New(fault.Aborted, "%s", s.reason)
	}
	return err
}

// lastWords are the reason why it is over, once it is.
func (s *session) lastWords() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}
