package outbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/notifier/message"
)

const (
	firstAgain   = 20 * time.Second // after the first attempt that failed; doubles
	lastAgain    = time.Hour
	firstRest    = time.Second // of a lane whose server failed; doubles
	lastRest     = time.Minute
	longestRest  = 15 * time.Minute // whatever the server asks for
	keptAttempts = 5
	errorLength  = 1000
)

// standing is what an attempt begins from.
type standing struct {
	id       string
	state    notificationv1.Delivery_State
	resends  uint32
	attempts uint32
	rowAt    uint64
	repeated bool // it may have been said before, by somebody who died over it
}

func (b *Box) standing(id string) standing {
	b.mu.RLock()
	defer b.mu.RUnlock()
	r := b.row(id)
	if r == nil {
		return standing{}
	}
	return standing{id, r.state, r.resends, r.attempts, r.rowAt, false}
}

// done is what became of a delivery: what is to be put on record, on top of what was.
type done struct {
	standing
	time    time.Time
	attempt *notificationv1.Attempt // nil: none was made
	after   time.Duration           // until the next
	to      notificationv1.Delivery_State
	why     string
	lost    func(error) // hears that it can't be put on record
}

func (d done) again() error {
	if d.to != notificationv1.Delivery_QUEUED {
		return nil
	}
	return journal.After(d.after, errors.New(d.why))
}

// became is how a delivery stands after an attempt.
func (b *Box) became(now standing, q *notificationv1.QueuedRecord, answer string, err error) done {
	d := done{standing: now, time: b.config.Now(), to: notificationv1.Delivery_SENT}
	d.attempt = &notificationv1.Attempt{Time: timestamppb.New(d.time), Answer: cut(answer)}
	if err == nil {
		return d
	}
	f := message.FailureOf(err)
	d.why = cut(f.Error())
	d.attempt.Error = d.why
	d.after = max(after(b.config.Again, int(now.attempts), lastAgain), f.After)
	d.to = notificationv1.Delivery_QUEUED
	if f.Permanent || f.Gone || !d.time.Add(d.after).Before(b.end(q)) {
		d.to = notificationv1.Delivery_FAILED
	}
	return d
}

// givenUp is a delivery that nobody will try any more.
func (b *Box) givenUp(now standing, why string) done {
	if why != "" {
		why = ": " + why
	}
	return done{standing: now, time: b.config.Now(), to: notificationv1.Delivery_FAILED, why: cut("It was given up after " + b.config.GiveUp.String() + why)}
}

// end is when a delivery is given up: a resend begins anew.
func (b *Box) end(q *notificationv1.QueuedRecord) time.Time {
	return q.GetQueueTime().AsTime().Add(b.config.GiveUp)
}

func (b *Box) tooOld(q *notificationv1.QueuedRecord) bool {
	return !b.config.Now().Before(b.end(q))
}

// after is how long something waits after so many failures, not the same for all.
func after(first time.Duration, times int, most time.Duration) time.Duration {
	return jitter(min(first<<min(times, 20), most))
}

func jitter(about time.Duration) time.Duration {
	return about*4/5 + rand.N(about*2/5+1) // #nosec G404 -- spreads attempts, hides nothing
}

func cut(s string) string {
	if len(s) > errorLength {
		return s[:errorLength] + "…"
	}
	return s
}

// message is what is said in a delivery.
func (b *Box) message(ctx context.Context, q *notificationv1.QueuedRecord) (*message.Message, error) {
	d := q.GetDelivery()
	text, err := b.texts.get(ctx, q.GetText())
	if err != nil {
		return nil, err
	}
	return &message.Message{
		ID: d.GetId(), Host: b.config.Host, To: d.GetRecipient(), Name: q.GetContactName(), Language: d.GetLanguage(),
		Subject: text.GetSubject(), Body: text.GetBody(), HTML: text.GetHtml(), Short: text.GetShort(),
		Event: d.GetEvent(), Type: d.GetType(), Time: text.GetTime().AsTime(), Emergency: q.GetEmergency(), Facts: text.GetFacts(),
		ReplyTo: q.GetReplyTo(), ReturnPath: q.GetReturnPath(), Confirmation: q.GetConfirmationAddress(),
	}, nil
}

// kept are the last few attempts.
func kept(attempts []*notificationv1.Attempt, one *notificationv1.Attempt) []*notificationv1.Attempt {
	if one == nil {
		return attempts
	}
	all := append(slices.Clone(attempts), one)
	return all[max(0, len(all)-keptAttempts):]
}
