// Package seal keeps secrets unreadable at rest and signs the record of emergencies. Every process gets
// the keys of its own service and no others; asking for another's is an error that names the file.
//
// What is sealed is bound to the subject of its record: moved under another subject it no longer opens.
package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"portcullis.dev/pkg/audit"
)

// The files of a folder of keys. Secrets are tink keysets, in JSON, or PKCS 8 in PEM.
const (
	AEADFile         = "mfa.json"                // identity seals MFA secrets with it
	SealerFile       = "credential.public.json"  // access-gate seals device credentials with it …
	OpenerFile       = "credential.private.json" // … and the bastion alone opens them
	SignerFile       = "entry.private.pem"       // emergency-control signs entries with it
	TrustFile        = "entry.public.pem"        // all verify entries from it on
	NotifierAEADFile = "notification.json"       // the notifier seals what it signs in to servers with
	CheckpointFile   = "checkpoint.private.pem"  // emergency-control signs checkpoints of the record with it
	VerifierFile     = "checkpoint.vkey"         // auditors verify checkpoints with it: a C2SP vkey a line
)

// Keys are the keys that a process was given.
type Keys struct {
	dir   string
	files []string
}

// Open answers the keys in a folder, of which only the named files may be used; all, if none is named.
// Nothing is read before it is asked for.
func Open(dir string, files ...string) Keys {
	if len(files) == 0 {
		files = []string{AEADFile, SealerFile, OpenerFile, SignerFile, TrustFile, NotifierAEADFile, CheckpointFile, VerifierFile}
	}
	return Keys{dir: dir, files: files}
}

// Only answers the same keys, of which only the named files may be used.
func (k Keys) Only(files ...string) Keys {
	return Keys{dir: k.dir, files: slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !slices.Contains(k.files, f) })}
}

// Box seals and opens.
type Box struct {
	Sealer
	Opener
}

// Sealer seals.
type Sealer struct {
	seal func(plain, subject []byte) ([]byte, error)
}

// Seal encrypts for the record of that subject.
func (s Sealer) Seal(plain []byte, subject string) ([]byte, error) {
	sealed, err := s.seal(plain, []byte(subject))
	if err != nil {
		return nil, fmt.Errorf("sealing for %s: %w", subject, err)
	}
	return sealed, nil
}

// Opener opens.
type Opener struct {
	open func(sealed, subject []byte) ([]byte, error)
}

// Open decrypts what was sealed for the record of that subject, and for no other.
func (o Opener) Open(sealed []byte, subject string) ([]byte, error) {
	plain, err := o.open(sealed, []byte(subject))
	if err != nil {
		return nil, fmt.Errorf("opening what %s has sealed: %w", subject, err)
	}
	return plain, nil
}

// AEAD seals and opens identity's secrets.
func (k Keys) AEAD() (Box, error) { return k.box(AEADFile) }

// NotifierAEAD seals and opens the notifier's credentials of mail servers, SMS brokers and webhooks.
func (k Keys) NotifierAEAD() (Box, error) { return k.box(NotifierAEADFile) }

func (k Keys) box(file string) (Box, error) {
	h, err := k.handle(file)
	if err != nil {
		return Box{}, err
	}
	primitive, err := aead.New(h)
	if err != nil {
		return Box{}, fmt.Errorf("using the key %s: %w", file, err)
	}
	return Box{Sealer{primitive.Encrypt}, Opener{primitive.Decrypt}}, nil
}

// Sealer seals device credentials for the bastion.
func (k Keys) Sealer() (Sealer, error) {
	h, err := k.handle(SealerFile)
	if err != nil {
		return Sealer{}, err
	}
	primitive, err := hybrid.NewHybridEncrypt(h)
	if err != nil {
		return Sealer{}, fmt.Errorf("using the key %s: %w", SealerFile, err)
	}
	return Sealer{primitive.Encrypt}, nil
}

// Opener opens device credentials.
func (k Keys) Opener() (Opener, error) {
	h, err := k.handle(OpenerFile)
	if err != nil {
		return Opener{}, err
	}
	primitive, err := hybrid.NewHybridDecrypt(h)
	if err != nil {
		return Opener{}, fmt.Errorf("using the key %s: %w", OpenerFile, err)
	}
	return Opener{primitive.Decrypt}, nil
}

func (k Keys) handle(file string) (*keyset.Handle, error) {
	data, err := k.read(file)
	if err != nil {
		return nil, err
	}
	whole := func(h *keyset.Handle, err error) (*keyset.Handle, error) {
		if err != nil {
			return nil, malformed(file)
		}
		return h, nil
	}
	reader := keyset.NewJSONReader(bytes.NewReader(data))
	if file == SealerFile {
		return whole(keyset.ReadWithNoSecrets(reader))
	}
	return whole(insecurecleartextkeyset.Read(reader))
}

// malformed never repeats what a parser says: it may quote the secret.
func malformed(file string) error {
	return fmt.Errorf("reading the key %s: it is not a key of its kind", file)
}

func (k Keys) read(file string) ([]byte, error) {
	if !slices.Contains(k.files, file) {
		return nil, fmt.Errorf("reading the key %s: this service was not given it", file)
	}
	name := filepath.Join(k.dir, file)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the key %s: this service was not given it: %w", file, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", file, err)
	}
	if secret := file != SealerFile && file != TrustFile && file != VerifierFile; secret && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("reading the key %s: everybody may read it; take that right away (chmod 0600)", name)
	}
	return os.ReadFile(name) // #nosec G304 -- names of our own in the folder that the configuration names
}

// EntrySigner signs entries of EMERGENCY. It is control's alone, and never to be logged.
func (k Keys) EntrySigner() (ed25519.PrivateKey, error) { return k.signer(SignerFile) }

// CheckpointSigner signs checkpoints of EMERGENCY, and is control's alone too. The error is fs.ErrNotExist where the
// keys were made by a version without it.
func (k Keys) CheckpointSigner() (ed25519.PrivateKey, error) { return k.signer(CheckpointFile) }

func (k Keys) signer(file string) (ed25519.PrivateKey, error) {
	data, err := k.read(file)
	if err != nil {
		return nil, err
	}
	key := privateKey(data)
	if key == nil {
		return nil, malformed(file)
	}
	return key, nil
}

// privateKey reads a key in PKCS 8; nil if it is none.
func privateKey(data []byte) ed25519.PrivateKey {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil
	}
	return key
}

// Trust are the public keys that the record of emergencies may begin with: usually one.
func (k Keys) Trust() (audit.Keys, error) {
	data, err := k.read(TrustFile)
	if err != nil {
		return nil, err
	}
	return ReadTrust(data)
}

// ReadTrust reads public keys in PEM, as TrustFile has them.
func ReadTrust(data []byte) (audit.Keys, error) {
	var roots []ed25519.PublicKey
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, malformed(TrustFile)
		}
		roots = append(roots, key)
	}
	if len(roots) == 0 {
		return nil, malformed(TrustFile)
	}
	return audit.Trust(roots...), nil
}
