package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
)

const (
	batch   = 500
	few     = 50 // deliveries of one event in one lane
	buckets = 4  // the first is for events with few
)

// Screen is the lane of what is told on the screen. Nobody works on it: it is there once it is queued.
const Screen = "screen"

// Plan is what is said of one event.
type Plan struct {
	// Key stands for the event; the same key again is the same plan.
	Key   string
	Event *notificationv1.Event
	// Turn tells events that come one after the other apart.
	Turn uint64
	// Texts are what is said, by their ids.
	Texts      map[string]*notificationv1.TextRecord
	Deliveries []Draft
}

// Draft is a delivery to be queued.
type Draft struct {
	Lane   string
	Record *notificationv1.QueuedRecord
}

// Planned reports whether an event was dealt with.
func (b *Box) Planned(key string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.plans[key]
	return ok
}

// Queue puts a plan on record: what is said, then to whom, then that the event was dealt with. After a crash in
// between, the same plan again adds what is missing.
func (b *Box) Queue(ctx context.Context, p Plan) error {
	if b.Planned(p.Key) {
		return nil
	}
	if err := b.putTexts(ctx, p.Texts); err != nil {
		return err
	}
	messages, err := b.messages(ctx, p)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(messages, batch) {
		if err := b.append(ctx, some); err != nil {
			return fmt.Errorf("queueing deliveries: %w", err)
		}
	}
	last, err := b.plan(ctx, p)
	if err != nil {
		return err
	}
	return b.wait(ctx, last)
}

// putTexts puts texts on record, those that are there already aside: each reader may have one of their own.
func (b *Box) putTexts(ctx context.Context, texts map[string]*notificationv1.TextRecord) error {
	messages := make([]journal.Message, 0, len(texts))
	for id, text := range texts {
		data, err := proto.Marshal(text)
		if err != nil {
			return fmt.Errorf("encoding a text: %w", err)
		}
		messages = append(messages, journal.Message{Subject: subjectText + id, Data: data, Expect: journal.OnSubject(0)})
	}
	for some := range slices.Chunk(messages, batch/10) { // a text is as long as ten deliveries
		if err := b.append(ctx, some); err != nil {
			return fmt.Errorf("putting on record what is said: %w", err)
		}
	}
	return nil
}

func (b *Box) plan(ctx context.Context, p Plan) (uint64, error) {
	data, err := proto.Marshal(&notificationv1.PlanRecord{Event: p.Event, Deliveries: uint32(len(p.Deliveries)), Time: timestamppb.New(b.config.Now())})
	if err != nil {
		return 0, fmt.Errorf("encoding a plan: %w", err)
	}
	e, err := b.stream.Update(ctx, subjectPlan+p.Key, func(_ journal.Entry, found bool) ([]byte, error) {
		if found {
			return nil, journal.ErrUnchanged
		}
		return data, nil
	})
	return e.Sequence, err
}

// once appends what must not be there yet, and takes it for done if it is.
func (b *Box) once(ctx context.Context, subject string, m proto.Message) error {
	data, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", subject, err)
	}
	_, err = b.stream.Append(ctx, journal.Message{Subject: subject, Data: data, Expect: journal.OnSubject(0)})
	if errors.Is(err, journal.ErrConflict) {
		return nil
	}
	return err
}

// messages are the plan's deliveries that are not on record yet, the quickest ways first. The plan may have been
// another before a crash, so what is there may stand in another bucket.
func (b *Box) messages(ctx context.Context, p Plan) ([]journal.Message, error) {
	last, err := b.stream.LastSequence(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.wait(ctx, last); err != nil {
		return nil, err
	}
	perLane := map[string]int{}
	for _, d := range p.Deliveries {
		perLane[d.Lane]++
	}
	drafts := slices.DeleteFunc(slices.Clone(p.Deliveries), func(d Draft) bool { return b.has(d.Record.GetDelivery().GetId()) })
	slices.SortStableFunc(drafts, func(a, c Draft) int { return perLane[a.Lane] - perLane[c.Lane] })
	messages := make([]journal.Message, len(drafts))
	for i, d := range drafts {
		data, err := proto.Marshal(d.Record)
		if err != nil {
			return nil, fmt.Errorf("encoding a delivery: %w", err)
		}
		messages[i] = journal.Message{Data: data, Expect: journal.OnSubject(0),
			Subject: queueSubject(d.Lane, bucketOf(p.Turn, perLane[d.Lane]), d.Record.GetDelivery().GetId())}
	}
	return messages, nil
}

func (b *Box) has(id string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.row(id) != nil
}

func (b *Box) subject(r *row) string {
	return queueSubject(b.words.all[r.lane], b.words.all[r.bucket], r.id.String())
}

func queueSubject(lane, bucket, id string) string {
	return subjectQueue + lane + "." + bucket + "." + id
}

// bucketOf keeps events that come one after the other apart, and those that few are told of from all others.
func bucketOf(turn uint64, deliveries int) string {
	if deliveries <= few {
		return "0"
	}
	return strconv.FormatUint(1+turn%(buckets-1), 10)
}

// append stores messages that may be there in part, from a time before a crash.
func (b *Box) append(ctx context.Context, messages []journal.Message) error {
	for {
		_, err := b.stream.AppendBatch(ctx, messages)
		if !errors.Is(err, journal.ErrConflict) && !errors.Is(err, journal.ErrUnknown) {
			return err
		}
		if messages, err = b.missing(ctx, messages); err != nil || len(messages) == 0 {
			return err
		}
	}
}

// missing are those that are not stored.
func (b *Box) missing(ctx context.Context, messages []journal.Message) ([]journal.Message, error) {
	left := make([]journal.Message, 0, len(messages))
	for _, m := range messages {
		_, err := b.stream.Last(ctx, m.Subject)
		switch {
		case errors.Is(err, journal.ErrNotFound):
			left = append(left, m)
		case err != nil:
			return nil, err
		}
	}
	return left, nil
}
