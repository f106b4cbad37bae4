package mailbox

import (
	"context"
	"math/rand/v2"
	"time"
)

const maxRetry = 5 * time.Minute

// Check reads the mailbox once, and answers how it went; the error is the status's.
func Check(ctx context.Context, box Box, d Deps) (Status, error) {
	if err := d.Memory.take(ctx); err != nil {
		return Status{}, err
	}
	defer d.Memory.give()
	box, err := box.withDefaults()
	if err == nil {
		err = checkOnce(ctx, box, d)
	}
	return d.told(box, err), err
}

func checkOnce(ctx context.Context, box Box, d Deps) error {
	if box.pop() {
		s, err := openPOP3(ctx, box, d.Memory)
		if err != nil {
			return err
		}
		return finish(ctx, s, d, s.close)
	}
	s, err := openIMAP(ctx, box, d.Memory)
	if err != nil {
		return err
	}
	return finish(ctx, s, d, s.close)
}

// finish reads, and takes leave also after a failure: what was handled is deleted then.
func finish(ctx context.Context, s store, d Deps, leave func(context.Context) error) error {
	left, err := sweep(ctx, s, d)
	if end := leave(ctx); err == nil {
		err = end
	}
	if err != nil {
		return err
	}
	return left
}

// told makes the status of a reading, and tells it.
func (d Deps) told(box Box, err error) Status {
	reason := ""
	if err != nil {
		reason = box.reason(err)
	}
	status := d.Memory.report(reason)
	if d.Tell != nil {
		d.Tell(status)
	}
	return status
}

// Follow reads the mailbox until the context ends: at once where the server tells of new mail, else by and by. After a
// failure it waits, longer each time.
func Follow(ctx context.Context, box Box, d Deps) {
	checked, _ := box.withDefaults()
	retry := checked.Timeouts.Retry
	for ctx.Err() == nil {
		began := time.Now()
		wait := checked.Timeouts.Poll
		if err := stay(ctx, box, d); err != nil {
			if time.Since(began) > maxRetry {
				retry = checked.Timeouts.Retry
			}
			wait = retry/2 + rand.N(retry/2+1) // #nosec G404 -- spreads attempts, hides nothing
			retry = min(2*retry, maxRetry)
		} else {
			retry = checked.Timeouts.Retry
		}
		pause(ctx, wait)
	}
}

func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// stay reads once, and then as often as the server tells of mail, if it does.
func stay(ctx context.Context, box Box, d Deps) error {
	box, err := box.withDefaults()
	if err != nil || box.pop() {
		_, err := Check(ctx, box, d)
		return err
	}
	s, err := openIMAP(ctx, box, d.Memory)
	if err != nil {
		return d.failed(ctx, box, err)
	}
	for {
		left, err := s.turn(ctx, d)
		if err != nil {
			s.hangUp()
			return d.failed(ctx, box, err)
		}
		if !s.idles(ctx) {
			return s.close(ctx)
		}
		limit := box.Timeouts.Refresh
		if left != nil {
			limit = box.Timeouts.Poll
		}
		if err := s.await(ctx, limit); err != nil {
			s.hangUp()
			return d.failed(ctx, box, err)
		}
	}
}

// turn is one reading of many by the same connection.
func (s *imapStore) turn(ctx context.Context, d Deps) (left, err error) {
	if err := d.Memory.take(ctx); err != nil {
		return nil, err
	}
	defer d.Memory.give()
	left, err = sweep(ctx, s, d)
	if end := s.expunge(ctx); err == nil {
		err = end
	}
	if err == nil {
		d.told(s.box, left)
	}
	return left, err
}

// failed tells of it, unless it is our own end.
func (d Deps) failed(ctx context.Context, box Box, err error) error {
	if ctx.Err() != nil || d.Memory.take(ctx) != nil {
		return err
	}
	defer d.Memory.give()
	d.told(box, err)
	return err
}
