package watch

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

// fold is the mutable half of a watcher: the builders, and how far they are.
type fold struct {
	keys      audit.Keys
	emergency *emergency.Builder
	identity  *who.Builder
	directory *directory
	held      map[string]uint64
	view      *who.View // nil once IDENTITY has moved
	// carried is what another journal had on record, by the id that it had there.
	carried map[string]*emergencyv1.Emergency
	// recorded are the holds that the journal has as lockdowns.
	recorded map[string]bool
	// emergencies counts the entries about one.
	emergencies uint64
}

// newFold starts over. What was on record in the fold before stays, under names of its own, until the
// journal has the same record again: a journal that was lost opens no door, and revives nothing.
func newFold(c Config, before *fold) *fold {
	b := emergency.NewBuilder()
	f := &fold{keys: maps.Clone(c.Trust), emergency: b, identity: who.NewBuilder(b), directory: newDirectory(b),
		held: map[string]uint64{}, carried: map[string]*emergencyv1.Emergency{}, recorded: map[string]bool{}}
	if before == nil {
		return f
	}
	for _, e := range before.emergency.Snapshot(c.Now()).Emergencies() {
		if e.GetHold() == e.GetId() {
			continue // the Watcher has those
		}
		e = proto.CloneOf(e)
		id := strings.TrimSuffix(e.GetId(), lost)
		e.Id = id + lost
		f.carried[id] = e
		b.PutEmergency(e)
	}
	return f
}

// lost marks the id of a record that another journal had.
const lost = "~lost"

// found gives up what was carried of a record that the journal has again.
func (f *fold) found(e *emergencyv1.Emergency) {
	c := f.carried[e.GetId()]
	if c == nil || c.GetCutoffRevision() != e.GetCutoffRevision() {
		return
	}
	delete(f.carried, e.GetId())
	c = proto.CloneOf(c)
	c.CancelTime, c.Started = c.GetCreateTime(), false // neither a window nor a cut
	f.emergency.PutEmergency(c)
}

func (f *fold) put(stream string, e journal.Entry) error {
	f.held[stream] = e.Sequence
	switch stream {
	case Emergency:
		return f.putEmergency(e)
	case Identity:
		f.view = nil
		return f.identity.Put(e.Subject, e.Data)
	case Directory:
		return f.directory.put(e)
	}
	return fmt.Errorf("stream %s is not followed", stream)
}

func (f *fold) putEmergency(e journal.Entry) error {
	entry, err := f.keys.Open(e.Sequence, e.Subject, e.Data)
	if err != nil {
		return err
	}
	switch {
	case entry.GetRecord() == nil && len(entry.ProtoReflect().GetUnknown()) > 0:
		return errors.New("it is of a newer version than this process, which does not say that it holds it; upgrade it")
	case entry.GetEmergency() != nil:
		if err := sameCut(f.emergency.Record(entry.GetEmergency().GetId()), entry.GetEmergency()); err != nil {
			return err
		}
		f.found(entry.GetEmergency())
		if id := entry.GetEmergency().GetHold(); id != "" {
			f.recorded[id] = true
			f.release(id)
		}
		f.emergency.PutEmergency(entry.GetEmergency())
		f.emergencies++
	case entry.GetDrill() != nil:
		f.emergency.PutDrill(entry.GetDrill())
	case entry.GetPolicy() != nil:
		f.emergency.PutPolicy(entry.GetPolicy())
	case entry.GetKey() != nil:
		key := entry.GetKey().GetPublicKey()
		f.keys[audit.KeyID(key)] = key
	}
	// Last: what was refused is not held, and no receipt may say so.
	f.emergency.SetRevision(emergency.Revision{Epoch: entry.GetEpoch(), Sequence: entry.GetSequence()})
	return nil
}

// sameCut refuses a later version of a record that cuts something else than the first.
func sameCut(before, after *emergencyv1.Emergency) error {
	if before == nil {
		return nil
	}
	same := before.GetCutoffRevision() == after.GetCutoffRevision() && before.GetKind() == after.GetKind() &&
		before.GetSparedSignIn() == after.GetSparedSignIn() && proto.Equal(before.GetSelector(), after.GetSelector()) &&
		proto.Equal(before.GetStartTime(), after.GetStartTime()) && proto.Equal(before.GetCreateTime(), after.GetCreateTime()) && before.GetEndLiveSessions() == after.GetEndLiveSessions() &&
		(after.GetStarted() || !before.GetStarted())
	if !same {
		return errors.New("a later version of " + after.GetId() + " cuts something else than its first")
	}
	return nil
}

func (f *fold) state(now time.Time) (*State, error) {
	if f.view == nil {
		view, err := f.identity.View(now)
		if err != nil {
			return nil, fmt.Errorf("compiling who is known: %w", err)
		}
		f.view = view
	}
	return &State{Emergency: f.emergency.Snapshot(now), Who: f.view}, nil
}
