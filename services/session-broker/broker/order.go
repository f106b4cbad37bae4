package broker

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/telemetry"
)

const (
	subjectOrder      = "session.order."      // + id
	subjectSuspension = "session.suspension." // + id
	whyOrdered        = "An administrator ended it"
)

// orders are what administrators want of single sessions: on record, so that the replica that has the
// connector finds them, now or when it comes back.
type orders struct {
	mu sync.Mutex
	of map[string]*sessionv1.SessionRecord
}

func newOrders() *orders { return &orders{of: map[string]*sessionv1.SessionRecord{}} }

func (o *orders) get(id string) *sessionv1.SessionRecord {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of[id]
}

func (o *orders) put(id string, r *sessionv1.SessionRecord) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of[id] = r
}

func (o *orders) drop(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.of, id)
}

// followOrders follows both kinds, by their subjects.
func (b *Broker) followOrders(ctx context.Context, records Records) error {
	return records.Watch(ctx, journal.WatchConfig{Subjects: []string{subjectOrder + ">", subjectSuspension + ">"}, Entry: func(e journal.Entry) error {
		r := new(sessionv1.SessionRecord)
		if err := proto.Unmarshal(e.Data, r); err != nil {
			return fmt.Errorf("reading %s: %w", e.Subject, err)
		}
		if id, suspension := strings.CutPrefix(e.Subject, subjectSuspension); suspension {
			b.suspensions.put(id, r)
			b.carryOut(id, b.suspend)
			return nil
		}
		id := strings.TrimPrefix(e.Subject, subjectOrder)
		b.orders.put(id, r)
		b.traces.put(e.Subject, telemetry.Parent(telemetry.From(ctx, e.Header)))
		b.carryOut(id, b.end)
		return nil
	}})
}

// carryOut does something to a session if its connector is here. It reports whether it is.
func (b *Broker) carryOut(id string, do func(*host, *sessionv1.Session)) bool {
	for _, h := range b.all() {
		h.mu.Lock()
		s := h.sessions[id]
		here := h.link != nil && s != nil
		if here {
			do(h, s)
		}
		h.mu.Unlock()
		if here {
			return true
		}
	}
	return false
}

// end has a session ended. Callers hold the host's lock.
func (b *Broker) end(h *host, s *sessionv1.Session) {
	h.order(s.GetId(), causeEnded, b.config.Texts.EndedFor(whyOrdered), b.traces.get(subjectOrder+s.GetId()))
}

// suspend has a session held, or let go on, as the last one wanted who wanted either. Of one that nobody
// has said anything about, its connector's word is taken. Callers hold the host's lock.
func (b *Broker) suspend(h *host, s *sessionv1.Session) {
	wanted := b.suspensions.get(s.GetId())
	held := wanted.GetSession().GetState() == sessionv1.Session_SUSPENDED
	if wanted == nil || !s.GetSuspendable() || s.GetState() == sessionv1.Session_ENDING || held == (s.GetState() == sessionv1.Session_SUSPENDED) {
		delete(h.suspending, s.GetId())
		return
	}
	h.suspending[s.GetId()] = held
	if h.link != nil {
		h.link.suspends = append(h.link.suspends, s.GetId())
		h.link.nudge()
	}
}
