package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
)

const keptOperations = 16

// Resend queues a delivery again that was given up or has bounced. The same request again changes nothing.
func (b *Box) Resend(ctx context.Context, id, request string) (*notificationv1.Delivery, error) {
	b.mu.RLock()
	r := b.row(id)
	if r == nil {
		b.mu.RUnlock()
		return nil, fault.New(fault.NotFound, "There is no delivery %.40q in the outbox", id)
	}
	subject, state, resends := b.subject(r), r.state, r.resends
	b.mu.RUnlock()
	q := new(notificationv1.QueuedRecord)
	e, err := b.stream.Update(ctx, subject, func(last journal.Entry, found bool) ([]byte, error) {
		q.Reset()
		if err := proto.Unmarshal(last.Data, q); err != nil || !found {
			return nil, fault.New(fault.NotFound, "What %s says is no longer kept. Write it anew", id).Because(err)
		}
		if request != "" && slices.Contains(q.GetOperations(), request) {
			return nil, journal.ErrUnchanged
		}
		if state != notificationv1.Delivery_FAILED && state != notificationv1.Delivery_BOUNCED {
			return nil, fault.New(fault.NotResendable, "%s is %s. Only what has FAILED or BOUNCED can be resent", id, state)
		}
		if q.GetResends() != resends { // somebody else has been quicker
			return nil, fault.New(fault.NotResendable, "%s is being resent already", id)
		}
		q.Resends++
		q.QueueTime = timestamppb.New(b.config.Now())
		if q.Operations = append(q.Operations, request); len(q.Operations) > keptOperations {
			q.Operations = q.Operations[1:]
		}
		return proto.Marshal(q)
	})
	if err != nil {
		return nil, err
	}
	if err := b.wait(ctx, e.Sequence); err != nil {
		return nil, err
	}
	return b.Get(ctx, id)
}

// Heard is what came back of a delivery.
type Heard struct {
	State notificationv1.Delivery_State // DELIVERED, READ, BOUNCED or FAILED; unspecified: a reply alone
	Why   string
	Reply *notificationv1.Reply
}

const keptReplies = 20

// Hear puts on record what came back of a delivery, by mail or by the broker of an SMS. What is not known here, or
// is less than what is known, changes nothing.
func (b *Box) Hear(ctx context.Context, id string, h Heard) (known bool, err error) {
	if !b.has(id) {
		return false, nil
	}
	_, err = b.change(ctx, id, func(p *notificationv1.ProgressRecord) error {
		fresh := h.Reply != nil && !slices.ContainsFunc(p.GetReplies(), func(r *notificationv1.Reply) bool { return proto.Equal(r, h.Reply) })
		if fresh && len(p.GetReplies()) < keptReplies {
			p.Replies = append(p.Replies, h.Reply)
		}
		better := further(p.GetState(), h.State)
		if !fresh && !better {
			return journal.ErrUnchanged
		}
		if better {
			p.State, p.Error, p.NextAttemptTime = h.State, cut(h.Why), nil
		}
		if p.GetState() == notificationv1.Delivery_STATE_UNSPECIFIED {
			p.State = notificationv1.Delivery_SENT // somebody answers it
		}
		p.UpdateTime = timestamppb.New(b.config.Now())
		return nil
	})
	return true, err
}

// further reports whether what came back says more than what is known: a mail that was read has arrived, and one
// that bounced after it was read has not come to nothing.
func further(is, said notificationv1.Delivery_State) bool {
	rank := map[notificationv1.Delivery_State]int{
		notificationv1.Delivery_DELIVERED: 1, notificationv1.Delivery_FAILED: 2, notificationv1.Delivery_BOUNCED: 2, notificationv1.Delivery_READ: 3,
	}
	return rank[said] > rank[is]
}

// Test puts one message on record, makes one attempt, and answers how that went: the lane of its account knows it, too.
// Nobody else works on it.
func (b *Box) Test(ctx context.Context, lane string, d Draft, text *notificationv1.TextRecord, open func(context.Context) (Sender, error)) (*notificationv1.Delivery, error) {
	id := d.Record.GetDelivery().GetId()
	if b.has(id) {
		return b.Get(ctx, id)
	}
	if err := b.once(ctx, subjectText+d.Record.GetText(), text); err != nil {
		return nil, err
	}
	data, err := proto.Marshal(d.Record)
	if err != nil {
		return nil, fmt.Errorf("encoding a test: %w", err)
	}
	at, err := b.stream.Append(ctx, journal.Message{Subject: queueSubject(testLane, "0", id), Data: data, Expect: journal.OnSubject(0)})
	if errors.Is(err, journal.ErrConflict) {
		return nil, fault.New(fault.Aborted, "This very test is under way. Look into the outbox")
	}
	if err != nil {
		return nil, err
	}
	if err := b.wait(ctx, at); err != nil {
		return nil, err
	}
	answer, err := b.attempt(ctx, d.Record, open)
	b.mu.RLock()
	l := b.lanes[lane]
	b.mu.RUnlock()
	if l != nil && ctx.Err() == nil {
		l.learn(err)
	}
	done := b.became(b.standing(id), d.Record, answer, err)
	if err != nil {
		done.to = notificationv1.Delivery_FAILED
	}
	if _, err := b.change(context.WithoutCancel(ctx), id, done.over); err != nil {
		return nil, err
	}
	return b.Get(ctx, id)
}

const testLane = "test"

func (b *Box) attempt(ctx context.Context, q *notificationv1.QueuedRecord, open func(context.Context) (Sender, error)) (string, error) {
	m, err := b.message(ctx, q)
	if err != nil {
		return "", err
	}
	s, err := open(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = s.Close() }()
	return s.Send(ctx, m)
}
