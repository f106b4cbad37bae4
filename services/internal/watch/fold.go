package watch

import (
	"errors"
	"fmt"
	"maps"
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
}

// newFold starts over; what was on in the fold before stays on until the journal says otherwise.
func newFold(c Config, before *fold) *fold {
	b := emergency.NewBuilder()
	f := &fold{keys: maps.Clone(c.Trust), emergency: b, identity: who.NewBuilder(b), directory: newDirectory(b), held: map[string]uint64{}}
	if before != nil {
		for _, e := range before.emergency.Snapshot(c.Now()).Emergencies() {
			b.PutEmergency(e)
		}
	}
	return f
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
	f.emergency.SetRevision(emergency.Revision{Epoch: entry.GetEpoch(), Sequence: entry.GetSequence()})
	switch {
	case entry.GetEmergency() != nil:
		if err := sameCut(f.emergency.Record(entry.GetEmergency().GetId()), entry.GetEmergency()); err != nil {
			return err
		}
		f.emergency.PutEmergency(entry.GetEmergency())
	case entry.GetPolicy() != nil:
		f.emergency.PutPolicy(entry.GetPolicy())
	case entry.GetKey() != nil:
		key := entry.GetKey().GetPublicKey()
		f.keys[audit.KeyID(key)] = key
	}
	return nil
}

// sameCut refuses a later version of a record that cuts something else than the first.
func sameCut(before, after *emergencyv1.Emergency) error {
	if before == nil {
		return nil
	}
	same := before.GetCutoffRevision() == after.GetCutoffRevision() && before.GetKind() == after.GetKind() &&
		before.GetSparedSignIn() == after.GetSparedSignIn() && proto.Equal(before.GetSelector(), after.GetSelector()) &&
		proto.Equal(before.GetStartTime(), after.GetStartTime()) && before.GetEndLiveSessions() == after.GetEndLiveSessions() &&
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
