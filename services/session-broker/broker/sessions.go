package broker

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/telemetry"
	"portcullis.dev/services/internal/who"
	"portcullis.dev/services/session-broker/registry"
)

const (
	usualPage = 50
	scanPart  = 1000
	// patience is how long EndSession waits for the connector's word.
	patience  = 3 * time.Second
	lookAgain = 25 * time.Millisecond
)

// GetSession answers one session: a live one, or one that is on record.
func (b *Broker) GetSession(ctx context.Context, r *sessionv1.GetSessionRequest) (*sessionv1.Session, error) {
	_ = b.index.flush(ctx) // as below
	row, found, err := b.deps.Index.Get(ctx, r.GetId())
	if err == nil && found {
		return b.shown(row, b.recent(), b.config.Now()), nil
	}
	if s := b.liveHere(r.GetId()); s != nil {
		return s, nil
	}
	return b.onRecord(ctx, r.GetId())
}

func (b *Broker) liveHere(id string) *sessionv1.Session {
	for _, h := range b.all() {
		h.mu.Lock()
		s := h.sessions[id]
		h.mu.Unlock()
		if s != nil {
			return b.shown(registry.Row{Session: s, Deadline: b.config.Now()}, b.recent(), b.config.Now())
		}
	}
	return nil
}

func (b *Broker) onRecord(ctx context.Context, id string) (*sessionv1.Session, error) {
	unknown := fault.New(fault.NotFound, "There is no session %q. List the sessions that there are", id)
	if id == "" || strings.ContainsAny(id, ".*> \t\r\n") {
		return nil, unknown
	}
	records := b.records.Load()
	if records == nil {
		return nil, fault.New(fault.JournalUnavailable, "The record of sessions can't be read yet. Try again in a moment")
	}
	entry, err := (*records).Last(ctx, subjectRecord+id)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, unknown
	}
	if err != nil {
		return nil, fault.New(fault.JournalUnavailable, "The record of sessions can't be read now. Try again in a moment").Because(err)
	}
	record := new(sessionv1.SessionRecord)
	if err := proto.Unmarshal(entry.Data, record); err != nil {
		return nil, fault.From(err)
	}
	s := record.GetSession()
	if s.GetState() != sessionv1.Session_ENDED { // on record as open, and in no list: whether it is over is not known
		s.State = sessionv1.Session_UNREACHABLE
	}
	return s, nil
}

// shown is a session as people see it: with a connector that is silent it is unreachable, never ended.
func (b *Broker) shown(row registry.Row, recent cuts, now time.Time) *sessionv1.Session {
	s := proto.CloneOf(row.Session)
	h := b.known(s.GetConnector())
	if h == nil && now.After(row.Deadline) || h != nil && !h.reachable(now) {
		s.State = sessionv1.Session_UNREACHABLE
		return s
	}
	if h != nil && h.isEnding(s.GetId()) || b.orders.get(s.GetId()) != nil || recent.end(s, now) {
		s.State = sessionv1.Session_ENDING
	}
	return s
}

func (h *host) isEnding(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ending[id] != nil
}

// ListSessions answers the live sessions, by connector.
func (b *Broker) ListSessions(ctx context.Context, r *sessionv1.ListSessionsRequest) (*sessionv1.ListSessionsResponse, error) {
	match, err := parseFilter(r.GetFilter())
	if err != nil {
		return nil, err
	}
	token, err := base64.RawURLEncoding.DecodeString(r.GetPageToken())
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "This page_token is not from a list of sessions. Begin without one").With("field", "pageToken")
	}
	_ = b.index.flush(ctx) // whoever has seen a session end must not find it open; what fails is written later
	after, size := string(token), cmp.Or(int(r.GetPageSize()), usualPage)
	if connector := match["connector"]; connector != "" && after == "" {
		after = registry.Key(connector, "")
	}
	page, next, err := b.page(ctx, match, after, size)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "The list of sessions can't be read now. Sessions end all the same; try again in a moment").Because(err)
	}
	answer := &sessionv1.ListSessionsResponse{Sessions: page, IncompleteConnectors: b.incomplete(ctx)}
	if next != "" {
		answer.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(next))
	}
	return answer, nil
}

func (b *Broker) page(ctx context.Context, match filter, after string, size int) (page []*sessionv1.Session, next string, err error) {
	recent, now := b.recent(), b.config.Now()
	for {
		rows, err := b.deps.Index.Range(ctx, after, scanPart)
		if err != nil {
			return nil, "", err
		}
		for _, row := range rows {
			if c := match["connector"]; c != "" && row.Session.GetConnector() != c {
				return page, "", nil
			}
			if !match.takes(row.Session) {
				continue
			}
			if len(page) == size {
				return page, next, nil
			}
			page, next = append(page, b.shown(row, recent, now)), row.Key()
		}
		if len(rows) < scanPart {
			return page, "", nil
		}
		after = rows[len(rows)-1].Key()
	}
}

// filter is what a session's fields must be.
type filter map[string]string

func parseFilter(text string) (filter, error) {
	f := filter{}
	if strings.TrimSpace(text) == "" {
		return f, nil
	}
	for term := range strings.SplitSeq(text, " AND ") {
		name, value, ok := strings.Cut(strings.TrimSpace(term), "=")
		if !ok || !slices.Contains([]string{"user", "device", "connector", "protocol"}, name) || value == "" || strings.ContainsAny(value, " =") || f[name] != "" {
			return nil, fault.New(fault.InvalidArgument, `A filter looks like user=alice AND protocol=SSH; it may name user, device, connector and protocol, each once`).With("field", "filter")
		}
		f[name] = value
	}
	return f, nil
}

func (f filter) takes(s *sessionv1.Session) bool {
	for name, value := range f {
		is := map[string]string{"user": s.GetUser(), "device": s.GetDevice(), "connector": s.GetConnector(), "protocol": s.GetProtocol()}
		if is[name] != value {
			return false
		}
	}
	return true
}

// EndSession ends one session. The order is on record first, if that can be; a journal that is away holds
// up nothing that this replica can do by itself.
func (b *Broker) EndSession(ctx context.Context, r *sessionv1.EndSessionRequest) (*sessionv1.Session, error) {
	s, err := b.GetSession(ctx, &sessionv1.GetSessionRequest{Id: r.GetId()})
	if err != nil || s.GetState() == sessionv1.Session_ENDED {
		return s, err
	}
	b.orders.put(r.GetId(), &sessionv1.SessionRecord{})
	b.traces.put(subjectOrder+r.GetId(), telemetry.Parent(ctx))
	here := b.carryOut(r.GetId(), b.end)
	if err := b.putOrder(ctx, subjectOrder, as(s, sessionv1.Session_ENDING), r.GetJustification()); err != nil && !here {
		return nil, untold(err)
	}
	return b.awaitEnd(ctx, s)
}

func untold(err error) error {
	return fault.New(fault.JournalUnavailable, "The session is on another replica, and the journal that would tell it can't be reached. Try again in a moment").Because(err)
}

// SuspendSession holds what the person of one session sends, also while it can't be put on record; whoever
// asks is told so then.
func (b *Broker) SuspendSession(ctx context.Context, r *sessionv1.SuspendSessionRequest) (*sessionv1.Session, error) {
	return b.want(ctx, r.GetId(), sessionv1.Session_SUSPENDED, r.GetJustification())
}

// ResumeSession lets a suspended session go on, once that is on record.
func (b *Broker) ResumeSession(ctx context.Context, r *sessionv1.ResumeSessionRequest) (*sessionv1.Session, error) {
	return b.want(ctx, r.GetId(), sessionv1.Session_OPEN, r.GetJustification())
}

func (b *Broker) want(ctx context.Context, id string, state sessionv1.Session_State, justification string) (*sessionv1.Session, error) {
	s, err := b.GetSession(ctx, &sessionv1.GetSessionRequest{Id: id})
	if err != nil || s.GetState() == sessionv1.Session_ENDED || s.GetState() == sessionv1.Session_ENDING {
		return s, err
	}
	if !s.GetSuspendable() {
		return nil, fault.New(fault.NotSuspendable, "%s can't suspend this session. End it, or let it go on", s.GetConnector())
	}
	wanted := as(s, state)
	if state == sessionv1.Session_OPEN { // on record first: else the next broker would hold it again
		if err := b.putOrder(ctx, subjectSuspension, wanted, justification); err != nil {
			return nil, fault.New(fault.JournalUnavailable, "The journal can't be reached, and that a session goes on must be on record. Try again in a moment").Because(err)
		}
	}
	b.suspensions.put(id, &sessionv1.SessionRecord{Session: wanted})
	here := b.carryOut(id, b.suspend)
	if state == sessionv1.Session_SUSPENDED { // held first
		err := b.putOrder(ctx, subjectSuspension, wanted, justification)
		if err != nil && here {
			return nil, fault.New(fault.JournalUnavailable, "The session is held, but the journal can't be reached to put that on record: a broker that starts anew may let it go. Suspend it again in a moment").Because(err)
		}
		if err != nil {
			b.suspensions.drop(id)
			return nil, untold(err)
		}
	}
	return b.awaitState(ctx, s, state)
}

// awaitState answers the session when its connector says that it is so, or as it is after a while.
func (b *Broker) awaitState(ctx context.Context, s *sessionv1.Session, state sessionv1.Session_State) (*sessionv1.Session, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for s.GetState() != state && s.GetState() != sessionv1.Session_ENDED && pause(waiting, lookAgain) {
		now, err := b.GetSession(waiting, &sessionv1.GetSessionRequest{Id: s.GetId()})
		if err == nil {
			s = now
		}
	}
	return s, ctx.Err()
}

func as(s *sessionv1.Session, state sessionv1.Session_State) *sessionv1.Session {
	s = proto.CloneOf(s)
	s.State = state
	return s
}

func (b *Broker) putOrder(ctx context.Context, subject string, s *sessionv1.Session, justification string) error {
	records := b.records.Load()
	if records == nil {
		return journal.ErrUnavailable
	}
	data, err := proto.Marshal(&sessionv1.SessionRecord{Session: s, Actor: who.FromContext(ctx).Actor(), Justification: justification})
	if err != nil {
		return err
	}
	_, err = (*records).AppendBatch(ctx, []journal.Message{{Subject: subject + s.GetId(), Data: data}})
	return err
}

// awaitEnd answers the session when its connector has confirmed, or as it is after a while.
func (b *Broker) awaitEnd(ctx context.Context, s *sessionv1.Session) (*sessionv1.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause(ctx, lookAgain) {
		if b.overHere(s) {
			s.State, s.EndCause, s.EndTime = sessionv1.Session_ENDED, causeEnded, timestamppb.New(b.config.Now())
			return s, nil
		}
		if ended, err := b.onRecord(ctx, s.GetId()); err == nil && ended.GetState() == sessionv1.Session_ENDED {
			return ended, nil
		}
	}
	h := b.known(s.GetConnector())
	switch {
	case h == nil || !h.reachable(b.config.Now()):
		s.State = sessionv1.Session_UNREACHABLE
	default:
		s.State = sessionv1.Session_ENDING
	}
	return s, nil
}

// overHere reports whether a connector that is attached here no longer has the session.
func (b *Broker) overHere(s *sessionv1.Session) bool {
	h := b.known(s.GetConnector())
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.link != nil && h.sessions[s.GetId()] == nil
}

// ListConnectors answers the session hosts, with what they say themselves.
func (b *Broker) ListConnectors(context.Context, *sessionv1.ListConnectorsRequest) (*sessionv1.ListConnectorsResponse, error) {
	now, answer := b.config.Now(), &sessionv1.ListConnectorsResponse{}
	for _, h := range b.all() {
		h.mu.Lock()
		c := &sessionv1.Connector{Id: h.id, State: sessionv1.Connector_UNREACHABLE, BootId: h.boot, Revision: h.beat.GetHeldRevision(),
			OpenSessions: max(h.beat.GetOpenSessions(), uint32(len(h.sessions))), Protocols: h.protocols}
		if h.reachableHere(now) || h.reachableElsewhere(now) {
			c.State, c.OpenSessions = sessionv1.Connector_ATTACHED, h.beat.GetOpenSessions()
		}
		h.mu.Unlock()
		c.LastSeenTime = timestamppb.New(h.lastHeard())
		answer.Connectors = append(answer.Connectors, c)
	}
	slices.SortFunc(answer.Connectors, func(a, b *sessionv1.Connector) int { return strings.Compare(a.GetId(), b.GetId()) })
	return answer, nil
}
