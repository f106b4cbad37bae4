package connector

import (
	"io"

	"portcullis.dev/pkg/fault"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// holding is what keeps back what a person sends.
type holding struct {
	done chan struct{}
	over bool // the session is; set before done is closed
}

// Input reads what a person sends, and answers none of it while the session is suspended, nor the end of
// it: what was read meanwhile is answered when the session goes on. It fails when the session is over.
func (s *Session) Input(from io.Reader) io.Reader { return input{s, from} }

type input struct {
	s    *Session
	from io.Reader
}

func (i input) Read(p []byte) (int, error) {
	n, err := i.from.Read(p)
	if over := i.s.Pass(); over != nil {
		return 0, over
	}
	return n, err
}

// Pass returns nil when what the person has sent may go on: at once, or when the session does. It returns
// an error when the session is over. It is for hosts that carry messages; Input is for bytes.
func (s *Session) Pass() error {
	for h := s.holding.Load(); h != nil; h = s.holding.Load() {
		<-h.done
		if h.over {
			return io.ErrClosedPipe
		}
	}
	return nil
}

// letGo lets what was held pass.
func (s *Session) letGo() {
	if h := s.holding.Swap(nil); h != nil {
		close(h.done)
	}
}

// shut has what was held fail, and what comes after. The session is ending, so that nothing is held anew.
func (s *Session) shut() {
	if h := s.holding.Swap(s.c.over); h != nil && h != s.c.over {
		h.over = true
		close(h.done)
	}
}

// suspendNamed holds sessions, or lets them go on, as an administrator wants.
func (c *Connector) suspendNamed(m *sessionv1.Suspend) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range m.GetIds() {
		if s := c.sessions[id]; s != nil {
			s.want(m.GetHeld(), m.GetReason())
		}
	}
}

// want holds what the person sends from now on, or lets it pass, and has the host told. Callers hold the lock.
func (s *Session) want(held bool, why string) {
	if s.request.Suspend == nil || s.wanted == held || s.ending != nil || s.gone.Load() {
		return
	}
	s.wanted, s.why = held, why
	if held {
		s.holding.Store(&holding{done: make(chan struct{})})
	} else {
		s.letGo()
	}
	s.follow()
}

// follow tells the host, one thing after the other, until its session is as it is wanted; before the first
// byte there is nobody to tell. Callers hold the lock.
func (s *Session) follow() {
	if s.let && !s.following {
		s.following = true
		go func() {
			for s.step() {
			}
		}()
	}
}

func (s *Session) step() bool {
	s.c.mu.Lock()
	held, why := s.wanted, s.why
	s.following = s.ending == nil && !s.gone.Load() && held != (s.state == sessionv1.Session_SUSPENDED)
	if !s.following {
		s.c.mu.Unlock()
		return false
	}
	s.c.mu.Unlock()
	s.request.Suspend(held, why)
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.ending == nil && !s.gone.Load() {
		s.state = sessionv1.Session_OPEN
		if held {
			s.state = sessionv1.Session_SUSPENDED
		}
		s.c.tell(s)
	}
	return true
}

// suspended answers why nothing new may begin on a session that is held. Callers hold the lock.
func (s *Session) suspended() error {
	if !s.wanted {
		return nil
	}
	return fault.New(fault.Aborted, "%s", s.why)
}
