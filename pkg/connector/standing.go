package connector

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// cut is one that is held, as the broker last said it.
type cut struct {
	emergency.Cut
	wire     *emergencyv1.Cut
	progress *progress
	ending   *ending // why, in words; the same for all
	timer    *time.Timer
	bitten   bool
}

// progress is how far a cut is here, over the connector's life. It outlives the cut.
type progress struct{ open, ended uint32 }

const recentCuts = 64 // whose progress is told

// stand takes the broker's desired state, whole. An older one than is held is ignored: it knows less.
func (c *Connector) stand(st *sessionv1.Standing) error {
	revision, err := emergency.ParseRevision(st.GetRevision())
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation, c.version, c.changed = max(c.generation, st.GetGeneration()), st.GetVersion(), true
	defer c.nudge()
	if revision.Less(c.held) {
		return nil
	}
	next, err := c.compile(st.GetCuts())
	if err != nil {
		return err
	}
	for _, old := range c.cuts {
		old.disarm()
	}
	if c.stood && c.held.Less(revision) {
		c.heldAt, c.before = c.config.Now(), c.admitted
	}
	c.cuts, c.held, c.stood = next, revision, true
	// What ends sessions is acknowledged when the last of them is over, or as soon as it takes a while.
	c.urgent = !c.biteAll() || c.urgent
	return nil
}

// compile keeps what was said before in the same words, so that nothing is looked at twice.
func (c *Connector) compile(wire []*emergencyv1.Cut) ([]*cut, error) {
	before := make(map[string]*cut, len(c.cuts))
	for _, cut := range c.cuts {
		before[cut.Emergency] = cut
	}
	next := make([]*cut, len(wire))
	for i, w := range slices.Backward(wire) { // so that progress is told of the newest
		if old := before[w.GetEmergency()]; old != nil && proto.Equal(old.wire, w) {
			next[i] = old
			continue
		}
		compiled, err := emergency.CutFrom(w)
		if err != nil {
			return nil, err
		}
		next[i] = &cut{Cut: compiled, wire: w, progress: c.progressOf(w.GetEmergency())}
	}
	return next, nil
}

func (c *Connector) progressOf(id string) *progress {
	if p := c.progress[id]; p != nil {
		return p
	}
	p := &progress{}
	c.progress[id] = p
	if c.recent = append(c.recent, id); len(c.recent) > recentCuts {
		delete(c.progress, c.recent[0])
		c.recent = c.recent[1:]
	}
	return p
}

func (c *Connector) biteDue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.biteAll()
}

// biteAll applies each cut that has started and was not applied yet, and arms a timer for the others. It
// reports whether any session ends by it. Callers hold the lock.
func (c *Connector) biteAll() bool {
	now := c.config.Now()
	var over []*Session
	for _, cut := range c.cuts {
		switch {
		case cut.bitten:
		case cut.Begun || !now.Before(cut.Start):
			cut.bitten = true
			over = append(over, c.bite(cut, now)...)
		case cut.timer == nil:
			cut.timer = time.AfterFunc(cut.Start.Sub(now), c.biteOnTime(cut))
		}
	}
	c.cutOff(over)
	return len(over) > 0
}

func (c *Connector) biteOnTime(cut *cut) func() {
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		cut.timer = nil
		c.biteAll()
	}
}

func (cut *cut) disarm() {
	if cut.timer != nil {
		cut.timer.Stop()
		cut.timer = nil
	}
}

// bite answers the sessions that must end and were not ending yet.
func (c *Connector) bite(cut *cut, now time.Time) []*Session {
	c.changed = true
	defer c.nudge()
	var over []*Session
	for _, s := range c.inOrder {
		switch {
		case s.state == sessionv1.Session_ENDED:
		case !s.judged && cut.Selects(&s.seen) && !slices.Contains(s.maybe, cut.progress):
			s.maybe = append(s.maybe, cut.progress)
			cut.progress.open++
		case s.judged && cut.Ends(&s.seen, now) && c.mark(s, cut):
			over = append(over, s)
		}
	}
	return over
}

// mark notes that the cut ends the session, and reports whether nothing did before.
func (c *Connector) mark(s *Session, cut *cut) bool {
	if slices.Contains(s.hit, cut.progress) {
		return false
	}
	s.hit = append(s.hit, cut.progress)
	cut.progress.open++
	if s.ending != nil {
		return false
	}
	if cut.ending == nil {
		cut.ending = c.endingBy(cut)
	}
	s.ending = cut.ending
	s.state = sessionv1.Session_ENDING
	return true
}

func (c *Connector) endingBy(cut *cut) *ending {
	refusal := fault.CutOff(c.config.Texts, &cut.Cut, c.config.Now())
	return &ending{cause: cut.Emergency, reason: refusal.Message, refusal: refusal, trace: cut.wire.GetTraceparent()}
}

// endNamed ends the sessions that an administrator, or the loss of their user or device, ends.
func (c *Connector) endNamed(end *sessionv1.End) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range end.GetIds() {
		if s := c.sessions[id]; s != nil { // one that is over is passed over
			reason := end.GetReason()
			c.endOne(s, &ending{cause: end.GetCause(), reason: reason, refusal: fault.New(fault.Aborted, "%s", reason), trace: end.GetTraceparent()})
		}
	}
}
