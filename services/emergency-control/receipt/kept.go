package receipt

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	// keepEvery is how far apart the times of one emergency are written, while they change.
	keepEvery = time.Second
	// pruneEvery is how often who was not heard for long is let go of.
	pruneEvery = time.Minute
	// keptMost is how many bytes the receipts of one emergency take: they must go into one message of the journal.
	keptMost = 900 << 10
)

// Keep has what was measured put on record, once a second at most and only while it changes, until the context ends. What can't be
// written is tried again. Meanwhile who was not heard for long is let go of.
func (f *Fold) Keep(ctx context.Context, write func(ctx context.Context, emergency string, merge func(*emergencyv1.ReceiptsRecord) *emergencyv1.ReceiptsRecord) error) error {
	tick, old := time.NewTicker(keepEvery), time.NewTicker(pruneEvery)
	defer tick.Stop()
	defer old.Stop()
	for {
		select {
		case <-tick.C:
		case <-old.C:
			f.prune(f.now())
		case <-ctx.Done():
			return nil
		}
		for _, id := range f.changed() {
			err := write(ctx, id, func(before *emergencyv1.ReceiptsRecord) *emergencyv1.ReceiptsRecord { return f.merged(id, before) })
			if err != nil && ctx.Err() == nil {
				f.Log.DebugContext(ctx, "what was measured of an emergency was not kept; it is tried again", "emergency", id, "error", err)
				f.again(id)
			}
		}
	}
}

// changed are the emergencies of which something was measured since it was kept.
func (f *Fold) changed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, id := range f.order {
		if t := f.times[id]; t.changed && !t.revision.IsZero() {
			t.changed = false
			all = append(all, id)
		}
	}
	return all
}

func (f *Fold) again(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.times[id]; t != nil {
		t.changed = true
	}
}

// merged is what is on record of an emergency with what was measured here; nil where that adds nothing. What is on record first
// stands.
func (f *Fold) merged(id string, before *emergencyv1.ReceiptsRecord) *emergencyv1.ReceiptsRecord {
	if before != nil {
		f.Kept(before)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.times[id]
	if t == nil {
		return nil
	}
	next := t.record(id)
	stand(next, before)
	fit(next)
	if proto.Equal(before, next) || before == nil && len(next.GetReceipts()) == 0 {
		return nil
	}
	return next
}

// stand keeps what was on record as it was.
func stand(next, before *emergencyv1.ReceiptsRecord) {
	if before.GetDurableTime() != nil {
		next.DurableTime = before.GetDurableTime()
	}
	was := make(map[string]*emergencyv1.KeptReceipt, len(before.GetReceipts()))
	for _, k := range before.GetReceipts() {
		was[k.GetEnforcer()] = k
	}
	for _, k := range next.GetReceipts() {
		if b := was[k.GetEnforcer()]; b != nil && b.HeldMs != nil {
			k.HeldMs, k.HeldTime, k.LastAllowedTime, k.BeganAfter = b.HeldMs, b.GetHeldTime(), b.GetLastAllowedTime(), b.GetBeganAfter()
		}
	}
}

// record is all that is known of the times of one emergency.
func (t *timing) record(id string) *emergencyv1.ReceiptsRecord {
	r := &emergencyv1.ReceiptsRecord{Emergency: id, Revision: t.revision.String()}
	if !t.durable.IsZero() {
		r.DurableTime = timestamppb.New(t.durable)
	}
	if !t.lastEnd.IsZero() {
		r.LastEndTime = timestamppb.New(t.lastEnd)
	}
	for _, key := range slices.Sorted(maps.Keys(t.held)) {
		h := t.held[key]
		k := &emergencyv1.KeptReceipt{Enforcer: key, HeldTime: h.at, LastAllowedTime: h.allowed, BeganAfter: h.after, Ended: t.ended[key]}
		if h.timed {
			k.HeldMs = new(h.ms)
		}
		r.Receipts = append(r.Receipts, k)
	}
	for _, key := range slices.Sorted(maps.Keys(t.ended)) {
		if t.held[key] == nil {
			r.Receipts = append(r.Receipts, &emergencyv1.KeptReceipt{Enforcer: key, Ended: t.ended[key]})
		}
	}
	return r
}

// fit leaves out what does not go into one message: of the fastest the moments by their own clocks first, which are for people, so that
// of ten thousand doors each keeps how long it took; then the fastest, for the slowest tell most.
func fit(r *emergencyv1.ReceiptsRecord) {
	if proto.Size(r) <= keptMost {
		return
	}
	slices.SortStableFunc(r.Receipts, func(a, b *emergencyv1.KeptReceipt) int { return cmp.Compare(b.GetHeldMs(), a.GetHeldMs()) })
	for from := len(r.GetReceipts()) * 3 / 4; from > 0 && proto.Size(r) > keptMost; from = from * 3 / 4 {
		for _, k := range r.GetReceipts()[from:] {
			if k.HeldMs != nil {
				k.HeldTime, k.LastAllowedTime = nil, nil
			}
		}
	}
	for proto.Size(r) > keptMost {
		r.Receipts = r.Receipts[:len(r.GetReceipts())*3/4]
	}
	slices.SortFunc(r.Receipts, func(a, b *emergencyv1.KeptReceipt) int { return cmp.Compare(a.GetEnforcer(), b.GetEnforcer()) }) // or it looks new
}

// Kept takes what is on record of an emergency: another has measured it, or a life of this process before. What was measured here
// as well stays, so that a watch is answered by one clock.
func (f *Fold) Kept(r *emergencyv1.ReceiptsRecord) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.times[r.GetEmergency()]
	if t == nil {
		t = &timing{held: map[string]*holding{}, ended: map[string]map[string]uint32{}}
		f.remember(r.GetEmergency(), t)
	}
	t.kept = true
	if t.revision.IsZero() {
		t.revision = revision(r.GetRevision())
	}
	if t.durable.IsZero() && r.GetDurableTime() != nil {
		t.durable = r.GetDurableTime().AsTime()
	}
	if end := r.GetLastEndTime(); end != nil && end.AsTime().After(t.lastEnd) {
		t.lastEnd = end.AsTime()
	}
	for _, k := range r.GetReceipts() {
		key := k.GetEnforcer()
		if t.held[key] == nil && (k.HeldMs != nil || k.GetHeldTime() != nil || k.GetBeganAfter()) {
			f.holdings++
			t.held[key] = &holding{ms: k.GetHeldMs(), timed: k.HeldMs != nil, after: k.GetBeganAfter(), at: k.GetHeldTime(), allowed: k.GetLastAllowedTime()}
		}
		for life, n := range k.GetEnded() {
			t.counts(key, life, n)
		}
	}
	f.let()
}
