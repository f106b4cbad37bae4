package connector

import (
	"context"
	"crypto/rand"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// Closed is the cause of an end by the session's own people.
const Closed = "closed"

// Session is one that a host holds. Everything below is guarded by its connector's lock, but for what
// never changes.
type Session struct {
	// What every cut looks at and every end writes is side by side: there may be very many sessions.
	seen   emergency.Session // what selectors look at
	state  sessionv1.Session_State
	judged bool        // the gate has answered
	mine   bool        // Open has returned it: the host answers for it
	queued bool        // among those to be told of
	said   bool        // a broker has been told of it
	let    bool        // it has been let in
	gone   atomic.Bool // set when it is over; read without the lock
	ending *ending
	hit    []*progress  // the cuts that end it
	first  [1]*progress // room for the one that there mostly is
	stop   func(reason string)
	end    time.Time
	cause  string // of the end

	holding   atomic.Pointer[holding] // while it is suspended; read without the lock
	wanted    bool                    // it is to be suspended
	following bool                    // the host is being told so
	why       string                  // in words, of either

	maybe   []*progress // the cuts that came before the gate's answer
	c       *Connector
	id      string
	request Request
	start   time.Time
}

// ending is why a session must go.
type ending struct {
	cause, reason string
	refusal       *fault.Error
	trace         string // that it was ordered in
}

// ID is the session's name everywhere.
func (s *Session) ID() string { return s.id }

// Open registers a session and asks the gate. It answers the gate's refusal, or that of a cut which
// came meanwhile; then End is not called. The host dials next, and asks Admit before the first byte.
func (c *Connector) Open(ctx context.Context, r Request) (*Session, error) {
	s, err := c.register(r)
	if err != nil {
		return nil, err
	}
	admitted, err := c.deps.Gate(ctx, r)
	if err != nil {
		s.Close()
		return nil, err
	}
	if err := c.judge(s, admitted); err != nil {
		return nil, err
	}
	return s, nil
}

func (c *Connector) register(r Request) (*Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stood || c.closed {
		return nil, fault.New(fault.Unavailable, "No session broker has been heard yet, and what nobody could end must not begin. Try again in a moment")
	}
	s := &Session{c: c, id: rand.Text(), request: r, stop: r.End, start: c.config.Now(), state: sessionv1.Session_OPENING,
		seen: emergency.Session{User: r.User, Device: r.Device, Connector: c.config.ID, Protocol: r.Protocol}}
	s.hit = s.first[:0]
	c.sessions[s.id] = s
	c.live++
	if len(c.inOrder) > 2*c.live+batch {
		c.inOrder = slices.DeleteFunc(c.inOrder, func(s *Session) bool { return s.gone.Load() })
	}
	c.inOrder = append(c.inOrder, s)
	c.tell(s)
	return s, nil
}

// judge takes the gate's answer. The gate may know less than this connector does by now, or more: the
// stamp tells.
func (c *Connector) judge(s *Session, a Admitted) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.judged, s.seen.Admission, s.seen.Groups = true, a.Admission, a.Groups
	if c.oldest != nil && a.Admission.Revision.Less(c.oldest.seen.Admission.Revision) {
		c.oldest = s
	}
	c.settle(s)
	now := c.config.Now()
	for _, cut := range c.cuts {
		if cut.Ends(&s.seen, now) {
			c.mark(s, cut)
		}
	}
	if s.ending != nil {
		c.finish(s, now)
		return s.ending.refusal
	}
	s.mine = true
	c.tell(s)
	return nil
}

// Admit decides again, after the host has dialled and before the first byte passes: by the gate, and
// then under the lock by every cut. On an error the session is over or will be in a moment.
func (s *Session) Admit(ctx context.Context) error {
	if _, err := s.c.deps.Gate(ctx, s.request); err != nil {
		s.Close()
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if err := s.over(); err != nil {
		return err
	}
	s.state, s.let = sessionv1.Session_OPEN, true
	s.c.admitted = s.c.config.Now()
	s.c.tell(s)
	s.follow()
	return nil
}

// Check asks the gate again, for a new channel on a session that is open: none begins while it is
// suspended. The stamp stays as it was.
func (s *Session) Check(ctx context.Context) error {
	if _, err := s.c.deps.Gate(ctx, s.request); err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if err := s.over(); err != nil {
		return err
	}
	return s.suspended()
}

// over answers why the session must not go on, nil if it may. The cuts are looked at by the clock, for
// a timer may be late. Callers hold the lock.
func (s *Session) over() error {
	now := s.c.config.Now()
	for _, cut := range s.c.cuts {
		if s.ending == nil && cut.Ends(&s.seen, now) {
			s.c.mark(s, cut)
			s.c.cutOff([]*Session{s})
		}
	}
	if s.ending != nil {
		return s.ending.refusal
	}
	if s.state == sessionv1.Session_ENDED {
		return fault.New(fault.Aborted, "This session is over. Open another")
	}
	return nil
}

// Close says that the session is over by itself. It is safe to call more than once and after End.
func (s *Session) Close() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.settle(s)
	s.c.finish(s, s.c.config.Now())
}

// EndNow ends the session by the host's own decision, as a cut would: an idle one, for instance.
func (s *Session) EndNow(cause, reason string) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.endOne(s, &ending{cause: cause, reason: reason, refusal: fault.New(fault.Aborted, "%s", reason)})
}

func (c *Connector) endOne(s *Session, e *ending) {
	if s.state == sessionv1.Session_ENDED || s.ending != nil {
		return
	}
	s.ending, s.state = e, sessionv1.Session_ENDING
	c.tell(s)
	if s.mine {
		c.cutOff([]*Session{s})
	}
}

// settle answers what the cuts that came before the gate's answer wanted to know.
func (c *Connector) settle(s *Session) {
	for _, p := range s.maybe {
		p.open--
	}
	s.maybe = nil
}

// finish takes a session off the list of the living. Callers hold the lock.
func (c *Connector) finish(s *Session, now time.Time) {
	if s.state == sessionv1.Session_ENDED {
		return
	}
	s.state, s.end = sessionv1.Session_ENDED, now
	s.gone.Store(true)
	s.shut()
	c.live--
	if c.oldest == s {
		c.oldest = nil
	}
	s.cause = Closed
	if s.ending != nil {
		s.cause = s.ending.cause
	}
	for _, p := range s.hit {
		p.open--
		p.ended++
		c.urgent = c.urgent || p.open == 0
	}
	if !s.said && !s.let { // nobody has heard of it
		delete(c.sessions, s.id)
		c.nudge()
		return
	}
	c.changed = true
	if len(c.sessions)-c.live > maxUnconfirmed { // it is not repeated
		delete(c.sessions, s.id)
	}
	if !c.linked {
		return // the next hello tells of it
	}
	if c.ended = append(c.ended, s); c.urgent || len(c.ended) == 1 {
		c.nudge()
	}
}

// tell puts the session among those to be told of, if anybody is there: a hello tells of all.
func (c *Connector) tell(s *Session) {
	if s.queued || !c.linked {
		return
	}
	s.queued, c.changed = true, true
	c.opened = append(c.opened, s)
	c.nudge()
}

func (s *Session) proto() *sessionv1.Session {
	p := &sessionv1.Session{
		Id: s.id, User: s.request.User, Device: s.request.Device, Protocol: s.request.Protocol, Connector: s.c.config.ID,
		Address: s.request.Address, StartTime: timestamppb.New(s.start), State: s.state, AccessGroups: s.seen.Groups,
		Suspendable: s.request.Suspend != nil,
	}
	if s.judged {
		p.Revision, p.Admission = s.seen.Admission.Revision.String(), s.seen.Admission.Proto()
	}
	return p
}
