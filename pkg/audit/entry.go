// Package audit is the record's proof: how an entry is signed, how entries are chained by their
// hashes, and how anyone can verify an export offline, with nothing but the public key.
package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

const (
	signatureDomain = "portcullis-emergency-entry-v1\n"
	hashDomain      = "portcullis-emergency-chain-v1\n"
)

// Hash is the place of one entry in the chain.
type Hash [sha256.Size]byte

// HashOf chains an entry to the one before it. It covers the previous hash, the epoch, the sequence,
// the subject and the stored bytes.
func HashOf(previous []byte, epoch, sequence uint64, subject string, stored []byte) Hash {
	h := sha256.New()
	h.Write([]byte(hashDomain))
	var n [8]byte
	for _, field := range [][]byte{previous, binary.BigEndian.AppendUint64(nil, epoch), binary.BigEndian.AppendUint64(nil, sequence), []byte(subject), stored} {
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		h.Write(n[:])
		h.Write(field)
	}
	return Hash(h.Sum(nil))
}

// KeyID names a public key by its first bytes' hash.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// Seal signs an entry and answers the bytes to store.
func Seal(entry *emergencyv1.Entry, key ed25519.PrivateKey) ([]byte, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("encoding an entry: %w", err)
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("signing an entry: not an Ed25519 key")
	}
	stored, err := proto.Marshal(&emergencyv1.SignedEntry{
		Entry: raw, KeyId: KeyID(public), Signature: ed25519.Sign(key, append([]byte(signatureDomain), raw...)),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a signed entry: %w", err)
	}
	return stored, nil
}

// Keys are the public keys that may sign entries, by id.
type Keys map[string]ed25519.PublicKey

// Trust answers the keys of a trust root.
func Trust(roots ...ed25519.PublicKey) Keys {
	keys := Keys{}
	for _, root := range roots {
		keys[KeyID(root)] = root
	}
	return keys
}

// Open verifies the signature of a stored entry and that it stands where it says it does.
func (k Keys) Open(sequence uint64, subject string, stored []byte) (*emergencyv1.Entry, error) {
	signed := new(emergencyv1.SignedEntry)
	if err := proto.Unmarshal(stored, signed); err != nil {
		return nil, flaw(Changed, sequence, "entry %d is not a signed entry: %s", sequence, err)
	}
	key, known := k[signed.GetKeyId()]
	if !known {
		return nil, flaw(Changed, sequence, "entry %d is signed with the unknown key %q", sequence, signed.GetKeyId())
	}
	if !ed25519.Verify(key, append([]byte(signatureDomain), signed.GetEntry()...), signed.GetSignature()) {
		return nil, flaw(Changed, sequence, "entry %d has a wrong signature: it was changed after it was written", sequence)
	}
	entry := new(emergencyv1.Entry)
	if err := proto.Unmarshal(signed.GetEntry(), entry); err != nil {
		return nil, flaw(Changed, sequence, "entry %d can't be read: %s", sequence, err)
	}
	if entry.GetSequence() != sequence || entry.GetSubject() != subject {
		return nil, flaw(Moved, sequence, "entry %d on %s says it is %d on %s: it was moved", sequence, subject, entry.GetSequence(), entry.GetSubject())
	}
	return entry, nil
}
