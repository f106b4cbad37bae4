package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// FuzzACheckpointIsSignedOrRefused reads what somebody sends as a checkpoint, on its own and changed from a good one.
func FuzzACheckpointIsSignedOrRefused(f *testing.F) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	chain := audit.NewChain(audit.Trust(public))
	entry := &emergencyv1.Entry{Epoch: 1, Sequence: 1, Subject: "emergency.genesis", Record: &emergencyv1.Entry_Genesis{
		Genesis: &emergencyv1.Genesis{Key: &emergencyv1.EntryKey{KeyId: audit.KeyID(public), PublicKey: public}}}}
	stored, err := audit.Seal(entry, key)
	if err != nil {
		f.Fatal(err)
	}
	if _, _, err := chain.Next(1, "emergency.genesis", stored); err != nil {
		f.Fatal(err)
	}
	good, err := chain.Checkpoint().Sign(key)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, good + "\n" + good, good[:len(good)-9], "", "\n\n— x y\n", audit.Origin + "\n1\n\n\n— portcullis/emergency AAAA\n"} {
		f.Add(seed)
	}
	_, _, head := chain.Head()
	f.Fuzz(func(t *testing.T, note string) {
		c, err := audit.ReadCheckpoint(note, public)
		if err == nil && (c.Sequence != 1 || !bytes.Equal(c.Hash, head)) {
			t.Fatalf("taken, though it was never signed: %v", c)
		}
		whole, torn := audit.SplitNotes(note + "\n" + good)
		if len(whole) == 0 || whole[len(whole)-1] != good {
			t.Fatalf("a note behind %q is lost: %d whole, %d torn", note, len(whole), torn)
		}
	})
}
