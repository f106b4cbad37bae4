package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// The keys that wait to sign until everybody trusts them.
const (
	nextSignerFile     = "entry.next.private.pem"
	nextCheckpointFile = "checkpoint.next.private.pem"
)

// Add adds a key of each kind to a folder with all of them. It opens and verifies from then on, and seals and signs
// nothing until Use. A folder whose last ones are not in use yet gets none.
func Add(dir string) error {
	for file, template := range map[string]*tinkpb.KeyTemplate{
		AEADFile: aead.AES256GCMKeyTemplate(), NotifierAEADFile: aead.AES256GCMKeyTemplate(),
		OpenerFile: hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template(),
	} {
		err := change(dir, file, func(m *keyset.Manager, newest, primary uint32) error {
			if newest != primary {
				return nil
			}
			_, err := m.Add(template)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := addCheckpoint(dir); err != nil {
		return rotated(err)
	}
	return rotated(errors.Join(
		addSigner(dir, nextSignerFile, TrustFile, publicPEM),
		addSigner(dir, nextCheckpointFile, VerifierFile, func(private []byte) ([]byte, error) { return verifierOf(private), nil })))
}

// Use has what Add added seal and sign. What was sealed before still opens, and what was signed before still verifies:
// the keys before stay in the folder for it.
func Use(dir string) error {
	for _, file := range []string{AEADFile, NotifierAEADFile, OpenerFile} {
		if err := change(dir, file, func(m *keyset.Manager, newest, _ uint32) error { return m.SetPrimary(newest) }); err != nil {
			return err
		}
	}
	private, err := os.ReadFile(filepath.Join(dir, OpenerFile)) // #nosec G304 -- a name of our own in the folder that the configuration names
	if err != nil {
		return rotated(err)
	}
	public, err := publicOf(private)
	if err != nil {
		return rotated(err)
	}
	if err := replace(dir, SealerFile, public); err != nil {
		return rotated(err)
	}
	for next, file := range map[string]string{nextSignerFile: SignerFile, nextCheckpointFile: CheckpointFile} {
		err = os.Rename(filepath.Join(dir, next), filepath.Join(dir, file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return rotated(err)
		}
	}
	return rotated(sync(dir))
}

func rotated(err error) error {
	if err != nil {
		return fmt.Errorf("rotating the keys: %w", err)
	}
	return nil
}

// change edits one keyset.
func change(dir, file string, edit func(m *keyset.Manager, newest, primary uint32) error) error {
	h, err := Open(dir, file).handle(file)
	if err != nil {
		return rotated(err)
	}
	keys, m := h.KeysetInfo(), keyset.NewManagerFromHandle(h)
	if err := edit(m, keys.GetKeyInfo()[len(keys.GetKeyInfo())-1].GetKeyId(), keys.GetPrimaryKeyId()); err != nil {
		return rotated(err)
	}
	if h, err = m.Handle(); err != nil {
		return rotated(err)
	}
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&out)); err != nil {
		return rotated(err)
	}
	return rotated(replace(dir, file, out.Bytes()))
}

// addSigner has all trust a key that signs nothing yet.
func addSigner(dir, next, trust string, publicOf func(private []byte) ([]byte, error)) error {
	if _, err := os.Stat(filepath.Join(dir, next)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	private, err := newSigner()
	if err != nil {
		return err
	}
	public, err := publicOf(private)
	if err != nil {
		return err
	}
	trusted, err := os.ReadFile(filepath.Join(dir, trust)) // #nosec G304 -- as above
	if err != nil {
		return err
	}
	if err := replace(dir, trust, append(trusted, public...)); err != nil {
		return err
	}
	return replace(dir, next, private)
}

// replace writes a file whole or not at all.
func replace(dir, file string, data []byte) error {
	part := filepath.Join(dir, file+".part")
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := write(part, data); err != nil {
		return err
	}
	if err := os.Rename(part, filepath.Join(dir, file)); err != nil {
		return err
	}
	return sync(dir)
}
