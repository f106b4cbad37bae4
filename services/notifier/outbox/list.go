package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/listing"
)

// page takes rows from behind a place, newest first, and answers where the next page begins.
func page(rows []*row, before *row, size int, keep func(*row) bool) (taken []*row, next string) {
	end := len(rows)
	if before != nil {
		end, _ = slices.BinarySearchFunc(rows, before, older)
	}
	for _, r := range slices.Backward(rows[:end]) {
		if !keep(r) {
			continue
		}
		if len(taken) == size {
			last := taken[size-1]
			return taken, listing.Token(strconv.FormatInt(last.created, 10) + " " + last.id.String())
		}
		taken = append(taken, r)
	}
	return taken, ""
}

func placeOf(token string) (*row, error) {
	place, err := listing.Place(token)
	if err != nil || place == "" {
		return nil, err
	}
	created, id, ok := strings.Cut(place, " ")
	at, err := strconv.ParseInt(created, 10, 64)
	k, valid := keyOf(id)
	if !ok || err != nil || !valid {
		return nil, listing.BadToken()
	}
	return &row{created: at, id: k}, nil
}

// List answers deliveries, newest first.
func (b *Box) List(r *notificationv1.ListDeliveriesRequest) (*notificationv1.ListDeliveriesResponse, error) {
	f, err := filterOf(r.GetFilter())
	if err != nil {
		return nil, err
	}
	before, err := placeOf(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	some, next := page(b.order, before, listing.Size(r.GetPageSize()), f.on(b.words))
	answer := &notificationv1.ListDeliveriesResponse{NextPageToken: next}
	for _, r := range some {
		answer.Outbox = append(answer.Outbox, b.present(r))
	}
	return answer, nil
}

// present says of what waits why it does, if its server is the reason.
func (b *Box) present(r *row) *notificationv1.Delivery {
	d := b.delivery(r)
	if l := b.lanes[b.words.all[r.lane]]; l != nil && r.state == notificationv1.Delivery_QUEUED && r.error == 0 {
		l.mu.Lock()
		d.Error = l.error
		l.mu.Unlock()
	}
	return d
}

// Get answers one delivery, with its text, its attempts and the answers to it.
func (b *Box) Get(ctx context.Context, id string) (*notificationv1.Delivery, error) {
	b.mu.RLock()
	r := b.row(id)
	if r == nil {
		b.mu.RUnlock()
		return nil, fault.New(fault.NotFound, "There is no delivery %.40q in the outbox", id)
	}
	d, text, subject := b.present(r), b.words.all[r.text], b.subject(r)
	b.mu.RUnlock()
	said, err := b.texts.get(ctx, text)
	if err != nil {
		return nil, err
	}
	d.Body = said.GetBody()
	if d.GetMethod() != notificationv1.Method_EMAIL {
		d.Body = said.GetShort()
	}
	q, p := new(notificationv1.QueuedRecord), new(notificationv1.ProgressRecord)
	if err := errors.Join(b.last(ctx, subject, q), b.last(ctx, subjectRow+id, p)); err != nil {
		return nil, err
	}
	d.Notifications, d.SmsSegments = q.GetDelivery().GetNotifications(), q.GetDelivery().GetSmsSegments()
	d.LatestAttempts, d.Replies = p.GetLatestAttempts(), p.GetReplies()
	if d.GetMethod() == notificationv1.Method_EMAIL {
		d.MessageId = "<" + id + "@" + b.config.Host + ">"
	}
	return d, nil
}

// last reads the last entry of a subject; what isn't there leaves the message empty.
func (b *Box) last(ctx context.Context, subject string, into proto.Message) error {
	e, err := b.stream.Last(ctx, subject)
	if errors.Is(err, journal.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(e.Data, into); err != nil {
		return fmt.Errorf("reading %s: %w", subject, err)
	}
	return nil
}
