package outbox

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
)

const keptTexts = 256

// texts are what was said last, so that ten thousand mails of one event read it once.
type texts struct {
	stream *journal.Stream
	mu     sync.Mutex
	known  map[string]*notificationv1.TextRecord
}

func newTexts(s *journal.Stream) *texts {
	return &texts{stream: s, known: map[string]*notificationv1.TextRecord{}}
}

func (t *texts) get(ctx context.Context, id string) (*notificationv1.TextRecord, error) {
	t.mu.Lock()
	known := t.known[id]
	t.mu.Unlock()
	if known != nil {
		return known, nil
	}
	e, err := t.stream.Last(ctx, subjectText+id)
	if err != nil {
		return nil, fmt.Errorf("reading what is to be said: %w", err)
	}
	known = new(notificationv1.TextRecord)
	if err := proto.Unmarshal(e.Data, known); err != nil {
		return nil, fmt.Errorf("reading what is to be said: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= keptTexts {
		clear(t.known)
	}
	t.known[id] = known
	return known, nil
}
