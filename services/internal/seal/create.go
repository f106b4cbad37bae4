package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
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

	"portcullis.dev/pkg/audit"
)

// Create makes a folder with a key of each kind, unless it is there. It is there whole or not at all,
// and on disk when Create returns: what is sealed with a key that a power cut took is lost for ever. A
// folder of an earlier version gets the kinds that came later; a key of the first ones that is missing
// was lost, and making another would hide that.
func Create(dir string) error {
	_, err := os.Stat(dir)
	if err == nil {
		return wrapped(errors.Join(
			add(dir, NotifierAEADFile, func() ([]byte, error) { return newKeyset(aead.AES256GCMKeyTemplate()) }),
			addCheckpoint(dir)))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return wrapped(err)
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return wrapped(err)
	}
	if err := os.MkdirAll(part, 0o700); err != nil {
		return wrapped(err)
	}
	files, err := generate()
	if err != nil {
		return wrapped(err)
	}
	for name, data := range files {
		if err := write(filepath.Join(part, name), data); err != nil {
			return wrapped(err)
		}
	}
	if err := sync(part); err != nil {
		return wrapped(err)
	}
	if err := os.Rename(part, dir); err != nil {
		return wrapped(err)
	}
	return wrapped(sync(filepath.Dir(dir)))
}

// add makes a key in a folder that has others, unless it is there. Of several at once, one wins.
func add(dir, file string, make func() ([]byte, error)) error {
	name := filepath.Join(dir, file)
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := make()
	if err != nil {
		return err
	}
	part, err := os.CreateTemp(dir, file+".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = part.Write(key)
	if err := errors.Join(err, part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := os.Link(part.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return sync(dir)
}

func wrapped(err error) error {
	if err != nil {
		return fmt.Errorf("creating the keys: %w", err)
	}
	return nil
}

func generate() (map[string][]byte, error) {
	mfa, err := newKeyset(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	notifier, err := newKeyset(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	private, err := newKeyset(hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template())
	if err != nil {
		return nil, err
	}
	public, err := publicOf(private)
	if err != nil {
		return nil, err
	}
	entry, err := newSigner()
	if err != nil {
		return nil, err
	}
	trust, err := publicPEM(entry)
	if err != nil {
		return nil, err
	}
	checkpoint, err := newSigner()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		AEADFile: mfa, NotifierAEADFile: notifier, OpenerFile: private, SealerFile: public,
		SignerFile: entry, TrustFile: trust, CheckpointFile: checkpoint, VerifierFile: verifierOf(checkpoint),
	}, nil
}

// newSigner makes an Ed25519 key, in PKCS 8.
func newSigner() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// publicPEM is the public half of such a key, in PEM.
func publicPEM(private []byte) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(privateKey(private).Public())
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

// verifierOf is the public half of a key of checkpoints, as a line of VerifierFile.
func verifierOf(private []byte) []byte {
	public, _ := privateKey(private).Public().(ed25519.PublicKey)
	return []byte(audit.VKey(public) + "\n")
}

// addCheckpoint makes the key of checkpoints in a folder of a version without, and adds what verifies it where that is
// missing: auditors trust what those files had before besides.
func addCheckpoint(dir string) error {
	if err := add(dir, CheckpointFile, newSigner); err != nil {
		return err
	}
	private, err := os.ReadFile(filepath.Join(dir, CheckpointFile)) // #nosec G304 -- names of our own in the folder that the configuration names
	if err != nil {
		return err
	}
	if privateKey(private) == nil {
		return malformed(CheckpointFile)
	}
	verifier := verifierOf(private)
	if err := add(dir, VerifierFile, func() ([]byte, error) { return verifier, nil }); err != nil {
		return err
	}
	has, err := os.ReadFile(filepath.Join(dir, VerifierFile)) // #nosec G304 -- names of our own in the folder that the configuration names
	if err != nil || bytes.Contains(has, verifier) {
		return err
	}
	return replace(dir, VerifierFile, append(has, verifier...))
}

func newKeyset(template *tinkpb.KeyTemplate) ([]byte, error) {
	h, err := keyset.NewHandle(template)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&out)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func publicOf(private []byte) ([]byte, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(private)))
	if err != nil {
		return nil, err
	}
	public, err := h.Public()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := public.WriteWithNoSecrets(keyset.NewJSONWriter(&out)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func write(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- names of our own in the folder that the configuration names
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func sync(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- the folder that the configuration names
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
