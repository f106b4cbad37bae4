package watch_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

const bound = 2 * time.Second

// strict answers a watcher whose clock of the machine is on by as much as ahead says.
func (r *record) strict(ahead *atomic.Int64) *watch.Watcher {
	r.t.Helper()
	began := time.Now()
	return watch.New(watch.Config{
		Journal: r.journal, Trust: audit.Trust(r.key.Public().(ed25519.PublicKey)), Directory: true, Log: slog.New(slog.DiscardHandler),
		Staleness: watch.Staleness{Strict: true, Bound: bound},
		Boot:      func() time.Duration { return time.Since(began) + time.Duration(ahead.Load()) },
	})
}

func (r *record) beacons() {
	r.t.Helper()
	if err := journal.Create(r.t.Context(), r.journal, []journal.StreamConfig{journal.Beacons(1)}); err != nil {
		r.t.Fatal(err)
	}
}

// beacon names the heads as they are, with so many more entries of IDENTITY.
func (r *record) beacon(epoch, more uint64) []byte {
	r.t.Helper()
	heads, err := r.journal.Heads(r.t.Context(), watch.Emergency, watch.Identity, watch.Directory)
	if err != nil {
		r.t.Fatal(err)
	}
	heads[watch.Identity] += more
	data, err := proto.Marshal(&emergencyv1.Beacon{Epoch: epoch, Heads: heads})
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

func (r *record) light(beacon []byte) {
	if err := r.journal.Light(r.t.Context(), beacon); err != nil {
		r.t.Error(err)
	}
}

// shine writes the same beacon again and again until the test calls stop.
func (r *record) shine(epoch, more uint64) (stop func()) {
	beacon := r.beacon(epoch, more)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(100 * time.Millisecond); ctx.Err() == nil; {
			r.light(beacon)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() { cancel(); <-done }
}

func becomes(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("it never comes that %s", what)
}

func fresh(w *watch.Watcher) func() bool {
	return func() bool { return w.State() != nil && !w.Stale() }
}
func stale(w *watch.Watcher) func() bool { return func() bool { return w.Stale() } }

func TestAStrictViewIsFreshWhileItSeesBeaconsAndHoldsWhatTheyName(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	r.beacons()
	r.write(r.lockdown("L-1"), r.key)
	var ahead atomic.Int64
	w := r.strict(&ahead)
	if !w.Stale() {
		t.Error("it is fresh before it knows anything")
	}
	r.light(r.beacon(7, 0)) // one that was there before says nothing of now
	r.run(w)
	<-w.Ready()
	if !w.Stale() {
		t.Error("an old beacon has made it fresh")
	}
	stop := r.shine(7, 0)
	becomes(t, "beacons make it fresh", fresh(w))
	b := new(emergencyv1.Beat)
	if w.Tell(b); b.GetMode() != emergencyv1.Enforcer_STRICT || b.GetAge() == nil || b.GetAge().AsDuration() > bound || b.GetBound().AsDuration() != bound {
		t.Error(b)
	}

	ahead.Store(int64(time.Hour)) // the machine was suspended
	if !w.Stale() || w.Age() < time.Hour {
		t.Errorf("it wakes up with a view that is %s old", w.Age())
	}
	becomes(t, "it is fresh again", fresh(w))
	stop()
	becomes(t, "it is stale without beacons, though it follows the journal", stale(w))
	if !w.State().Fresh {
		t.Error("the journal is not followed")
	}
	if _, ok := w.Vouch(); ok {
		t.Error("it vouches for others all the same")
	}
	for _, one := range []struct {
		name        string
		epoch, more uint64
	}{{"name an entry that it has not", 7, 1}, {"are of another epoch", 8, 0}} {
		stop := r.shine(one.epoch, one.more)
		time.Sleep(2 * bound / 3) // that nothing happens takes a while to see
		if !w.Stale() {
			t.Errorf("it is fresh by beacons that %s", one.name)
		}
		stop()
	}
	defer r.shine(7, 1)()
	r.append(watch.Identity, "identity.role.later", nil)
	becomes(t, "it is fresh once it holds what beacons name", fresh(w))
}

func TestAStrictViewIsStaleWithoutTheJournalAndFreshOnceItIsBack(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	r.beacons()
	r.write(r.lockdown("L-1"), r.key)
	var ahead atomic.Int64
	w := r.strict(&ahead)
	r.run(w)
	<-w.Ready()
	stop := r.shine(7, 0)
	becomes(t, "beacons make it fresh", fresh(w))
	stop()
	at := r.server.URL()
	r.server.Shutdown()
	becomes(t, "it is stale without the journal", stale(w))
	if w.State().Emergency.LockdownUntil(time.Now()).IsZero() {
		t.Error("what it knows to be on is forgotten")
	}
	r.start(at)
	becomes(t, "it is fresh again by itself", fresh(w)) // though the one server has forgotten the stream of beacons
	r.beacons()
	becomes(t, "it is stale with a stream in which nobody writes", stale(w))
	defer r.shine(7, 0)()
	becomes(t, "it is fresh by beacons again", fresh(w))
}

func TestWhereNobodyWritesBeaconsYetThatTheJournalIsFollowedVouches(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	r.beacons()
	w := r.watch()
	becomes(t, "it vouches", func() bool { _, ok := w.Vouch(); return ok })
	if w.Stale() {
		t.Error("one that goes on with what it has refuses")
	}
	b := new(emergencyv1.Beat)
	if w.Tell(b); b.GetMode() != emergencyv1.Enforcer_BEST_EFFORT || b.Age != nil || b.GetBound().AsDuration() != watch.Bound {
		t.Error(b)
	}
}
