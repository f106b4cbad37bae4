package watch

import (
	"context"
	"errors"
	"fmt"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/services/internal/journal"
)

var errReached = errors.New("reached")

// DirectoryAt folds DIRECTORY anew as it was at a sequence: what a window blocked can be told after
// the directory has changed. It reads the whole history up to there.
func (w *Watcher) DirectoryAt(ctx context.Context, sequence uint64) (*emergency.Snapshot, error) {
	stream, err := w.config.Journal.Stream(ctx, Directory)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", Directory, err)
	}
	b := emergency.NewBuilder()
	d := newDirectory(b)
	err = stream.Replay(ctx, 1, func(e journal.Entry) error {
		if e.Sequence > sequence {
			return errReached
		}
		return d.put(e)
	})
	if err != nil && !errors.Is(err, errReached) {
		return nil, fmt.Errorf("replaying %s up to %d: %w", Directory, sequence, err)
	}
	return b.Snapshot(w.config.Now()), nil
}
