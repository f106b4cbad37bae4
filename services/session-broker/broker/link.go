package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

const (
	breath      = time.Second     // how often something is said, so that the connector knows that we are here
	repeatAfter = 2 * time.Second // when what was not acknowledged is said again
)

// link is one attachment: what is still to be said on it. Its host's lock guards it.
type link struct {
	h          *host
	generation uint64
	stop       context.CancelCauseFunc
	wake       chan struct{}

	dirty    bool // the standing may have changed
	opened   int  // how often sessions were heard of
	sent     *sessionv1.Standing
	sentTime time.Time
	acked    uint64
	ends     []*sessionv1.End
	suspends []string
	confirms []string
}

func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// speak says what there is to say until the context ends.
func (b *Broker) speak(ctx context.Context, l *link, stream sessionv1.Connectors_AttachServer) error {
	tick := time.NewTicker(breath)
	defer tick.Stop()
	for again := false; ; {
		if l.needsStanding(again, b.config.Now()) {
			if err := b.sayStanding(l, stream, again); err != nil {
				return err
			}
		}
		for _, m := range l.outbox(again, b.config.Texts) {
			if err := stream.Send(m); err != nil {
				return fmt.Errorf("speaking to connector %s: %w", l.h.id, err)
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.wake:
			again = false
		case <-tick.C:
			again = true
		}
	}
}

func (l *link) needsStanding(again bool, now time.Time) bool {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	dirty := l.dirty
	l.dirty = false
	return dirty || again && l.acked < l.sent.GetVersion() && now.Sub(l.sentTime) >= repeatAfter
}

func (b *Broker) sayStanding(l *link, stream sessionv1.Connectors_AttachServer, again bool) error {
	l.h.mu.Lock()
	opened := l.opened
	l.h.mu.Unlock()
	s := b.standing(l.h)
	l.h.mu.Lock()
	if l.opened != opened { // the devices of whoever was heard of meanwhile may not be in it
		l.dirty = true
		l.nudge()
	}
	s.Generation, s.Version = l.generation, l.sent.GetVersion()
	if !again && l.sent != nil && proto.Equal(s, l.sent) {
		l.h.mu.Unlock()
		return nil
	}
	s.Version++
	l.sent, l.sentTime = s, b.config.Now()
	l.h.mu.Unlock()
	if err := stream.Send(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Standing{Standing: s}}); err != nil {
		return fmt.Errorf("telling connector %s its standing: %w", l.h.id, err)
	}
	return nil
}

// outbox takes what is to be said; once a second at least something, and again what was not answered.
func (l *link) outbox(again bool, texts emergency.Texts) []*sessionv1.BrokerMessage {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	ends, suspends, confirms := l.ends, l.suspends, l.confirms
	l.ends, l.suspends, l.confirms = nil, nil, nil
	if again {
		suspends = slices.Collect(maps.Keys(l.h.suspending))
		ends = ends[:0]
		for _, end := range l.h.ending {
			ends = append(ends, end)
		}
	}
	var out []*sessionv1.BrokerMessage
	for _, end := range ends {
		out = append(out, &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_End{End: end}})
	}
	out = append(out, l.h.suspensions(suspends, texts)...)
	for len(confirms) > batch {
		out = append(out, confirmation(confirms[:batch]))
		confirms = confirms[batch:]
	}
	if len(confirms) > 0 || again {
		out = append(out, confirmation(confirms))
	}
	return out
}

// suspensions says which are to be held and which go on. Callers hold the host's lock.
func (h *host) suspensions(ids []string, texts emergency.Texts) (out []*sessionv1.BrokerMessage) {
	for held, reason := range map[bool]string{true: texts.Suspended(), false: texts.Resumed()} {
		var these []string
		for _, id := range ids {
			if wanted, still := h.suspending[id]; still && wanted == held {
				these = append(these, id)
			}
		}
		for part := range slices.Chunk(these, batch) {
			out = append(out, &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Suspend{Suspend: &sessionv1.Suspend{Ids: part, Held: held, Reason: reason}}})
		}
	}
	return out
}

func confirmation(ids []string) *sessionv1.BrokerMessage {
	return &sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Confirm{Confirm: &sessionv1.Confirm{Ids: ids}}}
}

// confirm says that ends are on record, to whoever is attached now.
func (h *host) confirm(ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		delete(h.closing, id)
	}
	if h.link != nil {
		h.link.confirms = append(h.link.confirms, ids...)
		h.link.nudge()
	}
}
