package condition

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

// lightEvery is how often a beacon is written.
const lightEvery = 500 * time.Millisecond

// Beacon writes, as long as the record takes new entries, how far the streams are that decide. Whoever sees one that is new and
// holds what it names has missed nothing. Every replica of emergency-control writes its own over that of the others.
type Beacon struct {
	Journal *journal.Journal
	// Epoch is EMERGENCY's, 0 while it is not known.
	Epoch func() uint64
	// Ready reports whether the record takes new entries.
	Ready  func() bool
	Writer string
	Log    *slog.Logger
}

// Run writes until the context ends.
func (b Beacon) Run(ctx context.Context) error {
	tick := time.NewTicker(lightEvery)
	defer tick.Stop()
	for lit := true; ; {
		err := b.light(ctx)
		if (err == nil) != lit && ctx.Err() == nil {
			lit = err == nil
			b.Log.WarnContext(ctx, "whether beacons are written has changed; without them strict doors refuse", "written", lit, "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

var errNotReady = errors.New("the record takes nothing new")

// light writes one. It asks first, so that what it names was on record before it was written.
func (b Beacon) light(ctx context.Context) error {
	epoch := b.Epoch()
	if epoch == 0 || !b.Ready() {
		return errNotReady
	}
	heads, err := b.Journal.Heads(ctx, watch.Emergency, watch.Identity, watch.Directory)
	if err != nil {
		return err
	}
	data, err := proto.Marshal(&emergencyv1.Beacon{Epoch: epoch, Heads: heads, Writer: b.Writer})
	if err != nil {
		return err
	}
	return b.Journal.Light(ctx, data)
}
