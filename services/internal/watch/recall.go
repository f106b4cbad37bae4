package watch

import (
	"context"
	"errors"
	"os"
	"time"
)

// errAway is that the journal is not there, and this process may know what was in it.
var errAway = errors.New("the journal can't be reached")

const (
	// patience is how long a process that starts waits for the journal until it goes by its memory: that is older.
	patience = 3 * time.Second
	tryEvery = 250 * time.Millisecond
)

// despair answers errAway once nobody has answered for the journal for a while, nor anything of it has come, and nil once all of it
// has been read.
func (w *Watcher) despair(ctx context.Context) error {
	began, came := w.clock.Now(), w.came.Load()
	for {
		_, err := w.config.Journal.Heads(ctx, w.streams()...)
		switch now := w.came.Load(); {
		case ctx.Err() != nil:
			return nil
		case err == nil || now != came:
			began, came = w.clock.Now(), now
		case w.clock.Since(began) >= patience:
			return errAway
		}
		select {
		case <-time.After(tryEvery):
		case <-w.ready:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// recall begins with what the process knew in its last life, if it knew anything. It is stale, and stays so until the journal is back.
func (w *Watcher) recall(ctx context.Context) {
	all, err := w.memory.read()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state.Load() != nil { // it was there at the last moment
		return
	}
	if err != nil {
		w.forgot(ctx, err)
		return
	}
	w.begin()
	for _, e := range all {
		w.take(e.stream, e.Entry)
	}
	now := w.config.Now()
	for _, e := range w.holds {
		if now.Before(e.GetEndTime().AsTime()) {
			w.fold.hold(e)
		}
	}
	state, err := w.fold.state(now)
	if err != nil {
		w.forgot(ctx, err)
		return
	}
	for name, sequence := range w.fold.held {
		w.published[name] = sequence
	}
	state.Since = now
	w.config.Log.WarnContext(ctx, "the journal can't be reached; enforcing what was known last", "revision", state.Emergency.Revision().String(), "file", w.config.Memory)
	w.coming = nil
	w.state.Store(state)
	close(w.recalled)
	close(w.ready)
	w.nudge()
}

// forgot says, once, that nothing is known. The lock is held.
func (w *Watcher) forgot(ctx context.Context, err error) {
	if w.forgotten {
		return
	}
	w.forgotten = true
	if errors.Is(err, os.ErrNotExist) {
		w.config.Log.WarnContext(ctx, "the journal can't be reached, and nothing is known of it: nobody gets in before it is there")
		return
	}
	w.config.Log.ErrorContext(ctx, "the journal can't be reached, and what was known is left out: nobody gets in before it is there", "file", w.config.Memory, "error", err)
}
