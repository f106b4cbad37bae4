package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/who"
)

const (
	causeEnded = "ended" // by an administrator, or because of its user or device
	causeLost  = "lost"  // with its connector's process
	// maxSessions bounds what one connector may hold, and say hello with.
	maxSessions = 1_000_000
)

var errSuperseded = errors.New("the connector has attached again")

// Attach speaks with one connector for as long as it stays.
func (b *Broker) Attach(stream sessionv1.Connectors_AttachServer) error {
	if b.deps.View.State() == nil {
		return fault.New(fault.Unavailable, "The broker is starting. Attach again in a moment")
	}
	hello, err := readHello(stream)
	if err != nil {
		return err
	}
	if err := mayAttach(stream.Context(), hello.GetConnector()); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(stream.Context())
	defer stop(nil)
	l, lost := b.take(hello, stop)
	b.deps.Log.Info("a connector attached", "connector", l.h.id, "generation", l.generation, "sessions", len(hello.GetSessions()), "lost", lost)
	go b.reconcile(ctx, l)
	go func() { stop(b.listen(l, stream)) }()
	err = b.speak(ctx, l, stream)
	l.leave()
	b.deps.Log.Info("a connector detached", "connector", l.h.id, "generation", l.generation, "why", err)
	return fault.New(fault.Unavailable, "This attachment is over. Attach again").Because(err)
}

// readHello joins the parts of a hello.
func readHello(stream sessionv1.Connectors_AttachServer) (*sessionv1.Hello, error) {
	var all *sessionv1.Hello
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil, fmt.Errorf("reading a hello: %w", err)
		}
		part := m.GetHello()
		if part == nil || all != nil && part.GetConnector() != all.GetConnector() {
			return nil, fault.New(fault.InvalidArgument, "An attachment begins with a hello of one connector")
		}
		if all == nil {
			all = part
		} else {
			all.Sessions, all.Ended = append(all.Sessions, part.GetSessions()...), append(all.Ended, part.GetEnded()...)
		}
		if len(all.Sessions)+len(all.Ended) > maxSessions {
			return nil, fault.New(fault.ResourceExhausted, "A connector may hold %d sessions. Use several", maxSessions)
		}
		if !part.GetMore() {
			return all, nil
		}
	}
}

// ownHosts begins the names of our own session hosts, which no token can take the place of.
const ownHosts = "bastion-"

// mayAttach lets our own hosts be who they say, and those with a token be who the token names.
func mayAttach(ctx context.Context, id string) error {
	if !sessionID.MatchString(id) {
		return fault.New(fault.InvalidArgument, "A connector's id has 1 to 64 letters, digits and dashes").With("field", "connector")
	}
	caller := who.FromContext(ctx)
	if caller.Token != "" && strings.HasPrefix(id, ownHosts) {
		return fault.New(fault.PermissionDenied, "Connectors named %s… are the bastions. Name the token otherwise", ownHosts)
	}
	if caller.Token != "" && caller.TokenName != id {
		return fault.New(fault.PermissionDenied, "This token is for the connector %q. Make a token of that name for each connector", caller.TokenName)
	}
	return nil
}

// take puts a new attachment in the place of what was known of the connector. Sessions of an older
// process that the new one doesn't have are lost with it.
func (b *Broker) take(hello *sessionv1.Hello, stop context.CancelCauseFunc) (l *link, lost int) {
	h := b.host(hello.GetConnector())
	now := b.config.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.link != nil {
		h.link.stop(errSuperseded)
	}
	before, newBoot := h.sessions, h.boot != hello.GetBootId()
	h.generation = max(h.generation+1, hello.GetGeneration()+1, h.elsewhere.GetGeneration()+1, uint64(now.UnixMilli()))
	h.left, h.elsewhere = false, nil
	h.boot, h.protocols, h.heard = hello.GetBootId(), hello.GetProtocols(), now
	h.beat = &sessionv1.Heartbeat{HeldRevision: hello.GetHeldRevision(), OpenSessions: uint32(len(hello.GetSessions())), Cuts: hello.GetCuts(),
		HeldTime: hello.GetHeldTime(), LastAllowedTime: hello.GetLastAllowedTime()}
	h.sessions = make(map[string]*sessionv1.Session, len(hello.GetSessions()))
	l = &link{h: h, generation: h.generation, stop: stop, wake: make(chan struct{}, 1), dirty: true}
	h.link = l
	for _, s := range hello.GetSessions() {
		h.own(s)
		h.sessions[s.GetId()] = s
		b.opened(h, s, before[s.GetId()])
	}
	b.ended(h, inFull(hello.GetEnded()), before)
	for id, s := range before {
		if _, closing := h.closing[id]; closing || h.sessions[id] != nil {
			continue
		}
		delete(h.ending, id)
		delete(h.suspending, id)
		if newBoot {
			lost++
			b.record.add(entry{h: h, session: s, id: id, cause: causeLost, time: now})
		}
		b.index.drop(h, id)
	}
	return l, lost
}

// own stamps a session with who holds it.
func (h *host) own(s *sessionv1.Session) {
	s.Connector, s.BootId, s.Generation = h.id, h.boot, h.generation
}

// reconcile takes the connector's rows that others have left in the index: what the connector doesn't
// have any more is forgotten, and is lost if an older process had it.
func (b *Broker) reconcile(ctx context.Context, l *link) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	rows, err := connectorRows(ctx, b.deps.Index, l.h.id)
	if err != nil {
		b.deps.Log.WarnContext(ctx, "what the index holds of a connector could not be read", "connector", l.h.id, "error", err)
		return
	}
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if l.h.link != l {
		return
	}
	for _, row := range rows {
		id := row.Session.GetId()
		_, closing := l.h.closing[id]
		if l.h.sessions[id] != nil || closing || row.Session.GetGeneration() >= l.generation {
			continue
		}
		if row.Session.GetBootId() != l.h.boot {
			b.record.add(entry{h: l.h, session: row.Session, id: id, cause: causeLost, time: b.config.Now()})
		}
		b.index.drop(l.h, id)
	}
}

func (l *link) leave() {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if l.h.link == l {
		l.h.link = nil
	}
}

// listen hears a connector out. What comes on an attachment that another has replaced is ignored.
func (b *Broker) listen(l *link, stream sessionv1.Connectors_AttachServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("listening to connector %s: %w", l.h.id, err)
		}
		if err := b.hear(stream.Context(), l, m); err != nil {
			return err
		}
	}
}

func (b *Broker) hear(ctx context.Context, l *link, m *sessionv1.ConnectorMessage) error {
	h := l.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.link != l {
		return errSuperseded
	}
	h.heard = b.config.Now()
	switch m := m.GetMessage().(type) {
	case *sessionv1.ConnectorMessage_Opened:
		if len(h.sessions)+len(m.Opened.GetSessions()) > maxSessions {
			return fault.New(fault.ResourceExhausted, "A connector may hold %d sessions. Use several", maxSessions)
		}
		b.hearOpened(l, m.Opened.GetSessions())
	case *sessionv1.ConnectorMessage_Ended:
		all := append(inFull(m.Ended.GetSessions()), inShort(m.Ended)...)
		b.traceEnded(h, m.Ended, all, b.ended(h, all, nil))
	case *sessionv1.ConnectorMessage_Heartbeat:
		h.beat, l.acked = m.Heartbeat, m.Heartbeat.GetStanding()
		if h.left = m.Heartbeat.GetLeaving() && m.Heartbeat.GetOpenSessions() == 0; h.left {
			b.crowd.Leave(ctx, h.id, nil)
			break
		}
		b.publish(ctx, h, false)
	case *sessionv1.ConnectorMessage_Hello:
		return fault.New(fault.InvalidArgument, "A hello comes once")
	}
	return nil
}

// hearOpened takes sessions as they are now. Callers hold the host's lock.
func (b *Broker) hearOpened(l *link, sessions []*sessionv1.Session) {
	h := l.h
	l.opened++
	for _, s := range sessions {
		if _, closing := h.closing[s.GetId()]; closing {
			continue
		}
		before := h.sessions[s.GetId()]
		if s.GetState() == sessionv1.Session_ENDED { // it came and went quickly; its end follows
			if before != nil {
				continue
			}
			s.State = sessionv1.Session_ENDING
		}
		h.own(s)
		h.sessions[s.GetId()] = s
		b.opened(h, s, before)
	}
	for _, cut := range l.sent.GetCuts() { // whose devices and administrators are named in it
		l.dirty = l.dirty || len(cut.GetSelector().GetAccessGroups()) > 0
	}
	if l.dirty {
		l.nudge()
	}
}

// opened indexes a session, records that it is open the first time that it is, and looks whether it may
// stay. Callers hold the host's lock.
func (b *Broker) opened(h *host, s, before *sessionv1.Session) {
	b.index.put(h, s)
	if letIn(s) && !letIn(before) {
		b.record.add(entry{h: h, session: s, id: s.GetId()})
	}
	if order := b.orders.get(s.GetId()); order != nil {
		b.end(h, s)
	}
	b.suspend(h, s)
	if state := b.deps.View.State(); state != nil {
		b.judgeOne(h, s, state.Emergency)
	}
}

func letIn(s *sessionv1.Session) bool {
	return s.GetState() == sessionv1.Session_OPEN || s.GetState() == sessionv1.Session_SUSPENDED
}

// over is one session that a connector says is over.
type over struct {
	id, cause string
	time      time.Time
	session   *sessionv1.Session // if no broker was told of it before
}

func inFull(sessions []*sessionv1.EndedSession) []over {
	all := make([]over, len(sessions))
	for i, e := range sessions {
		all[i] = over{id: e.GetId(), cause: e.GetCause(), time: e.GetTime().AsTime(), session: e.GetSession()}
	}
	return all
}

func inShort(e *sessionv1.Ended) []over {
	all, at := make([]over, len(e.GetIds())), e.GetTime().AsTime()
	for i, id := range e.GetIds() {
		all[i] = over{id: id, cause: e.GetCause(), time: at}
	}
	return all
}

// ended takes sessions off, and confirms them when they are on record. It answers how many were not heard to be over before. Callers
// hold the host's lock.
func (b *Broker) ended(h *host, all []over, before map[string]*sessionv1.Session) (anew int) {
	entries, ids := make([]entry, 0, len(all)), make([]string, 0, len(all))
	if len(h.closing) == 0 {
		h.closing = make(map[string]struct{}, len(h.sessions)) // often it is all of them
	}
	for _, o := range all {
		if _, again := h.closing[o.id]; again {
			continue
		}
		h.closing[o.id] = struct{}{}
		entries = append(entries, entry{h: h, session: h.lastKnown(o, before), id: o.id, cause: o.cause, time: o.time, confirm: true})
		ids = append(ids, o.id)
		if h.sessions[o.id] != nil { // what is wanted of another connector's session is not this one's to end
			b.suspensions.drop(o.id)
		}
		delete(h.sessions, o.id)
		delete(h.ending, o.id)
		delete(h.suspending, o.id)
		delete(h.doubtful, o.id)
	}
	b.record.add(entries...)
	b.index.drop(h, ids...)
	return len(ids)
}

// lastKnown is a session that is over as it was last told of; nil if it never was. Callers hold the lock.
func (h *host) lastKnown(o over, before map[string]*sessionv1.Session) *sessionv1.Session {
	if s := cmp.Or(h.sessions[o.id], before[o.id]); s != nil || o.session == nil {
		return s
	}
	h.own(o.session)
	o.session.State = sessionv1.Session_ENDING // for the record of its end is still to be written
	return o.session
}

// record is the session as it is put on record when it is over.
func (e *entry) ended() *sessionv1.Session {
	s := proto.CloneOf(e.session)
	s.State, s.EndCause, s.EndTime = sessionv1.Session_ENDED, e.cause, timestamppb.New(e.time)
	return s
}
