package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// WatchConfig says what to watch and whom to tell. All callbacks come from the
// goroutine that called Watch, one at a time.
type WatchConfig struct {
	Subjects []string // may have wildcards; none: the whole stream

	// By default the watch begins with the last entry of each subject. All
	// begins with the whole history instead, From at a sequence, and Held after
	// an entry that the caller has already, as from its own disk: the watch
	// first compares it with the journal's, and goes on from there or fails
	// with ErrDiverged.
	All  bool
	From uint64
	Held Entry

	// Entry takes each entry. Its error ends the watch and is what it returns.
	Entry func(Entry) error
	// Ready is called once, when Entry has had all that there was. Optional.
	Ready func()
	// Fresh is called with true after Ready, with false within about a second
	// of losing the server, and with true when Entry has had all again. On a
	// cluster, being cut off with a minority shows within about three seconds,
	// or thirteen if the stream's leader is there too, and takes itself for one
	// for that long. Optional.
	Fresh func(fresh bool)
}

// probeEvery is how often a watch of a stream with several copies asks the
// leader. Its own server sends heartbeats for ever, also when it was cut off
// with a minority and hears of nothing any more.
const probeEvery = time.Second

// Watch delivers entries until ctx ends and then returns nil. When the server
// dies, freezes or moves it goes on by itself, for ever; nothing is left out,
// comes twice or out of order. At every new start it reads again, from the
// stream's leader, the entry that it delivered last; if the journal has
// another one there or none, it returns ErrDiverged.
//
// Entries that a stream lets go of by age while a watch is cut off are not
// delivered: they are no longer there.
func (s *Stream) Watch(ctx context.Context, c WatchConfig) error {
	w := &watch{s: s, c: c, held: c.Held}
	w.at.Store(max(c.From, c.Held.Sequence+1) - 1)
	for wait := retryWait; ; wait = min(2*wait, retryMost) {
		err := w.run(ctx)
		wasFresh := w.fresh
		w.tell(false)
		var verdict *final
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &verdict):
			return verdict.error
		case wasFresh:
			s.j.log.InfoContext(ctx, "watching again", "stream", s.name, "after", w.held.Sequence, "error", err)
			wait = retryWait
		}
		if s.j.pause(ctx, wait) != nil {
			return nil
		}
	}
}

type watch struct {
	s        *Stream
	c        WatchConfig
	held     Entry         // delivered last
	at       atomic.Uint64 // its sequence; below there is nothing for this watch
	target   uint64        // what the leader had last when this run began
	caughtUp func()        // for the first time in this run
	ready    bool
	fresh    bool
}

// run watches until something breaks.
func (w *watch) run(ctx context.Context) error {
	if err := w.compare(ctx); err != nil {
		return err
	}
	target, err := w.leaderHas(ctx)
	if err != nil {
		return err
	}
	w.target = target
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	w.caughtUp = func() {
		if w.s.copies > 1 {
			go func() { giveUp(w.probe(ctx)) }()
		}
	}
	c := consumer{subjects: w.c.Subjects, from: w.at.Load() + 1}
	c.latest = w.at.Load() == 0 && w.c.From == 0 && !w.c.All
	return w.s.pull(ctx, c, w.deliver)
}

// probe asks the leader again and again, and returns why this watch can no
// longer be called fresh.
func (w *watch) probe(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for behind := uint64(0); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		target, err := w.leaderHas(ctx)
		if err != nil {
			return err
		}
		if at := w.at.Load(); behind > at {
			return fmt.Errorf("at %d for a second, though the leader has %d", at, behind)
		}
		behind = target
	}
}

// compare reads the held entry again. One that is gone because the stream let
// go of everything up to there is no divergence, nor is one that another of its
// subject has replaced.
func (w *watch) compare(ctx context.Context) error {
	if w.held.Sequence == 0 {
		return nil
	}
	e, err := w.s.Get(ctx, w.held.Sequence)
	switch {
	case errors.Is(err, ErrNotFound):
		return w.aged(ctx)
	case err != nil:
		return err
	case e.Subject != w.held.Subject || !bytes.Equal(e.Data, w.held.Data):
		return w.diverged("holds another entry at %d", w.held.Sequence)
	}
	return nil
}

func (w *watch) aged(ctx context.Context) error {
	info, err := w.s.j.info(ctx, w.s.name)
	switch {
	case err != nil:
		return err
	case info.State.LastSeq < w.held.Sequence:
		return w.diverged("ends at %d, before %d", info.State.LastSeq, w.held.Sequence)
	case w.s.latest:
		return w.replaced(ctx)
	case !w.s.forgets || info.State.FirstSeq <= w.held.Sequence:
		return w.diverged("has no entry at %d", w.held.Sequence)
	}
	return nil
}

func (w *watch) replaced(ctx context.Context) error {
	e, err := w.s.Last(ctx, w.held.Subject)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if e.Sequence <= w.held.Sequence {
		return w.diverged("has no entry at %d, and none later of %s", w.held.Sequence, w.held.Subject)
	}
	return nil
}

func (w *watch) diverged(format string, v ...any) error {
	return &final{fmt.Errorf("watching %s, it %s: %w", w.s.name, fmt.Sprintf(format, v...), ErrDiverged)}
}

// leaderHas asks the leader how far there is to go. The consumer may live on a
// replica that lags, and says nothing is pending when nothing is there yet.
func (w *watch) leaderHas(ctx context.Context) (last uint64, err error) {
	subjects := w.c.Subjects
	if len(subjects) == 0 {
		subjects = []string{">"}
	}
	for _, subject := range subjects {
		e, err := w.s.Last(ctx, subject)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		last = max(last, e.Sequence)
	}
	return last, nil
}

func (w *watch) deliver(e Entry, pending uint64) (bool, error) {
	if e.Sequence > 0 {
		if err := w.c.Entry(e); err != nil {
			return false, err
		}
		w.held = e
		w.at.Store(e.Sequence)
	}
	if pending > 0 || w.at.Load() < w.target {
		return w.fresh, nil
	}
	if !w.ready {
		w.ready = true
		if w.c.Ready != nil {
			w.c.Ready()
		}
	}
	if !w.fresh {
		w.caughtUp()
	}
	w.tell(true)
	return true, nil
}

func (w *watch) tell(fresh bool) {
	if w.fresh == fresh {
		return
	}
	w.fresh = fresh
	if w.c.Fresh != nil {
		w.c.Fresh(fresh)
	}
}
