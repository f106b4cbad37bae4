package seal_test

import (
	"os"
	"path/filepath"
	"testing"

	"portcullis.dev/services/internal/seal"
)

// FuzzNothingOpensButWhatWasSealedForThatSubject takes any bytes for a sealed secret.
func FuzzNothingOpensButWhatWasSealedForThatSubject(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "keys")
	if err := seal.Create(dir); err != nil {
		f.Fatal(err)
	}
	box, err := seal.Open(dir).AEAD()
	if err != nil {
		f.Fatal(err)
	}
	good, err := box.Seal([]byte("secret"), "identity.password.ana")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "identity.password.ana")
	f.Add(good, "identity.password.eve")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, sealed []byte, subject string) {
		plain, err := box.Open(sealed, subject)
		if err == nil && (string(sealed) != string(good) || subject != "identity.password.ana") {
			t.Fatalf("opened %q for %s", plain, subject)
		}
	})
}

// FuzzAKeyIsReadOrRefused takes any text for the file of each key. What is wrong with it never quotes it.
func FuzzAKeyIsReadOrRefused(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "keys")
	if err := seal.Create(dir); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{seal.AEADFile, seal.SealerFile, seal.OpenerFile, seal.SignerFile, seal.TrustFile} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	bad := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range []string{seal.AEADFile, seal.SealerFile, seal.OpenerFile, seal.SignerFile, seal.TrustFile} {
			if err := os.WriteFile(filepath.Join(bad, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		keys := seal.Open(bad)
		_, _ = keys.AEAD()
		_, _ = keys.Sealer()
		_, _ = keys.Opener()
		_, _ = keys.EntrySigner()
		if trust, err := keys.Trust(); err == nil && len(trust) == 0 {
			t.Fatal("it trusts nobody, and says nothing")
		}
	})
}
