package checkpoint

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	apart    = time.Second // two publications
	firstTry = time.Second
	lastTry  = 5 * time.Minute
)

// Publisher publishes checkpoints: after each entry, once a second at most, and at its interval when nothing happens.
// A place that doesn't take one holds nobody up: it is tried again with the newest one, which says all that those before
// it said.
type Publisher struct {
	Config
	// Note answers the newest checkpoint; an error means that none can be signed now.
	Note func() (string, error)
	// Moved answers what is closed at the next entry.
	Moved func() <-chan struct{}
	// Whole is closed once notes say all that they are to say: those before are of the record alone.
	Whole <-chan struct{}
	Log   *slog.Logger
}

// Run publishes until the context ends.
func (p Publisher) Run(ctx context.Context) error {
	var g errgroup.Group
	if p.File != "" {
		file := fileOf(p.File, p.Instance)
		g.Go(func() error {
			return p.keep(ctx, "file", func(_ context.Context, note string) error { return appendTo(file, note) })
		})
	}
	if p.Webhook != "" {
		hook := newHook(p.Config)
		g.Go(func() error { return p.keep(ctx, "webhook", hook.post) })
	}
	return g.Wait()
}

// keep brings one place what there is to publish.
func (p Publisher) keep(ctx context.Context, place string, put func(context.Context, string) error) error {
	whole := p.Whole
	for wait := firstTry; ctx.Err() == nil; {
		select {
		case <-whole:
			whole = nil
		default:
		}
		moved, next, began := p.Moved(), p.Interval, time.Now()
		note, err := p.Note()
		if err == nil {
			err = put(ctx, note)
		}
		switch {
		case err == nil:
			wait = firstTry
		case ctx.Err() == nil:
			p.Log.ErrorContext(ctx, "a checkpoint could not be published", "to", place, "again", wait, "error", err)
			moved, next, wait = nil, wait, min(2*wait, lastTry)
		}
		select {
		case <-ctx.Done():
		case <-time.After(next):
		case <-moved:
		case <-whole:
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(began.Add(apart))):
		}
	}
	return nil
}

// fileOf is a replica's own file where the path is a folder's.
func fileOf(path, instance string) string {
	if is, err := os.Stat(path); err == nil && is.IsDir() {
		return filepath.Join(path, instance+".checkpoints")
	}
	return path
}

// appendTo adds a note to a file, which may take nothing but that (chattr +a), and answers once it is on disk. The
// empty line before it ends what a power cut may have left of the one before.
func appendTo(name, note string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644) // #nosec G302 G304 -- to be read by whoever witnesses, in the place that the configuration names
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + note)
	if err == nil {
		err = f.Sync()
	}
	if wrong := f.Close(); err == nil {
		err = wrong
	}
	return err
}
