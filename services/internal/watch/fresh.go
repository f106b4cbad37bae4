package watch

import (
	"context"
	"errors"
	"math"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/pkg/age"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
)

// Staleness is what a door does when it can't tell whether it knows all that is on record.
type Staleness struct {
	// Strict refuses once the view is older than Bound; otherwise the door goes on with what it has.
	Strict bool
	Bound  time.Duration
}

// never is the age of a view that nothing has vouched for.
const never = time.Duration(math.MaxInt64)

const (
	// lookEvery is how often a beacon is looked for: twice as often as one is written.
	lookEvery = 250 * time.Millisecond
	// lookSoon is how often while the view is older than a beacon makes it.
	lookSoon    = 100 * time.Millisecond
	proofsAwait = 32 // beacons that name more than is held yet; the oldest go
)

// sighting is the beacon that was there when somebody last looked.
type sighting struct {
	sequence uint64 // 0 while none was ever seen
	asked    age.Moment
}

// proof is what a beacon shows about a moment, once all that it names is held.
type proof struct {
	beacon *emergencyv1.Beacon
	at     age.Moment
}

// Age is how long ago it is certain that the State missed nothing. It goes by whichever of the wall clock and the time since
// boot says more, so a machine that was suspended wakes up with an old view.
func (w *Watcher) Age() time.Duration {
	at := w.proven.Load()
	if at == nil {
		return never
	}
	return w.clock.Since(*at)
}

// Stale reports whether a door must refuse because it can't tell: where it is strict, and the view older than its bound.
func (w *Watcher) Stale() bool {
	return w.config.Staleness.Strict && w.Age() > w.config.Staleness.Bound
}

// Vouch answers for how old a view another may go by this one's, and whether at all. Where no beacon was ever seen, as in the
// middle of an upgrade, that the journal is followed has to do.
func (w *Watcher) Vouch() (old time.Duration, ok bool) {
	if old = w.Age(); old <= w.config.Staleness.Bound {
		return old, true
	}
	w.mu.Lock()
	unlit := w.sighted.sequence == 0
	w.mu.Unlock()
	state := w.State()
	return 0, unlit && state != nil && state.Fresh
}

// Tell adds to a beat how fresh the view is, and when it took hold of the newest emergency.
func (w *Watcher) Tell(b *emergencyv1.Beat) {
	if state := w.State(); state != nil {
		if p := state.Emergency.Practised(w.config.Now()); p != nil {
			w.practice.of(p.Drill) // that it would have refused nobody is told, too
		}
	}
	b.Drills = w.practice.told()
	b.Mode, b.Bound = emergencyv1.Enforcer_BEST_EFFORT, durationpb.New(w.config.Staleness.Bound)
	if w.config.Staleness.Strict {
		b.Mode = emergencyv1.Enforcer_STRICT
	}
	if old := w.Age(); old != never {
		b.Age = durationpb.New(old)
	}
	w.State().tellHold(b)
}

// lookOut looks for beacons until the context ends.
func (w *Watcher) lookOut(ctx context.Context) {
	for {
		seen := w.look(ctx)
		wait := lookEvery
		if seen && w.Age() > 4*lookEvery {
			wait = lookSoon
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// look asks for the last beacon, and reports whether there is any. One that was not there when it last asked was written since: so no clock but this one's is
// believed, and an answer that comes late makes nothing younger.
func (w *Watcher) look(ctx context.Context) (seen bool) {
	asked := w.clock.Now()
	e, err := w.config.Journal.Beacon(ctx)
	if errors.Is(err, journal.ErrNoStream) {
		return w.ask(ctx, asked)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		return false
	}
	before := w.sighted
	w.sighted = sighting{sequence: e.Sequence, asked: asked}
	if before.sequence == 0 || e.Sequence <= before.sequence { // the same, or the first of another series
		return true
	}
	b := new(emergencyv1.Beacon)
	if err := proto.Unmarshal(e.Data, b); err != nil {
		w.config.Log.ErrorContext(ctx, "a beacon can't be read", "sequence", e.Sequence, "error", err)
		return true
	}
	w.prove(proof{b, before.asked})
	return true
}

// ask does without beacons: one server by itself forgets their stream when it is started anew, and is no minority that hears of nothing
// more. What its streams have after the question was on record before it or came since.
func (w *Watcher) ask(ctx context.Context, asked age.Moment) (answered bool) {
	heads, err := w.config.Journal.Heads(ctx, w.streams()...)
	w.mu.Lock()
	defer w.mu.Unlock()
	state := w.state.Load()
	if err != nil || state == nil {
		return false
	}
	w.prove(proof{&emergencyv1.Beacon{Epoch: state.Emergency.Revision().Epoch, Heads: heads}, asked})
	return true
}

// prove takes the latest proof of which all is held, of those that are there and more. The lock is held.
func (w *Watcher) prove(more ...proof) {
	w.proofs = append(w.proofs, more...)
	w.proofs = w.proofs[max(0, len(w.proofs)-proofsAwait):]
	state := w.state.Load()
	if state == nil {
		return
	}
	for i := len(w.proofs) - 1; i >= 0; i-- {
		if w.holdsAll(state, w.proofs[i].beacon) {
			w.proven.Store(&w.proofs[i].at)
			w.proofs = append([]proof(nil), w.proofs[i+1:]...)
			return
		}
	}
}

// holdsAll reports whether the State has all that a beacon names. A stream that it doesn't name, it doesn't vouch for.
func (w *Watcher) holdsAll(state *State, b *emergencyv1.Beacon) bool {
	if state.Emergency.Revision().Epoch != b.GetEpoch() {
		return false
	}
	for _, name := range w.streams() {
		head, named := b.GetHeads()[name]
		if !named || w.whole[name] < head {
			return false
		}
	}
	return true
}

// streams are those that are followed.
func (w *Watcher) streams() []string {
	if w.config.Directory {
		return []string{Emergency, Identity, Directory}
	}
	return []string{Emergency, Identity}
}
