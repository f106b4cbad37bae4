package watch_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/watch"
)

func holdOf(id string, lasts time.Duration) *emergencyv1.Emergency {
	now := time.Now()
	return &emergencyv1.Emergency{Id: id, Hold: id, Kind: emergencyv1.Emergency_LOCKDOWN, Started: true,
		StartTime: timestamppb.New(now), CreateTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(lasts))}
}

// reasonFor is what a door answers a program.
func reasonFor(w *watch.Watcher) emergency.Reason {
	return emergency.Decide(w.State().Emergency, emergency.Request{Token: "t-1", Channel: emergency.API}, time.Now()).Reason
}

func TestAHoldShutsAtOnceCutsWhatIsKnownAndOutlivesTheProcess(t *testing.T) {
	r := newRecord(t)
	before := r.lockdown("L-0001")
	before.CancelTime = timestamppb.Now()
	r.write(before, r.key)
	folder := t.TempDir()
	w := r.watch(folder)
	admitted := w.State().Emergency.Admission(time.Now())
	h := holdOf("H-1", 30*time.Minute)
	for range 2 {
		if err := w.Hold(h); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.State().Emergency.Emergency("H-1"); got.GetHold() != "H-1" || len(w.Holds()) != 1 {
		t.Fatalf("the view has %v, holds are %v", got, w.Holds())
	}
	if cut, over := w.State().Emergency.SignedOut("ann", "s-1", admitted, time.Now()); !over || cut.Emergency != "H-1" {
		t.Errorf("what was admitted before goes on: %v", cut)
	}
	next := r.watch(folder)
	if got := next.State().Emergency.Emergency("H-1"); got == nil || reasonFor(next) != emergency.LockedDown {
		t.Errorf("the next process has %v", got)
	}
}

func TestAHoldThatIsOnRecordGivesWayToItsLockdown(t *testing.T) {
	r := newRecord(t)
	folder := t.TempDir()
	w := r.watch(folder)
	if err := w.Hold(holdOf("H-1", 30*time.Minute)); err != nil {
		t.Fatal(err)
	}
	l := r.lockdown("L-0001")
	l.Hold = "H-1"
	r.wait(w, watch.Emergency, r.write(l, r.key))
	if reasonFor(w) != emergency.LockedDown || len(w.Holds()) != 0 {
		t.Errorf("it answers %v, holds are %v", reasonFor(w), w.Holds())
	}
	l.CancelTime = timestamppb.Now()
	r.wait(w, watch.Emergency, r.write(l, r.key))
	if got := reasonFor(w); got == emergency.LockedDown {
		t.Error("the hold goes on behind the lockdown that was cancelled")
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("it is still on disk: %v", left)
	}
	if err := w.Hold(holdOf("H-1", 30*time.Minute)); err != nil || reasonFor(w) == emergency.LockedDown {
		t.Errorf("it came back: %v", err)
	}
}

func TestAHoldLastsAnHourAtMostAndIsAHold(t *testing.T) {
	w := watch.New(watch.Config{Holds: t.TempDir()})
	for what, h := range map[string]*emergencyv1.Emergency{
		"too long":             holdOf("H-1", 2*time.Hour),
		"over":                 holdOf("H-1", -time.Second),
		"a lockdown's id":      holdOf("L-0001", time.Hour),
		"an id that is a path": holdOf("H-/../x", time.Hour),
		"a freeze":             {Id: "H-1", Kind: emergencyv1.Emergency_FREEZE, Started: true, StartTime: timestamppb.Now(), EndTime: timestamppb.New(time.Now().Add(time.Minute))},
	} {
		if err := w.Hold(h); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

func TestAHoldOpensAtItsEndAndStaysForTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch.New(watch.Config{})
		if err := w.Hold(holdOf("H-1", time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if len(w.Holds()) != 1 {
			t.Errorf("what is on no record is forgotten: %v", w.Holds())
		}
	})
}

func TestAHoldOnAFullDiskShutsAllTheSame(t *testing.T) {
	r := newRecord(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := r.watch(filepath.Join(file, "no-folder"))
	if err := w.Hold(holdOf("H-1", time.Hour)); err != nil || reasonFor(w) != emergency.LockedDown {
		t.Errorf("it answers %v, %v", reasonFor(w), err)
	}
}
