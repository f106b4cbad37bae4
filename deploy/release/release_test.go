// Package release_test tries the scripts that make, sign and verify a release.
package release_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run runs one of the scripts here, or another program.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	if strings.HasSuffix(name, ".sh") {
		here, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		name = here
	}
	said, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	return string(said), err
}

func must(t *testing.T, said string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newKey answers a key, and the line that trusts it.
func newKey(t *testing.T) (key, trusted string) {
	t.Helper()
	key = filepath.Join(t.TempDir(), "key")
	said, err := run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "release", "-f", key)
	must(t, said, err)
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	trusted = filepath.Join(t.TempDir(), "signers")
	write(t, trusted, `release@portcullis.dev namespaces="portcullis-release" `+string(public))
	return key, trusted
}

// signed answers the folder of a release of one file.
func signed(t *testing.T, key string) string {
	t.Helper()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "linux-amd64", "portcullis"), "a program")
	write(t, filepath.Join(folder, "SHA256SUMS"), fmt.Sprintf("%x  linux-amd64/portcullis\n", sha256.Sum256([]byte("a program"))))
	said, err := run(t, "sign.sh", folder, key)
	must(t, said, err)
	return folder
}

func needed(t *testing.T) {
	t.Helper()
	for _, program := range []string{"bash", "ssh-keygen", "sha256sum", "comm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("*** LEFT OUT: signatures of releases: there is no ", program)
		}
	}
}

func TestAReleaseIsVerifiedByWhoeverTrustsItsKey(t *testing.T) {
	needed(t)
	key, trusted := newKey(t)
	said, err := run(t, "verify.sh", signed(t, key), trusted)
	must(t, said, err)
	if !strings.Contains(said, "1 files are as they were signed") {
		t.Error(said)
	}
}

func TestAReleaseThatWasChangedOrThatSomebodyElseSignedIsNot(t *testing.T) {
	needed(t)
	key, trusted := newKey(t)
	_, others := newKey(t)
	for name, change := range map[string]func(folder string) (signers string){
		"a program was changed": func(folder string) string {
			write(t, filepath.Join(folder, "linux-amd64", "portcullis"), "another program")
			return trusted
		},
		"and its checksum": func(folder string) string {
			write(t, filepath.Join(folder, "linux-amd64", "portcullis"), "another program")
			write(t, filepath.Join(folder, "SHA256SUMS"), fmt.Sprintf("%x  linux-amd64/portcullis\n", sha256.Sum256([]byte("another program"))))
			return trusted
		},
		"a program was added": func(folder string) string {
			write(t, filepath.Join(folder, "linux-amd64", "another"), "x")
			return trusted
		},
		"another key is trusted": func(string) string { return others },
		"there is no signature": func(folder string) string {
			if err := os.Remove(filepath.Join(folder, "SHA256SUMS.sig")); err != nil {
				t.Fatal(err)
			}
			return trusted
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := signed(t, key)
			if said, err := run(t, "verify.sh", folder, change(folder)); err == nil {
				t.Errorf("verified: %s", said)
			}
		})
	}
}

func TestWhatIsNotWholeIsNotSigned(t *testing.T) {
	needed(t)
	key, _ := newKey(t)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "SHA256SUMS"), fmt.Sprintf("%x  portcullis\n", sha256.Sum256(nil)))
	if said, err := run(t, "sign.sh", folder, key); err == nil {
		t.Errorf("signed: %s", said)
	}
}
