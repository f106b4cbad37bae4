package control

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/pkg/fault"
	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// exported is what a call that streams has sent.
type exported[T any] struct {
	grpc.ServerStreamingServer[T]
	ctx context.Context
	all []*T
}

func (e *exported[T]) Context() context.Context { return e.ctx }
func (e *exported[T]) Send(m *T) error          { e.all = append(e.all, m); return nil }

// verified walks what control exports, held to checkpoints that were kept.
func (p *platform) verified(s *Service, notes ...string) (witnessed *audit.Checkpoint, flaw *audit.Flaw) {
	p.t.Helper()
	export := &exported[auditv1.StoredEntry]{ctx: p.t.Context()}
	if err := s.Export(nil, export); err != nil {
		p.t.Fatal(err)
	}
	public := p.key.Public().(ed25519.PublicKey)
	walk := audit.NewWalk(audit.Trust(public))
	for _, e := range export.all {
		walk.Next(e.GetSequence(), e.GetSubject(), e.GetData())
	}
	var kept []audit.Checkpoint
	for _, note := range notes {
		kept = append(kept, must(audit.ReadCheckpoint(note, public)))
	}
	return walk.Verdict(kept)
}

// flip changes one bit of a stored entry in the server's own file.
func (p *platform) flip(stored []byte) {
	p.t.Helper()
	found := 0
	for _, name := range must(filepath.Glob(filepath.Join(p.dir, "jetstream", "*", "streams", "EMERGENCY", "msgs", "*.blk"))) {
		block := must(os.ReadFile(name))
		if at := bytes.Index(block, stored); at >= 0 {
			block[at+len(stored)/2] ^= 1
			found++
			if err := os.WriteFile(name, block, 0o600); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	if found != 1 {
		p.t.Fatalf("the entry stands in %d files", found)
	}
}

// forget has the server read its files anew, as after a crash.
func (p *platform) forget() {
	p.t.Helper()
	err := os.Remove(filepath.Join(must(filepath.Glob(filepath.Join(p.dir, "jetstream", "*", "streams", "EMERGENCY")))[0], "msgs", "index.db"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
}

// A server that was stopped in order leaves out the entry whose checksum is wrong; one that has crashed ends its file
// before it. Neither says so to anybody.
func TestABitFlippedInTheStoredJournalIsNamedByWhoKeptACheckpoint(t *testing.T) {
	for name, c := range map[string]struct {
		crashed     bool
		first, last uint64
		says        string
	}{
		"stopped in order": {false, 4, 4, "entry 4 is missing: entry 5 follows entry 3"},
		"crashed":          {true, 4, 6, "entries 4 to 6 are missing: the checkpoint of "},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			s, stop := p.run()
			var notes []string
			for range 5 {
				notes = append(notes, must(s.ApplyFreeze(p.as("admin"), p.freeze())).GetCheckpoint())
			}
			if witnessed, flaw := p.verified(s, notes...); flaw != nil || witnessed.Sequence != 6 {
				t.Fatalf("whole, it is witnessed to %v: %v", witnessed, flaw)
			}
			stored := must(s.ledger.stream.Get(t.Context(), 4)).Data
			stop()
			p.halt()
			p.flip(stored)
			if c.crashed {
				p.forget()
			}
			p.boot()
			s = p.replica()
			witnessed, flaw := p.verified(s, notes...)
			if flaw == nil || flaw.Kind != audit.Missing || flaw.First != c.first || flaw.Last != c.last || !strings.Contains(flaw.Error(), c.says) {
				t.Errorf("got %v, want %v", flaw, c)
			}
			if witnessed.Sequence != 3 {
				t.Errorf("it is witnessed to %d", witnessed.Sequence)
			}
			if c.crashed {
				return
			}
			refused(t, errOf(s.ApplyFreeze(p.as("admin"), p.freeze())), fault.JournalUnavailable)
			refused(t, errOf(s.GetCheckpoint(t.Context(), nil)), fault.JournalUnavailable)
			if len(must(s.ListFreezes(p.as("admin"), &emergencyv1.ListEmergenciesRequest{})).GetFreezes()) == 0 {
				t.Error("nothing can be looked at any more")
			}
		})
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestEveryAnswerToAnActCarriesTheSignedHeadAndTheRecordDoesNot(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	lockdown := must(s.ApplyLockdown(p.as("admin"), p.lockdown(time.Hour, time.Hour)))
	end := timestamppb.New(lockdown.GetEndTime().AsTime().Add(-time.Minute))
	cancel := &emergencyv1.CancelRequest{Id: lockdown.GetId(), Justification: "over", Grant: p.grant("admin"), RequestId: uuid.NewString()}
	acts := []*emergencyv1.Emergency{
		lockdown,
		must(s.ShortenLockdown(p.as("admin"), &emergencyv1.ShortenRequest{Id: lockdown.GetId(), EndTime: end, Justification: "sooner", Grant: p.grant("admin")})),
		must(s.CancelLockdown(p.as("admin"), cancel)),
		must(s.ApplyLock(p.as("admin"), &emergencyv1.ApplyLockRequest{User: "second", Justification: "stolen", Grant: p.grant("admin")})),
		must(s.CancelLockdown(p.as("admin"), cancel)), // again: the head of now
	}
	for i, want := range []uint64{2, 3, 4, 5, 5} {
		c := must(audit.ReadCheckpoint(acts[i].GetCheckpoint(), p.key.Public().(ed25519.PublicKey)))
		if c.Sequence != want || c.Time.IsZero() {
			t.Errorf("act %d is answered with the head %v, want %d", i, c, want)
		}
	}
	for _, e := range p.entries() {
		if e.GetEmergency().GetCheckpoint() != "" {
			t.Errorf("entry %d has a checkpoint in it", e.GetSequence())
		}
	}
	if got := must(s.GetLockdown(p.as("admin"), &emergencyv1.GetEmergencyRequest{Id: lockdown.GetId()})); got.GetCheckpoint() != "" {
		t.Error("what was no act is answered with a checkpoint")
	}
}

func TestACheckpointCoversPeopleAndDevicesAsFarAsTheyWereRead(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.put("DIRECTORY", "directory.device.db-1", &gatev1.DeviceRecord{Device: &gatev1.Device{Name: "db-1"}})
	kept, by := audit.Checkpoint{}, time.Now().Add(20*time.Second)
	for len(kept.Streams) < 2 || kept.Streams[0].Sequence < 4 {
		p.put("IDENTITY", "identity.user.third", &identityv1.UserRecord{User: &identityv1.User{Name: "third"}})
		kept = must(audit.ReadCheckpoint(must(s.GetCheckpoint(t.Context(), nil)).GetNote(), p.key.Public().(ed25519.PublicKey)))
		if time.Now().After(by) {
			t.Fatalf("a checkpoint never came so far: %v", kept)
		}
	}
	people := kept.Streams[0].Sequence
	sent := &exported[auditv1.StreamHead]{ctx: t.Context()}
	if err := s.ExportStreamHeads(&auditv1.ExportStreamHeadsRequest{Stream: "IDENTITY", Sequences: []uint64{people, 2, 1 << 40}}, sent); err != nil {
		t.Fatal(err)
	}
	now, last := map[uint64][]byte{}, sent.all[len(sent.all)-1]
	for _, h := range sent.all {
		now[h.GetSequence()] = h.GetHash()
	}
	if len(sent.all) != 3 || !last.GetLast() || last.GetSequence() < people {
		t.Fatalf("answered %v", sent.all)
	}
	if err := audit.HoldStream("IDENTITY", last.GetSequence(), now, []audit.Checkpoint{kept}); err != nil {
		t.Error(err)
	}
}
