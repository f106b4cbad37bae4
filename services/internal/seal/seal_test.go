package seal_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portcullis.dev/pkg/audit"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	"portcullis.dev/services/internal/seal"
)

func create(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if err := seal.Create(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestASealedSecretOpensUnderItsOwnSubjectOnly(t *testing.T) {
	keys := seal.Open(create(t))
	box, err := keys.AEAD()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := keys.Sealer()
	if err != nil {
		t.Fatal(err)
	}
	opener, err := keys.Opener()
	if err != nil {
		t.Fatal(err)
	}
	mail, err := keys.NotifierAEAD()
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string]struct {
		seal.Sealer
		seal.Opener
	}{"MFA secrets": {box.Sealer, box.Opener}, "mail credentials": {mail.Sealer, mail.Opener}, "device credentials": {sealer, opener}} {
		sealed, err := pair.Seal([]byte("s3cret"), "secret.factor.alice")
		if err != nil {
			t.Fatal(name, err)
		}
		if strings.Contains(string(sealed), "s3cret") {
			t.Errorf("%s: the sealed form shows the secret", name)
		}
		if plain, err := pair.Open(sealed, "secret.factor.alice"); err != nil || string(plain) != "s3cret" {
			t.Errorf("%s: opened %q, %v", name, plain, err)
		}
		if _, err := pair.Open(sealed, "secret.factor.mallory"); err == nil {
			t.Errorf("%s: it opened under another subject", name)
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := pair.Open(sealed, "secret.factor.alice"); err == nil {
			t.Errorf("%s: it opened although it was changed", name)
		}
	}
}

func TestAnEntryIsSignedByTheKeyThatAllTrust(t *testing.T) {
	keys := seal.Open(create(t))
	signer, err := keys.EntrySigner()
	if err != nil {
		t.Fatal(err)
	}
	trust, err := keys.Trust()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := audit.Seal(&emergencyv1.Entry{Epoch: 1, Sequence: 1, Subject: "emergency.genesis"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.Open(1, "emergency.genesis", stored); err != nil {
		t.Error("the trusted key does not verify what the signer signs:", err)
	}
	other, err := seal.Open(create(t)).Trust()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(1, "emergency.genesis", stored); err == nil {
		t.Error("another installation's key verifies it too")
	}
}

func TestKeyFilesAreReadableByTheirOwnerAlone(t *testing.T) {
	dir := create(t)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 8 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, seal.AEADFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(dir).AEAD(); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a key that everybody may read was taken: %v", err)
	}
}

func TestAServiceGetsNoKeyOfAnother(t *testing.T) {
	keys := seal.Open(create(t)).Only(seal.SealerFile, seal.TrustFile)
	if _, err := keys.Sealer(); err != nil {
		t.Error(err)
	}
	if _, err := keys.Opener(); err == nil || !strings.Contains(err.Error(), seal.OpenerFile) {
		t.Errorf("the error does not name the file: %v", err)
	}
	if _, err := keys.Only(seal.OpenerFile).Opener(); err == nil {
		t.Error("a narrowed set of keys was widened again")
	}
	if _, err := seal.Open(t.TempDir()).AEAD(); err == nil || !strings.Contains(err.Error(), seal.AEADFile) {
		t.Errorf("the error does not name the file: %v", err)
	}
}

func TestKeysAreCreatedOnceAndWhole(t *testing.T) {
	dir := create(t)
	before, err := os.ReadFile(filepath.Join(dir, seal.AEADFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.Create(dir); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, seal.AEADFile)); string(after) != string(before) {
		t.Error("the keys were made anew")
	}
	half := filepath.Join(t.TempDir(), "keys")
	if err := os.MkdirAll(half+".part", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half+".part", seal.AEADFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := seal.Create(half); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(half).AEAD(); err != nil {
		t.Error("what a crash left behind was used:", err)
	}
}

func TestAFolderOfAnEarlierVersionGetsTheKeyThatCameLater(t *testing.T) {
	dir := create(t)
	before, err := os.ReadFile(filepath.Join(dir, seal.AEADFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, seal.NotifierAEADFile)); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := seal.Create(dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	box, err := seal.Open(dir).NotifierAEAD()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.Seal([]byte("s3cret"), "notification.smtp.a")
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.Create(dir); err != nil {
		t.Fatal(err)
	}
	again, err := seal.Open(dir).NotifierAEAD()
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open(sealed, "notification.smtp.a"); err != nil || string(plain) != "s3cret" {
		t.Errorf("the key was made anew: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, seal.AEADFile)); string(after) != string(before) {
		t.Error("another key was made anew")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 8 {
		t.Error("something is left over: ", files, err)
	}
	if info, err := os.Stat(filepath.Join(dir, seal.NotifierAEADFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

func TestAFolderOfAnEarlierVersionGetsAKeyOfCheckpointsAndWhatVerifiesIt(t *testing.T) {
	dir := create(t)
	for _, file := range []string{seal.CheckpointFile, seal.VerifierFile} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := seal.Open(dir).CheckpointSigner(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := seal.Create(dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := verifiers(t, dir); len(got) != 1 || !got[0].Equal(signer(t, seal.Open(dir)).Public()) {
		t.Errorf("%v do not verify what it signs", got)
	}
	first := signer(t, seal.Open(dir))
	if err := os.Remove(filepath.Join(dir, seal.CheckpointFile)); err != nil {
		t.Fatal(err)
	}
	if err := seal.Create(dir); err != nil {
		t.Fatal(err)
	}
	if got := verifiers(t, dir); len(got) != 2 || !got[0].Equal(first.Public()) || !got[1].Equal(signer(t, seal.Open(dir)).Public()) {
		t.Errorf("after a loss, %v verify", got)
	}
	entry, err := seal.Open(dir).EntrySigner()
	if err != nil || entry.Equal(first) {
		t.Errorf("entries and checkpoints have one key: %v", err)
	}
}

// verifiers are the keys of a folder that checkpoints are verified with.
func verifiers(t *testing.T, dir string) (all []ed25519.PublicKey) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, seal.VerifierFile))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		key, err := audit.ReadVKey(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, key)
	}
	return all
}

func signer(t *testing.T, keys seal.Keys) ed25519.PrivateKey {
	t.Helper()
	key, err := keys.CheckpointSigner()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAKeyOfTheFirstOnesThatWasLostIsNotMadeAnew(t *testing.T) {
	dir := create(t)
	if err := os.Remove(filepath.Join(dir, seal.AEADFile)); err != nil {
		t.Fatal(err)
	}
	if err := seal.Create(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(dir).AEAD(); err == nil || !strings.Contains(err.Error(), seal.AEADFile) {
		t.Errorf("the loss is hidden: %v", err)
	}
}

func TestNoKeyIsEverPrinted(t *testing.T) {
	dir := create(t)
	keys := seal.Open(dir)
	box, _ := keys.AEAD()
	opener, _ := keys.Opener()
	data, err := os.ReadFile(filepath.Join(dir, seal.SignerFile))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	seed := block.Bytes[len(block.Bytes)-ed25519.SeedSize:]
	all := []any{keys, &keys, box, opener}
	text := fmt.Sprintf("%v %+v %#v %x", all, all, all, all)
	for _, form := range []string{"%d", "%x", "%#v", "%s"} {
		secret := strings.Trim(fmt.Sprintf(form, seed[:8]), "[]")
		if strings.Contains(text, strings.TrimSuffix(strings.TrimPrefix(secret, "[]byte{"), "}")) {
			t.Errorf("printing the keys prints the key, as %s", form)
		}
	}
	const broken = `{"primaryKeyId":1,"key":[{"keyData":{"value":"c2VjcmV0LWtleQ=="`
	if err := os.WriteFile(filepath.Join(dir, seal.AEADFile), []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.AEAD(); err == nil || strings.Contains(err.Error(), "c2Vj") {
		t.Errorf("a broken key file is quoted: %v", err)
	}
}
