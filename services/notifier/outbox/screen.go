package outbox

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/listing"
)

// screen is what one person was told on it.
type screen struct {
	rows   []*row // by age
	unread int
	moved  chan struct{}
}

func (b *Box) screen(user word) *screen {
	s := b.screens[user]
	if s == nil {
		s = &screen{moved: make(chan struct{})}
		b.screens[user] = s
	}
	return s
}

// shown keeps a person's screen up with a row that is new or has changed.
func (b *Box) shown(r *row) {
	if r.method != notificationv1.Method_SCREEN {
		return
	}
	s := b.screen(r.contact)
	if i, found := slices.BinarySearchFunc(s.rows, r, older); !found {
		s.rows = slices.Insert(s.rows, i, r)
	}
	if waits := !r.read; waits != r.counted {
		r.counted = waits
		s.unread += map[bool]int{true: 1, false: -1}[waits]
	}
	close(s.moved)
	s.moved = make(chan struct{})
}

func (b *Box) hidden(r *row) {
	if r.method != notificationv1.Method_SCREEN {
		return
	}
	s := b.screen(r.contact)
	if i, found := slices.BinarySearchFunc(s.rows, r, older); found {
		s.rows = slices.Delete(s.rows, i, i+1)
	}
	if r.counted {
		s.unread--
	}
	close(s.moved)
	s.moved = make(chan struct{})
}

// Inbox answers what a person was told on the screen, newest first, and how much of it is unread.
func (b *Box) Inbox(ctx context.Context, user string, unread bool, size int32, token string) (*notificationv1.ListInboxResponse, error) {
	before, err := placeOf(token)
	if err != nil {
		return nil, err
	}
	b.mu.RLock()
	s := b.screens[b.words.number[user]]
	var some []*row
	answer := new(notificationv1.ListInboxResponse)
	if s != nil {
		answer.Unread = uint32(s.unread)
		some, answer.NextPageToken = page(s.rows, before, listing.Size(size), func(r *row) bool { return !unread || !r.read })
	}
	messages := make([]*notificationv1.InboxMessage, len(some))
	texts := make([]string, len(some))
	for i, r := range some {
		messages[i], texts[i] = b.inboxMessage(r), b.words.all[r.text]
	}
	b.mu.RUnlock()
	for i, m := range messages {
		if err := b.say(ctx, m, texts[i]); err != nil {
			return nil, err
		}
	}
	answer.Inbox = messages
	return answer, nil
}

func (b *Box) inboxMessage(r *row) *notificationv1.InboxMessage {
	m := &notificationv1.InboxMessage{Id: r.id.String(), Type: b.words.all[r.typ], Subject: b.words.all[r.subject], CreateTime: timestamppb.New(time.UnixMilli(r.created))}
	if r.read {
		m.ReadTime = timestamppb.New(time.UnixMilli(r.updated))
	}
	return m
}

func (b *Box) say(ctx context.Context, m *notificationv1.InboxMessage, text string) error {
	t, err := b.texts.get(ctx, text)
	if err != nil {
		return err
	}
	m.Text, m.Emergency = t.GetShort(), t.GetFacts()["emergency"]
	return nil
}

// Read marks one message of a person as read.
func (b *Box) Read(ctx context.Context, user, id string) (*notificationv1.InboxMessage, error) {
	b.mu.RLock()
	r := b.row(id)
	mine := r != nil && r.method == notificationv1.Method_SCREEN && b.words.all[r.contact] == user
	b.mu.RUnlock()
	if !mine {
		return nil, fault.New(fault.NotFound, "There is no such message in your inbox")
	}
	if _, err := b.change(ctx, id, b.read); err != nil {
		return nil, err
	}
	b.mu.RLock()
	m, text := b.inboxMessage(r), b.words.all[r.text]
	b.mu.RUnlock()
	return m, b.say(ctx, m, text)
}

func (b *Box) read(p *notificationv1.ProgressRecord) error {
	if p.GetReadTime() != nil {
		return nil
	}
	now := timestamppb.New(b.config.Now())
	p.State, p.ReadTime, p.UpdateTime = notificationv1.Delivery_READ, now, now
	return nil
}

// ReadAll marks everything that a person was told as read.
func (b *Box) ReadAll(ctx context.Context, user string) error {
	b.mu.RLock()
	var ids []string
	if s := b.screens[b.words.number[user]]; s != nil {
		for _, r := range s.rows {
			if !r.read {
				ids = append(ids, r.id.String())
			}
		}
	}
	b.mu.RUnlock()
	for _, id := range ids {
		if _, err := b.change(ctx, id, b.read); err != nil {
			return err
		}
	}
	return nil
}

// Watch calls told with what a person's inbox is now, and at every change, until the context ends.
func (b *Box) Watch(ctx context.Context, user string, told func(*notificationv1.WatchInboxResponse) error) error {
	var newest *row
	for begun := false; ; begun = true {
		b.mu.Lock()
		s := b.screen(b.words.of(user))
		moved, answer := s.moved, &notificationv1.WatchInboxResponse{Unread: uint32(s.unread)}
		var fresh []*row
		for i := len(s.rows) - 1; begun && i >= 0 && (newest == nil || older(newest, s.rows[i]) < 0); i-- {
			fresh = append(fresh, s.rows[i])
		}
		if n := len(s.rows); n > 0 {
			newest = s.rows[n-1]
		}
		b.mu.Unlock()
		if err := b.tell(ctx, answer, fresh, told); err != nil {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil
		}
	}
}

// tell says what is new, the oldest first, or the count alone.
func (b *Box) tell(ctx context.Context, answer *notificationv1.WatchInboxResponse, fresh []*row, told func(*notificationv1.WatchInboxResponse) error) error {
	if len(fresh) == 0 {
		return told(answer)
	}
	for _, r := range slices.Backward(fresh) {
		b.mu.RLock()
		m, text := b.inboxMessage(r), b.words.all[r.text]
		b.mu.RUnlock()
		if err := b.say(ctx, m, text); err != nil {
			return err
		}
		if err := told(&notificationv1.WatchInboxResponse{Unread: answer.GetUnread(), Message: m}); err != nil {
			return err
		}
	}
	return nil
}
