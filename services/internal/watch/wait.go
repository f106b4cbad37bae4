package watch

import (
	"context"
	"fmt"
)

// Subscribe answers a channel that is nudged after every change of the State, and a function to stop.
// One nudge stands for any number of changes: read State after each.
func (w *Watcher) Subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subscribers[c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subscribers, c)
	}
}

// Wait blocks until the State includes an entry of a stream: who has written reads its own write.
func (w *Watcher) Wait(ctx context.Context, stream string, sequence uint64) error {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	w.waiting[c] = struct{}{}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.waiting, c)
		w.mu.Unlock()
	}()
	for {
		w.mu.Lock()
		reached := w.published[stream] >= sequence && w.state.Load() != nil
		w.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-c:
		case <-ctx.Done():
			return fmt.Errorf("waiting for entry %d of %s: %w", sequence, stream, ctx.Err())
		}
	}
}

// Sequence is how far the State includes a stream.
func (w *Watcher) Sequence(stream string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.published[stream]
}
