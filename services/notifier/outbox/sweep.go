package outbox

import (
	"context"
	"time"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// sweepSlack lets whoever works on a delivery come first.
const sweepSlack = time.Minute

// Sweep gives up what nobody will try any more: what is too old, in a lane that rests, and what stands in a lane
// that is gone.
func (b *Box) Sweep(ctx context.Context, exists func(lane string) bool) error {
	for _, d := range b.forsaken(exists) {
		if _, err := b.change(ctx, d.id, d.over); err != nil {
			return err
		}
	}
	return nil
}

func (b *Box) forsaken(exists func(lane string) bool) []done {
	now := b.config.Now()
	b.mu.RLock()
	defer b.mu.RUnlock()
	var all []done
	for _, r := range b.order {
		if r.state != notificationv1.Delivery_QUEUED {
			continue
		}
		age := now.Sub(time.UnixMilli(r.queuedFor)) - sweepSlack
		one := standing{id: r.id.String(), resends: r.resends}
		switch {
		case age > 0 && !exists(b.words.all[r.lane]):
			d := b.givenUp(one, "")
			d.why = "The account that it was to go by is no longer there"
			all = append(all, d)
		case age > b.config.GiveUp:
			all = append(all, b.givenUp(one, b.words.all[r.error]))
		}
	}
	return all
}
