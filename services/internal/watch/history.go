package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
)

var errReached = errors.New("reached")

// DirectoryAt folds DIRECTORY anew as it was at a sequence: what a window blocked can be told after
// the directory has changed. It reads the whole history up to there.
func (w *Watcher) DirectoryAt(ctx context.Context, sequence uint64) (*emergency.Snapshot, error) {
	var then *emergency.Snapshot
	err := w.DirectoriesAt(ctx, []uint64{sequence}, func(_ uint64, s *emergency.Snapshot) { then = s })
	return then, err
}

// DirectoriesAt does the same for many sequences, in rising order, and reads the history once.
func (w *Watcher) DirectoriesAt(ctx context.Context, sequences []uint64, each func(sequence uint64, then *emergency.Snapshot)) error {
	stream, err := w.config.Journal.Stream(ctx, Directory)
	if err != nil {
		return fmt.Errorf("opening %s: %w", Directory, err)
	}
	b := emergency.NewBuilder()
	d := newDirectory(b)
	err = stream.Replay(ctx, 1, func(e journal.Entry) error {
		for len(sequences) > 0 && e.Sequence > sequences[0] {
			each(sequences[0], b.Snapshot(w.config.Now()))
			sequences = sequences[1:]
		}
		if len(sequences) == 0 {
			return errReached
		}
		return d.put(e)
	})
	if err != nil && !errors.Is(err, errReached) {
		return fmt.Errorf("replaying %s: %w", Directory, err)
	}
	for _, sequence := range sequences { // nothing was written since
		each(sequence, b.Snapshot(w.config.Now()))
	}
	return nil
}

// Open reads an entry of EMERGENCY for whoever gets it by another way than the watched State. The keys that may have
// signed it are those that were to be trusted to begin with, and those that followed them as far as the journal has
// been read here: of an entry that comes before its key does it is an error, and none a little later.
func (w *Watcher) Open(sequence uint64, subject string, stored []byte) (*emergencyv1.Entry, error) {
	w.mu.Lock()
	keys := w.config.Trust
	if w.fold != nil {
		keys = maps.Clone(w.fold.keys)
	}
	w.mu.Unlock()
	return keys.Open(sequence, subject, stored)
}
