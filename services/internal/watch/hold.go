package watch

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Hold shuts what this service decides about, without the journal: from when it returns on, State has the hold
// as a lockdown that is on, and the folder of holds keeps it for the next start. It cuts what was admitted under
// the revision that is held here, too. It opens at its end, or when the journal has it as a lockdown.
func (w *Watcher) Hold(e *emergencyv1.Emergency) error {
	now := w.config.Now()
	if err := checkHold(e, now); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holds[e.GetId()] != nil || w.fold != nil && w.fold.recorded[e.GetId()] {
		return nil
	}
	if err := w.keepHold(e); err != nil { // a full disk opens no door
		w.config.Log.Error("a hold is not on disk: it would not outlive this process", "hold", e.GetId(), "error", err)
	}
	w.takeHold(e, now)
	if w.fold == nil {
		return nil
	}
	w.fold.hold(e)
	return w.again()
}

func (w *Watcher) takeHold(e *emergencyv1.Emergency, now time.Time) {
	w.holds[e.GetId()] = e
	if left := e.GetEndTime().AsTime().Sub(now); left > 0 {
		time.AfterFunc(left, w.leave)
	}
}

// Holds are those that the journal doesn't have, by their ids: those that have ended, too.
func (w *Watcher) Holds() []*emergencyv1.Emergency {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*emergencyv1.Emergency
	for _, id := range slices.Sorted(maps.Keys(w.holds)) {
		all = append(all, w.holds[id])
	}
	return all
}

func checkHold(e *emergencyv1.Emergency, now time.Time) error {
	start, end := e.GetStartTime().AsTime(), e.GetEndTime().AsTime()
	switch {
	case !strings.HasPrefix(e.GetId(), "H-") || strings.ContainsAny(e.GetId(), "/\\.") || e.GetKind() != emergencyv1.Emergency_LOCKDOWN || !e.GetStarted():
		return errors.New("this is not a hold")
	case !now.Before(end):
		return errors.New("this hold has ended")
	case end.Sub(start) > emergency.MaxHold || end.Sub(now) > emergency.MaxHold+emergency.MaxPast:
		return fmt.Errorf("a hold lasts %s at most", emergency.MaxHold)
	}
	return nil
}

// leave opens what the holds that have ended have shut. They stay, for the record to come.
func (w *Watcher) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fold == nil {
		return
	}
	for id, e := range w.holds {
		if !w.config.Now().Before(e.GetEndTime().AsTime()) {
			w.fold.release(id)
		}
	}
	if err := w.again(); err != nil {
		w.config.Log.Error("the end of a hold could not be shown", "error", err)
	}
}

// onRecord gives up a hold that the journal has as a lockdown. The lock is held.
func (w *Watcher) onRecord(id string) {
	delete(w.holds, id)
	if w.config.Holds == "" {
		return
	}
	if err := os.Remove(w.holdFile(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.config.Log.Error("a hold that is on record stays on disk", "hold", id, "error", err)
	}
}

// again replaces the State by one with the holds as they are now, if there is one already. How fresh it is does
// not change. The lock is held.
func (w *Watcher) again() error {
	before := w.state.Load()
	if before == nil {
		return nil
	}
	state, err := w.fold.state(w.config.Now())
	if err != nil {
		return err
	}
	state.Fresh, state.Since = before.Fresh, before.Since
	w.state.Store(state)
	w.nudge()
	return nil
}

func (w *Watcher) holdFile(id string) string { return filepath.Join(w.config.Holds, id+".json") }

// keepHold returns once the hold is on disk.
func (w *Watcher) keepHold(e *emergencyv1.Emergency) error {
	if w.config.Holds == "" {
		return nil
	}
	text, err := protojson.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(w.config.Holds, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(w.config.Holds, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), w.holdFile(e.GetId()))
}

// keptHolds takes up what was held when this process last ended.
func (w *Watcher) keptHolds() {
	if w.config.Holds == "" {
		return
	}
	files, err := filepath.Glob(filepath.Join(w.config.Holds, "H-*.json"))
	if err != nil {
		w.config.Log.Error("the folder of holds can't be read", "folder", w.config.Holds, "error", err)
	}
	for _, file := range files {
		if err := w.keptHold(file); err != nil {
			w.config.Log.Error("a hold on disk is left out", "file", file, "error", err)
		}
	}
}

func (w *Watcher) keptHold(file string) error {
	text, err := os.ReadFile(file) // #nosec G304 -- what stands in the folder that the configuration names
	if err != nil {
		return err
	}
	e := new(emergencyv1.Emergency)
	if err := protojson.Unmarshal(text, e); err != nil {
		return err
	}
	if e.GetId()+".json" != filepath.Base(file) || e.GetKind() != emergencyv1.Emergency_LOCKDOWN {
		return errors.New("it is not what is kept under this name")
	}
	if now := w.config.Now(); now.Sub(e.GetEndTime().AsTime()) < holdKept {
		w.takeHold(e, now)
		return nil
	}
	return os.Remove(file)
}

// holdKept is how long a hold that has ended is kept for the record.
const holdKept = 30 * 24 * time.Hour

// hold puts a hold beside what is on record. What was admitted here until now is below it.
func (f *fold) hold(e *emergencyv1.Emergency) {
	e = proto.CloneOf(e)
	cut := f.emergency.Revision()
	if r, err := emergency.ParseRevision(e.GetCutoffRevision()); err == nil && cut.Less(r) {
		cut = r
	}
	cut.Sequence++
	e.Hold, e.Revision, e.CutoffRevision = e.GetId(), cut.String(), cut.String()
	f.emergency.PutEmergency(e)
}

// release gives a hold up: the record has it, or it is over.
func (f *fold) release(id string) {
	e := f.emergency.Record(id)
	if e == nil {
		return
	}
	e = proto.CloneOf(e)
	e.CancelTime, e.Started = timestamppb.New(e.GetCreateTime().AsTime()), false // neither a window nor a cut
	f.emergency.PutEmergency(e)
}
