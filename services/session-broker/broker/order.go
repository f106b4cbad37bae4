package broker

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
)

const (
	subjectOrder = "session.order." // + id
	whyOrdered   = "An administrator ended it"
)

// orders are the ends of single sessions that administrators want: on record, so that the replica that
// has the connector finds them, now or when it comes back.
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

func (b *Broker) followOrders(ctx context.Context, records Records) error {
	return records.Watch(ctx, journal.WatchConfig{Subjects: []string{subjectOrder + ">"}, Entry: func(e journal.Entry) error {
		r := new(sessionv1.SessionRecord)
		if err := proto.Unmarshal(e.Data, r); err != nil {
			return fmt.Errorf("reading %s: %w", e.Subject, err)
		}
		id := strings.TrimPrefix(e.Subject, subjectOrder)
		b.orders.put(id, r)
		b.carryOut(id)
		return nil
	}})
}

// carryOut has a session ended if its connector is here.
func (b *Broker) carryOut(id string) bool {
	for _, h := range b.all() {
		h.mu.Lock()
		here := h.link != nil && h.sessions[id] != nil
		if here {
			h.order(id, causeEnded, b.config.Texts.EndedFor(whyOrdered))
		}
		h.mu.Unlock()
		if here {
			return true
		}
	}
	return false
}
