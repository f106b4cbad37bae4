package outbox

import (
	"context"
	"time"

	"portcullis.dev/services/internal/journal"
)

// Moved returns when something was folded, or after a while.
func (b *Box) Moved(ctx context.Context, most time.Duration) {
	b.mu.RLock()
	moved := b.moved
	b.mu.RUnlock()
	select {
	case <-moved:
	case <-ctx.Done():
	case <-time.After(most):
	}
}

// Fold takes an entry as if it came from the stream.
func (b *Box) Fold(e journal.Entry) { _ = b.fold(e) }
