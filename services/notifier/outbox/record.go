package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/journal"
)

const (
	recordMost  = 32 // in one write; as many more may wait for the next
	recordEvery = 50 * time.Millisecond
	recordAgain = time.Second
)

// recorder puts on disk what became of deliveries, several at once, and none later than a moment: what is not
// there when this process dies is said again.
type recorder struct {
	box  *Box
	ctx  context.Context // goes on after stop, for what is under way
	stop <-chan struct{}
	in   chan done
	over sync.WaitGroup
}

func (b *Box) recorder(ctx context.Context) *recorder {
	r := &recorder{box: b, ctx: context.WithoutCancel(ctx), stop: ctx.Done(), in: make(chan done, recordMost)}
	r.over.Go(r.run)
	return r
}

func (r *recorder) add(d done) { r.in <- d }

// finish returns when everything is on disk, or was told that it can't be put there.
func (r *recorder) finish() {
	close(r.in)
	r.over.Wait()
}

func (r *recorder) run() {
	var some []done
	timer := time.NewTimer(recordEvery)
	defer timer.Stop()
	for {
		select {
		case d, more := <-r.in:
			if more {
				if some = append(some, d); len(some) == 1 {
					timer.Reset(recordEvery)
				}
			}
			if !more || len(some) >= recordMost {
				r.put(some)
				some = nil
			}
			if !more {
				return
			}
		case <-timer.C:
			r.put(some)
			some = nil
		}
	}
}

// put records some, all in one write; where another change came in between, each by itself.
func (r *recorder) put(some []done) {
	if len(some) == 0 {
		return
	}
	err := r.patiently(func() error {
		last, err := r.box.putTogether(r.ctx, some)
		if err != nil {
			return err
		}
		return r.box.wait(r.ctx, last)
	})
	for _, d := range some {
		one := err
		if errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrUnknown) {
			one = r.patiently(func() error {
				_, err := r.box.change(r.ctx, d.id, d.over)
				return err
			})
		}
		if one != nil {
			d.lost(fmt.Errorf("putting on record how a delivery went: %w", one))
		}
	}
}

// patiently tries again while the journal is away, for as long as this process has: what is not on record is said
// again.
func (r *recorder) patiently(try func() error) error {
	for {
		err := try()
		if !errors.Is(err, journal.ErrUnavailable) || errors.Is(err, journal.ErrUnknown) {
			return err
		}
		select {
		case <-time.After(recordAgain):
		case <-r.stop:
			return err
		}
	}
}

func (b *Box) putTogether(ctx context.Context, some []done) (uint64, error) {
	messages := make([]journal.Message, len(some))
	for i, d := range some {
		p := new(notificationv1.ProgressRecord)
		if d.rowAt != 0 {
			e, err := b.stream.Get(ctx, d.rowAt)
			if err != nil {
				return 0, err
			}
			if err := proto.Unmarshal(e.Data, p); err != nil {
				return 0, fmt.Errorf("reading a delivery: %w", err)
			}
		}
		if err := d.over(p); err != nil {
			return 0, journal.ErrConflict // it is no longer what it was: each by itself
		}
		data, err := proto.Marshal(p)
		if err != nil {
			return 0, fmt.Errorf("encoding a delivery: %w", err)
		}
		messages[i] = journal.Message{Subject: subjectRow + d.id, Data: data, Expect: journal.OnSubject(d.rowAt)}
	}
	return b.stream.AppendBatch(ctx, messages)
}

// over writes what became of a delivery over how it stood. A bounce that was quicker than this stands.
func (d done) over(p *notificationv1.ProgressRecord) error {
	if p.GetResends() > d.resends {
		return journal.ErrUnchanged
	}
	if p.GetResends() < d.resends {
		p.State, p.Attempts = notificationv1.Delivery_STATE_UNSPECIFIED, 0
	}
	p.Resends = d.resends
	if d.attempt != nil {
		p.Attempts++
	}
	p.LatestAttempts = kept(p.GetLatestAttempts(), d.attempt)
	p.MaybeRepeated, p.NextAttemptTime, p.UpdateTime = p.GetMaybeRepeated() || d.repeated, nil, timestamppb.New(d.time)
	if settled(p.GetState()) && d.to == notificationv1.Delivery_SENT {
		return nil
	}
	if d.to == notificationv1.Delivery_QUEUED {
		p.NextAttemptTime = timestamppb.New(d.time.Add(d.after))
	}
	p.State, p.Error = d.to, d.why
	return nil
}

// settled reports whether somebody beyond our own server has spoken.
func settled(s notificationv1.Delivery_State) bool {
	return s == notificationv1.Delivery_DELIVERED || s == notificationv1.Delivery_READ || s == notificationv1.Delivery_BOUNCED
}

// change changes how a delivery stands, and returns once that is known here.
func (b *Box) change(ctx context.Context, id string, change func(*notificationv1.ProgressRecord) error) (*notificationv1.ProgressRecord, error) {
	p := new(notificationv1.ProgressRecord)
	e, err := b.stream.Update(ctx, subjectRow+id, func(last journal.Entry, found bool) ([]byte, error) {
		p.Reset()
		if found {
			if err := proto.Unmarshal(last.Data, p); err != nil {
				return nil, fmt.Errorf("reading a delivery: %w", err)
			}
		}
		if err := change(p); err != nil {
			return nil, err
		}
		return proto.Marshal(p)
	})
	if err != nil {
		return nil, err
	}
	return p, b.wait(ctx, e.Sequence)
}
