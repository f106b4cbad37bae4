package seal_test

import (
	"os"
	"path/filepath"
	"testing"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"

	"portcullis.dev/pkg/audit"
	"portcullis.dev/services/internal/seal"
)

// generations are a folder of keys before a rotation, between its two steps, and after it.
func generations(t *testing.T) [3]seal.Keys {
	t.Helper()
	dir := create(t)
	var all [3]seal.Keys
	for i, step := range []func(string) error{func(string) error { return nil }, seal.Add, seal.Use} {
		for range 2 { // again changes nothing
			if err := step(dir); err != nil {
				t.Fatal(err)
			}
		}
		all[i] = seal.Open(copyOf(t, dir))
	}
	return all
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// A rotation is rolled out in two steps, and one process after the other: at any moment there are those who have made a
// step and those who have not, and each must read what the other writes.
func TestAtEachStepOfARotationEverybodyReadsWhatTheOthersWrite(t *testing.T) {
	all := generations(t)
	for writer, w := range all {
		for reader, r := range all {
			if writer == 2 && reader == 0 {
				continue // never at the same time
			}
			for name, pair := range boxes(t, w, r) {
				sealed, err := pair.Seal([]byte("secret"), "secret.factor.alice")
				if err != nil {
					t.Fatal(err)
				}
				if plain, err := pair.Open(sealed, "secret.factor.alice"); err != nil || string(plain) != "secret" {
					t.Errorf("%s: who is at step %d can't open what was sealed at step %d: %v", name, reader, writer, err)
				}
			}
			if err := verifies(t, w, r); err != nil {
				t.Errorf("who is at step %d does not trust what was signed at step %d: %v", reader, writer, err)
			}
		}
	}
}

func TestAfterARotationTheNewKeysSealAndSign(t *testing.T) {
	all := generations(t)
	for name, pair := range boxes(t, all[2], all[0]) {
		sealed, err := pair.Seal([]byte("secret"), "secret.factor.alice")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Open(sealed, "secret.factor.alice"); err == nil {
			t.Errorf("%s: the key from before opens it", name)
		}
	}
	if verifies(t, all[2], all[0]) == nil {
		t.Error("the key from before signs")
	}
}

func TestCheckpointsOfBeforeARotationAndOfAfterItVerify(t *testing.T) {
	dir := create(t)
	before := signer(t, seal.Open(dir))
	if err := seal.Add(dir); err != nil {
		t.Fatal(err)
	}
	between := signer(t, seal.Open(dir))
	if err := seal.Use(dir); err != nil {
		t.Fatal(err)
	}
	after := signer(t, seal.Open(dir))
	if !before.Equal(between) || before.Equal(after) {
		t.Error("the new key signs at another step than the second")
	}
	if got := verifiers(t, dir); len(got) != 2 || !got[0].Equal(before.Public()) || !got[1].Equal(after.Public()) {
		t.Errorf("%v verify", got)
	}
}

// boxes seal with the keys of one and open with those of another.
func boxes(t *testing.T, w, r seal.Keys) map[string]seal.Box {
	t.Helper()
	all := map[string]seal.Box{}
	for name, of := range map[string]func(seal.Keys) (seal.Box, error){"identity": seal.Keys.AEAD, "notifier": seal.Keys.NotifierAEAD} {
		writes, err := of(w)
		if err != nil {
			t.Fatal(err)
		}
		reads, err := of(r)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = seal.Box{Sealer: writes.Sealer, Opener: reads.Opener}
	}
	sealer, err := w.Sealer()
	if err != nil {
		t.Fatal(err)
	}
	opener, err := r.Opener()
	if err != nil {
		t.Fatal(err)
	}
	all["credentials"] = seal.Box{Sealer: sealer, Opener: opener}
	return all
}

func verifies(t *testing.T, w, r seal.Keys) error {
	t.Helper()
	signer, err := w.EntrySigner()
	if err != nil {
		t.Fatal(err)
	}
	trust, err := r.Trust()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := audit.Seal(&emergencyv1.Entry{Epoch: 1, Sequence: 1, Subject: "emergency.genesis"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = trust.Open(1, "emergency.genesis", stored)
	return err
}
