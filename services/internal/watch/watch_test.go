package watch_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/watch"
)

const within = 20 * time.Second

// record is a real journal and the key that signs its entries.
type record struct {
	t       *testing.T
	dir     string
	server  *local.Server
	journal *journal.Journal
	key     ed25519.PrivateKey
	head    uint64
}

func newRecord(t *testing.T) *record {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &record{t: t, dir: t.TempDir(), key: key}
	r.server, err = local.Start(local.Config{Dir: r.dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.server.Shutdown() })
	r.journal, err = journal.Connect(t.Context(), journal.Config{URL: r.server.URL(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.journal.Close)
	if err := journal.Create(t.Context(), r.journal, journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	return r
}

// start starts the server again, with what it has on disk.
func (r *record) start(address string) {
	r.t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.server, err = local.Start(local.Config{Dir: r.dir, Listen: at.Host}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *record) append(stream, subject string, data []byte) uint64 {
	r.t.Helper()
	s, err := r.journal.Stream(r.t.Context(), stream)
	if err != nil {
		r.t.Fatal(err)
	}
	sequence, err := s.Append(r.t.Context(), journal.Message{Subject: subject, Data: data})
	if err != nil {
		r.t.Fatal(err)
	}
	return sequence
}

// write puts an emergency on record, signed with a key.
func (r *record) write(e *emergencyv1.Emergency, key ed25519.PrivateKey) uint64 {
	r.t.Helper()
	r.head++
	subject := "emergency.lockdown." + e.GetId()
	data, err := audit.Seal(&emergencyv1.Entry{Epoch: 7, Sequence: r.head, Subject: subject, Record: &emergencyv1.Entry_Emergency{Emergency: e}}, key)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.append(watch.Emergency, subject, data)
}

func (r *record) lockdown(id string) *emergencyv1.Emergency {
	now := time.Now()
	return &emergencyv1.Emergency{Id: id, Kind: emergencyv1.Emergency_LOCKDOWN, Started: true, CutoffRevision: fmt.Sprintf("7-%d", r.head+1),
		StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(time.Hour)), CreateTime: timestamppb.New(now)}
}

func (r *record) watch(holds ...string) *watch.Watcher {
	r.t.Helper()
	w := watch.New(watch.Config{Holds: strings.Join(holds, ""), Journal: r.journal, Trust: audit.Trust(r.key.Public().(ed25519.PublicKey)), Directory: true, Log: slog.New(slog.DiscardHandler)})
	r.run(w)
	select {
	case <-w.Ready():
	case <-time.After(within):
		r.t.Fatal("never ready")
	}
	return w
}

func (r *record) run(w *watch.Watcher) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			r.t.Errorf("watching: %v", err)
		}
	})
	r.t.Cleanup(func() { cancel(); running.Wait() })
}

func (r *record) wait(w *watch.Watcher, stream string, sequence uint64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), within)
	defer cancel()
	if err := w.Wait(ctx, stream, sequence); err != nil {
		r.t.Fatal(err)
	}
}

// until waits for a state of which something holds.
func (r *record) until(w *watch.Watcher, holds func(*watch.State) bool, what string) {
	r.t.Helper()
	nudged, stop := w.Subscribe()
	defer stop()
	timeout := time.After(within)
	for !holds(w.State()) {
		select {
		case <-nudged:
		case <-timeout:
			r.t.Fatalf("never came: %s", what)
		}
	}
}

func locked(s *watch.State) bool { return !s.Emergency.LockdownUntil(time.Now()).IsZero() }

func TestAnEmptyJournalIsReadyAtOnce(t *testing.T) {
	r := newRecord(t)
	if s := r.watch().State(); !s.Fresh || !s.Emergency.Revision().IsZero() {
		t.Fatalf("state %+v", s)
	}
}

func TestWhatIsOnIsKnownWhenReadyAndWhatComesIsSeen(t *testing.T) {
	r := newRecord(t)
	first := r.lockdown("L-0001")
	r.write(first, r.key)
	w := r.watch()
	if !locked(w.State()) || w.State().Emergency.Revision().String() != "7-1" {
		t.Fatal("not known when ready")
	}
	cancelled := proto.CloneOf(first)
	cancelled.CancelTime = timestamppb.Now()
	r.wait(w, watch.Emergency, r.write(cancelled, r.key))
	if locked(w.State()) {
		t.Fatal("the cancel was not seen")
	}
}

func TestAnEntryThatIsNotSignedByTheTrustedKeyIsRefused(t *testing.T) {
	r := newRecord(t)
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := r.watch()
	r.wait(w, watch.Emergency, r.write(r.lockdown("L-0001"), stranger))
	if locked(w.State()) {
		t.Fatal("a forged lockdown locked the platform")
	}
	r.head++
	r.wait(w, watch.Emergency, r.append(watch.Emergency, "emergency.lockdown.L-0002", []byte("not an entry")))
	if locked(w.State()) {
		t.Fatal("a malformed entry locked the platform")
	}
}

func TestAnEntryOfARotatedKeyIsOpenedOnceItsKeyIsKnownAndAStrangersNever(t *testing.T) {
	r := newRecord(t)
	fresh, next, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := r.watch()
	open := func(sequence uint64, key ed25519.PrivateKey) error {
		subject := "emergency.lockdown.L-0009"
		data, err := audit.Seal(&emergencyv1.Entry{Epoch: 7, Sequence: sequence, Subject: subject}, key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Open(sequence, subject, data)
		return err
	}
	if err := open(9, r.key); err != nil {
		t.Errorf("the trusted key's: %v", err)
	}
	if open(9, next) == nil {
		t.Error("an entry of a key that is not on record was opened")
	}
	r.head++
	subject := "emergency.key." + audit.KeyID(fresh)
	rotation := &emergencyv1.Entry{Epoch: 7, Sequence: r.head, Subject: subject, Change: emergencyv1.Entry_KEY_ROTATED,
		Record: &emergencyv1.Entry_Key{Key: &emergencyv1.EntryKey{KeyId: audit.KeyID(fresh), PublicKey: fresh}}}
	data, err := audit.Seal(rotation, r.key)
	if err != nil {
		t.Fatal(err)
	}
	r.wait(w, watch.Emergency, r.append(watch.Emergency, subject, data))
	if err := open(10, next); err != nil {
		t.Errorf("the key that followed: %v", err)
	}
	if err := open(10, r.key); err != nil {
		t.Errorf("the key before, of an entry that is read late: %v", err)
	}
	if _, stranger, err := ed25519.GenerateKey(nil); err != nil || open(10, stranger) == nil {
		t.Error("a stranger's entry was opened")
	}
}

func TestAVersionWhoseCutFieldsChangedIsRefused(t *testing.T) {
	for name, change := range map[string]func(*emergencyv1.Emergency){
		"cutoff":         func(e *emergencyv1.Emergency) { e.CutoffRevision = "7-99" },
		"kind":           func(e *emergencyv1.Emergency) { e.Kind = emergencyv1.Emergency_FREEZE },
		"spared sign-in": func(e *emergencyv1.Emergency) { e.SparedSignIn = "mine" },
		"selector":       func(e *emergencyv1.Emergency) { e.Selector = &emergencyv1.Selector{All: true} },
		"start": func(e *emergencyv1.Emergency) {
			e.StartTime = timestamppb.New(e.GetStartTime().AsTime().Add(time.Hour))
		},
		"not started": func(e *emergencyv1.Emergency) { e.Started = false },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecord(t)
			first := r.lockdown("L-0001")
			r.write(first, r.key)
			w := r.watch()
			before := w.State().Emergency.Emergency("L-0001")
			changed := proto.CloneOf(first)
			change(changed)
			r.wait(w, watch.Emergency, r.write(changed, r.key))
			if !proto.Equal(w.State().Emergency.Emergency("L-0001"), before) {
				t.Fatal("the changed version was taken")
			}
			if held := w.State().Emergency.Revision().String(); held != "7-1" {
				t.Fatalf("what was refused is said to be held: %s", held)
			}
		})
	}
}

func TestOthersAreNudgedAndReadWhatWasWritten(t *testing.T) {
	r := newRecord(t)
	w := r.watch()
	data, err := proto.Marshal(&identityv1.UserRecord{User: &identityv1.User{Name: "ana", Roles: []string{emergency.Administrator}}})
	if err != nil {
		t.Fatal(err)
	}
	r.append(watch.Identity, "identity.user.ana", data)
	r.until(w, func(s *watch.State) bool { return s.Emergency.Administrator("ana") }, "the administrator")
}

func TestLosingTheJournalIsSeenAndWhatWasOnStaysOn(t *testing.T) {
	r := newRecord(t)
	r.write(r.lockdown("L-0001"), r.key)
	w := r.watch()
	r.server.Shutdown()
	r.until(w, func(s *watch.State) bool { return !s.Fresh }, "staleness")
	if !locked(w.State()) {
		t.Fatal("the lockdown was forgotten with the journal gone")
	}
}

func TestAnotherJournalInItsPlaceIsReadAnewAndWhatWasOnStaysOn(t *testing.T) {
	r := newRecord(t)
	r.write(r.lockdown("L-0001"), r.key)
	w := r.watch()
	at, err := url.Parse(r.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	r.server.Shutdown()
	r.server, err = local.Start(local.Config{Dir: t.TempDir(), Listen: at.Host})
	if err != nil {
		t.Fatal(err)
	}
	create := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return journal.Create(ctx, r.journal, journal.Streams(1))
	}
	if err := create(); err != nil {
		t.Fatal(err)
	}
	r.head = 0
	other := r.lockdown("L-0009")
	other.EndTime = other.GetStartTime() // it is over at once, and shows that the new journal is read
	r.write(other, r.key)
	r.until(w, func(s *watch.State) bool { return s.Emergency.Emergency("L-0009") != nil && s.Fresh }, "the new journal")
	if !locked(w.State()) {
		t.Fatal("a journal that was lost opened the doors")
	}
}

func TestAnEntryThatOnlyANewerVersionUnderstandsIsNotSaidToBeHeld(t *testing.T) {
	r := newRecord(t)
	w := r.watch()
	r.head++
	entry := &emergencyv1.Entry{Epoch: 7, Sequence: r.head, Subject: "emergency.other.X-0001"}
	entry.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 60, protowire.BytesType), []byte{1}))
	data, err := audit.Seal(entry, r.key)
	if err != nil {
		t.Fatal(err)
	}
	r.wait(w, watch.Emergency, r.append(watch.Emergency, entry.GetSubject(), data))
	if held := w.State().Emergency.Revision(); held.Sequence != 0 {
		t.Errorf("it says that it holds %s", held)
	}
	r.wait(w, watch.Emergency, r.write(r.lockdown("L-0002"), r.key))
	if held := w.State().Emergency.Revision(); held.Sequence != 2 || w.State().Emergency.LockdownUntil(time.Now()).IsZero() {
		t.Errorf("what came after it is held as %s", held)
	}
}
