package audit_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

func newKey(t *testing.T) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

type stored struct {
	sequence uint64
	subject  string
	data     []byte
}

// record writes n chained entries.
func record(t *testing.T, key ed25519.PrivateKey, n int) []stored {
	t.Helper()
	var all []stored
	var head []byte
	for i := range n {
		e := stored{sequence: uint64(i + 1), subject: fmt.Sprintf("emergency.freeze.F-%04d", i+1)}
		var err error
		e.data, err = audit.Seal(&emergencyv1.Entry{Epoch: 7, Sequence: e.sequence, Subject: e.subject, PreviousHash: head, Actor: "admin"}, key)
		if err != nil {
			t.Fatal(err)
		}
		hash := audit.HashOf(head, 7, e.sequence, e.subject, e.data)
		head = hash[:]
		all = append(all, e)
	}
	return all
}

func verify(keys audit.Keys, all []stored) error {
	chain := audit.NewChain(keys)
	for _, e := range all {
		if _, _, err := chain.Next(e.sequence, e.subject, e.data); err != nil {
			return err
		}
	}
	return nil
}

func TestAnUntouchedRecordVerifies(t *testing.T) {
	public, private := newKey(t)
	if err := verify(audit.Trust(public), record(t, private, 20)); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFlippedBitIsFoundAndItsEntryNamed(t *testing.T) {
	public, private := newKey(t)
	all := record(t, private, 3)
	for bit := range len(all[1].data) * 8 {
		all[1].data[bit/8] ^= 1 << (bit % 8)
		err := verify(audit.Trust(public), all)
		all[1].data[bit/8] ^= 1 << (bit % 8)
		if err == nil || !strings.Contains(err.Error(), "entry 2") && !strings.Contains(err.Error(), "entry 3") {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
}

func TestARemovedReorderedMovedOrForeignEntryIsNamed(t *testing.T) {
	public, private := newKey(t)
	_, stranger := newKey(t)
	for name, c := range map[string]struct {
		edit func([]stored) []stored
		want string
	}{
		"removed":    {func(a []stored) []stored { return append(a[:1], a[2:]...) }, "entry 3 follows entry 1"},
		"renumbered": {func(a []stored) []stored { a = append(a[:1], a[2:]...); a[1].sequence = 2; return a }, "entry 2 on"},
		"reordered":  {func(a []stored) []stored { a[1], a[2] = a[2], a[1]; return a }, "entry 3 follows entry 1"},
		"twice":      {func(a []stored) []stored { return append(a[:2], a[1:]...) }, "entry 2 follows entry 2: the order was changed"},
		"moved":      {func(a []stored) []stored { a[1].subject = "emergency.freeze.F-0003"; return a }, "entry 2 on"},
		"foreign":    {func([]stored) []stored { return record(t, stranger, 2) }, "unknown key"},
		"replaced":   {func(a []stored) []stored { a[1] = record(t, private, 9)[1]; a[1].data = reseal(t, private); return a }, "entry 2 does not follow"},
	} {
		t.Run(name, func(t *testing.T) {
			err := verify(audit.Trust(public), c.edit(record(t, private, 4)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

// reseal is a second entry with the right signature and place, chained to something else.
func reseal(t *testing.T, key ed25519.PrivateKey) []byte {
	t.Helper()
	data, err := audit.Seal(&emergencyv1.Entry{Epoch: 7, Sequence: 2, Subject: "emergency.freeze.F-0002", PreviousHash: []byte("other")}, key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnEpochNeverFallsBack(t *testing.T) {
	public, private := newKey(t)
	all := record(t, private, 1)
	head := audit.HashOf(nil, 7, 1, all[0].subject, all[0].data)
	data, err := audit.Seal(&emergencyv1.Entry{Epoch: 6, Sequence: 2, Subject: "emergency.policy", PreviousHash: head[:]}, private)
	if err != nil {
		t.Fatal(err)
	}
	err = verify(audit.Trust(public), append(all, stored{2, "emergency.policy", data}))
	if err == nil || !strings.Contains(err.Error(), "falls back") {
		t.Fatal(err)
	}
}

func TestACheckpointSaysTheHeadAndOnlyItsKeyMakesOne(t *testing.T) {
	public, private := newKey(t)
	other, _ := newKey(t)
	chain := audit.NewChain(audit.Trust(public))
	for _, e := range record(t, private, 5) {
		if _, _, err := chain.Next(e.sequence, e.subject, e.data); err != nil {
			t.Fatal(err)
		}
	}
	note, err := chain.Checkpoint().Sign(private)
	if err != nil {
		t.Fatal(err)
	}
	c, err := audit.ReadCheckpoint(note, other, public)
	_, _, head := chain.Head()
	if err != nil || c.Sequence != 5 || audit.Hex(c.Hash) != audit.Hex(head) || !public.Equal(c.SignedBy) {
		t.Fatalf("%v %v", c, err)
	}
	if _, err := audit.ReadCheckpoint(note, other); !errors.Is(err, audit.ErrUnknownSigner) {
		t.Fatal("another key's checkpoint was taken")
	}
	if _, err := audit.ReadCheckpoint(strings.Replace(note, "\n5\n", "\n6\n", 1), public); err == nil {
		t.Fatal("a changed checkpoint was taken")
	}
}

func FuzzOpenNeverPanicsNorTakesWhatIsNotSigned(f *testing.F) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	good, err := audit.Seal(&emergencyv1.Entry{Epoch: 1, Sequence: 1, Subject: "emergency.genesis"}, private)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	keys := audit.Trust(public)
	f.Fuzz(func(t *testing.T, data []byte) {
		entry, err := keys.Open(1, "emergency.genesis", data)
		if err == nil && entry.GetSequence() != 1 {
			t.Fatal("taken without standing where it says")
		}
	})
}
