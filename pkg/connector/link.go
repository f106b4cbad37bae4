package connector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

const (
	batch          = 128  // ids in a message
	helloPart      = 1000 // sessions in a part of a hello
	maxUnconfirmed = 1 << 17
	// countsFirst is how long ids of ended sessions wait, so that the counts, which are small, go first.
	countsFirst = 10 * time.Millisecond
	repeatAfter = 2 * time.Second
	silence     = 3 * time.Second
	minBackoff  = 50 * time.Millisecond
	maxBackoff  = time.Second
)

var errSilent = errors.New("the broker has not been heard for a while")

// stayAttached attaches again and again. The wait grows to a second and no further.
func (c *Connector) stayAttached(ctx context.Context) {
	wait := minBackoff
	for ctx.Err() == nil {
		heard, err := c.attach(ctx)
		if heard {
			wait = minBackoff
		}
		if ctx.Err() == nil {
			c.deps.Log.Warn("detached from the broker", "connector", c.config.ID, "error", err, "again", wait)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)): // #nosec G404 -- spreads attempts, hides nothing
		}
		wait = min(2*wait, maxBackoff)
	}
}

// attach lives as long as one stream, and reports whether the broker was heard on it.
func (c *Connector) attach(run context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(run)) // who ends says so on it
	defer cancel(nil)
	unheard := context.AfterFunc(run, func() { cancel(nil) })
	defer unheard()
	deaf := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer deaf.Stop()
	stream, err := c.deps.Broker.Attach(ctx)
	if err != nil {
		return false, fmt.Errorf("attaching: %w", err)
	}
	defer c.unlink()
	for _, hello := range c.hello() {
		if err := stream.Send(&sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Hello{Hello: hello}}); err != nil {
			return false, fmt.Errorf("saying hello: %w", err)
		}
	}
	unheard()
	done := make(chan struct{})
	go func() {
		defer close(done)
		cancel(c.listen(stream, deaf, &heard))
	}()
	if err = c.speak(ctx, run, stream); run.Err() != nil {
		c.leave(stream, done)
	}
	cancel(err)
	<-done
	return heard, context.Cause(ctx)
}

// goodbye is how long a broker has to take in that a connector ends.
const goodbye = 300 * time.Millisecond

// leave says that the connector ends, so that nobody misses it; not while sessions are open, which somebody must look for.
func (c *Connector) leave(stream sessionv1.Connectors_AttachClient, heard <-chan struct{}) {
	c.mu.Lock()
	last := c.heartbeat(true)
	c.mu.Unlock()
	if last.Leaving = last.GetOpenSessions() == 0; !last.GetLeaving() {
		return
	}
	m := &sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Heartbeat{Heartbeat: last}}
	if stream.Send(m) != nil || stream.CloseSend() != nil {
		return
	}
	select {
	case <-heard:
	case <-time.After(goodbye):
	}
}

// heartbeat is how it is. Callers hold the lock.
func (c *Connector) heartbeat(anew bool) *sessionv1.Heartbeat {
	h := &sessionv1.Heartbeat{
		HeldRevision: c.held.String(), OpenSessions: uint32(c.live), OldestAdmission: c.oldestAdmission(anew),
		Cuts: c.cutProgress(), Standing: c.version, Time: timestamppb.New(c.config.Now()),
	}
	h.HeldTime, h.LastAllowedTime = c.times()
	return h
}

// times are when it took hold of the newest standing, and let somebody in last before; nil where there is none. Callers hold the lock.
func (c *Connector) times() (held, allowed *timestamppb.Timestamp) {
	if !c.heldAt.IsZero() {
		held = timestamppb.New(c.heldAt)
	}
	if !c.before.IsZero() {
		allowed = timestamppb.New(c.before)
	}
	return held, allowed
}

// unlink forgets what was to be told: the next hello tells all.
func (c *Connector) unlink() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.opened {
		s.queued = false
	}
	c.opened, c.ended, c.linked = nil, nil, false
}

func (c *Connector) listen(stream sessionv1.Connectors_AttachClient, deaf *time.Timer, heard *bool) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		deaf.Reset(silence)
		*heard = true
		switch m := m.GetMessage().(type) {
		case *sessionv1.BrokerMessage_Standing:
			if err := c.stand(m.Standing); err != nil {
				return fmt.Errorf("reading a standing: %w", err)
			}
		case *sessionv1.BrokerMessage_End:
			c.endNamed(m.End)
		case *sessionv1.BrokerMessage_Suspend:
			c.suspendNamed(m.Suspend)
		case *sessionv1.BrokerMessage_Confirm:
			c.confirm(m.Confirm.GetIds())
		}
	}
}

// speak sends what has changed, and a heartbeat at each tick, until the connector ends or the stream does.
func (c *Connector) speak(ctx, run context.Context, stream sessionv1.Connectors_AttachClient) error {
	tick := time.NewTicker(c.config.Heartbeat)
	defer tick.Stop()
	ids := time.NewTimer(0)
	defer ids.Stop()
	armed := true
	for {
		beat, flush := false, false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-run.Done():
			return context.Cause(run)
		case <-c.wake:
		case <-tick.C:
			beat = true
			c.repeat()
		case <-ids.C:
			flush, armed = true, false
		}
		messages, waiting := c.outbox(beat, flush)
		for _, m := range messages {
			if err := stream.Send(m); err != nil {
				return fmt.Errorf("speaking: %w", err)
			}
		}
		if waiting && !armed {
			ids.Reset(countsFirst)
			armed = true
		}
	}
}

// outbox takes what is to be said: openings, then counts, then the ids of what has ended. It reports
// whether ids wait.
func (c *Connector) outbox(beat, flush bool) (out []*sessionv1.ConnectorMessage, waiting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for part := range slices.Chunk(c.newlyOpened(), batch) {
		out = append(out, &sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Opened{Opened: &sessionv1.Opened{Sessions: part}}})
	}
	if beat || c.urgent || flush && c.changed {
		c.changed, c.urgent = false, false
		out = append(out, &sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Heartbeat{Heartbeat: c.heartbeat(beat)}})
	}
	if !flush {
		return out, c.changed || len(c.ended) > 0
	}
	for len(c.ended) > 0 {
		var ended *sessionv1.Ended
		ended, c.ended = tellEnded(c.ended)
		out = append(out, &sessionv1.ConnectorMessage{Message: &sessionv1.ConnectorMessage_Ended{Ended: ended}})
	}
	c.ended = nil
	return out, false
}

func (s *Session) ended() *sessionv1.EndedSession {
	e := &sessionv1.EndedSession{Id: s.id, Cause: s.cause, Time: timestamppb.New(s.end)}
	if !s.said {
		e.Session = s.proto()
	}
	return e
}

// trace is the one in which its end was ordered.
func (s *Session) trace() string {
	if s.ending == nil {
		return ""
	}
	return s.ending.trace
}

// tellEnded tells of the first that have one cause and trace, as many as go into a message, and answers the rest.
func tellEnded(all []*Session) (*sessionv1.Ended, []*Session) {
	e := &sessionv1.Ended{Cause: all[0].cause, Traceparent: all[0].trace(), Ids: make([]string, 0, min(batch, len(all)))}
	n := 0
	for ; n < min(batch, len(all)) && all[n].cause == e.Cause && all[n].trace() == e.Traceparent; n++ {
		if !all[n].said {
			e.Sessions = append(e.Sessions, all[n].ended())
			continue
		}
		e.Ids = append(e.Ids, all[n].id)
	}
	e.Time = timestamppb.New(all[n-1].end)
	return e, all[n:]
}

// newlyOpened takes the sessions to be told of, as they are now. Of one that came and went without being
// let in nobody hears.
func (c *Connector) newlyOpened() []*sessionv1.Session {
	var told []*sessionv1.Session
	for _, s := range c.opened {
		s.queued = false
		if s.said || s.let || s.state != sessionv1.Session_ENDED {
			s.said = true
			told = append(told, s.proto())
		}
	}
	c.opened = nil
	return told
}

func (c *Connector) cutProgress() []*emergencyv1.CutProgress {
	all := make([]*emergencyv1.CutProgress, len(c.recent))
	for i, id := range c.recent {
		p := c.progress[id]
		all[i] = &emergencyv1.CutProgress{Emergency: id, Open: p.open, Ended: p.ended}
	}
	return all
}

// oldestAdmission is the lowest revision that a live session was admitted under. It is looked for at most
// once a heartbeat, when the session that it was of is over.
func (c *Connector) oldestAdmission(search bool) string {
	if c.oldest == nil && search && c.live > 0 {
		for _, s := range c.inOrder {
			if s.judged && !s.gone.Load() && (c.oldest == nil || s.seen.Admission.Revision.Less(c.oldest.seen.Admission.Revision)) {
				c.oldest = s
			}
		}
	}
	if c.oldest == nil {
		return ""
	}
	return c.oldest.seen.Admission.Revision.String()
}

// hello is the whole state, in parts. What waited to be said is in it.
func (c *Connector) hello() []*sessionv1.Hello {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened, c.ended, c.changed, c.linked = nil, nil, false, true
	first := &sessionv1.Hello{
		Connector: c.config.ID, BootId: c.boot, Protocols: c.config.Protocols, HeldRevision: c.held.String(),
		Cuts: c.cutProgress(), Generation: c.generation,
	}
	first.HeldTime, first.LastAllowedTime = c.times()
	parts := []*sessionv1.Hello{first}
	for part := range slices.Chunk(slices.Collect(maps.Values(c.sessions)), helloPart) {
		last := parts[len(parts)-1]
		last.More = true
		for _, s := range part {
			if s.gone.Load() {
				last.Ended = append(last.Ended, s.ended())
				continue
			}
			s.said = true
			last.Sessions = append(last.Sessions, s.proto())
		}
		parts = append(parts, &sessionv1.Hello{Connector: first.Connector, BootId: first.BootId})
	}
	return parts
}

func (c *Connector) confirm(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if s := c.sessions[id]; s != nil && s.gone.Load() {
			delete(c.sessions, id)
		}
	}
}

// repeat puts what ended a while ago and was not confirmed among what is to be said.
func (c *Connector) repeat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sessions) == c.live || len(c.ended) > 0 {
		return
	}
	before := c.config.Now().Add(-repeatAfter)
	for _, s := range c.sessions {
		if s.gone.Load() && s.end.Before(before) {
			c.ended = append(c.ended, s)
		}
	}
}
