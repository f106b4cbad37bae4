package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Chain walks the record from its first entry and refuses the first one that does not follow.
type Chain struct {
	keys     Keys
	sequence uint64
	epoch    uint64
	head     []byte
}

// NewChain answers a chain at its beginning. Keys that entries of the record introduce are trusted
// from there on, when they are signed for by a key that was trusted before.
func NewChain(keys Keys) *Chain {
	own := Keys{}
	for id, key := range keys {
		own[id] = key
	}
	return &Chain{keys: own}
}

// Next takes the next entry and answers it, verified, with its hash.
func (c *Chain) Next(sequence uint64, subject string, stored []byte) (*emergencyv1.Entry, Hash, error) {
	if sequence <= c.sequence {
		return nil, Hash{}, fmt.Errorf("entry %d follows entry %d: the order was changed, or an entry stands twice", sequence, c.sequence)
	}
	if sequence != c.sequence+1 {
		return nil, Hash{}, fmt.Errorf("entry %d follows entry %d: %d missing", sequence, c.sequence, sequence-c.sequence-1)
	}
	entry, err := c.keys.Open(sequence, subject, stored)
	if err != nil {
		return nil, Hash{}, err
	}
	if !bytes.Equal(entry.GetPreviousHash(), c.head) {
		return nil, Hash{}, fmt.Errorf("entry %d does not follow the entry before it: one of the two was replaced", sequence)
	}
	if entry.GetEpoch() < c.epoch {
		return nil, Hash{}, fmt.Errorf("entry %d falls back to epoch %d from %d", sequence, entry.GetEpoch(), c.epoch)
	}
	if err := c.trust(entry); err != nil {
		return nil, Hash{}, fmt.Errorf("entry %d: %w", sequence, err)
	}
	hash := HashOf(c.head, entry.GetEpoch(), sequence, subject, stored)
	c.sequence, c.epoch, c.head = sequence, entry.GetEpoch(), hash[:]
	return entry, hash, nil
}

// trust takes up a key that a rotation introduces: signed by the old key (the entry) and by the new one.
func (c *Chain) trust(entry *emergencyv1.Entry) error {
	key := entry.GetKey()
	if key == nil {
		return nil
	}
	if len(key.GetPublicKey()) != ed25519.PublicKeySize || !ed25519.Verify(key.GetPublicKey(), []byte(signatureDomain+key.GetKeyId()), key.GetSignatureByNew()) {
		return fmt.Errorf("the key %q was not signed for by itself", key.GetKeyId())
	}
	c.keys[KeyID(key.GetPublicKey())] = key.GetPublicKey()
	return nil
}

// Head is the last entry's sequence, epoch and hash.
func (c *Chain) Head() (sequence, epoch uint64, hash []byte) { return c.sequence, c.epoch, c.head }

// Origin is the first line of every checkpoint.
const Origin = "portcullis/emergency"

// Checkpoint answers the signed head as a C2SP signed note: origin, sequence, hash, epoch.
func (c *Chain) Checkpoint(key ed25519.PrivateKey) (string, error) {
	signer, err := checkpointSigner(key)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s\n%d\n%s\nepoch %d\n", Origin, c.sequence, base64.StdEncoding.EncodeToString(c.head), c.epoch)
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return "", fmt.Errorf("signing a checkpoint: %w", err)
	}
	return string(signed), nil
}

func checkpointSigner(key ed25519.PrivateKey) (note.Signer, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("signing a checkpoint: not an Ed25519 key")
	}
	id := noteHash(public)
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", Origin, id, base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...)))
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, fmt.Errorf("preparing a checkpoint's signer: %w", err)
	}
	return signer, nil
}

// ReadCheckpoint reads a checkpoint that the key has signed, and answers what it says.
func ReadCheckpoint(signed string, key ed25519.PublicKey) (sequence uint64, hash []byte, err error) {
	vkey, err := note.NewEd25519VerifierKey(Origin, key)
	if err != nil {
		return 0, nil, fmt.Errorf("preparing a checkpoint's verifier: %w", err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, nil, fmt.Errorf("preparing a checkpoint's verifier: %w", err)
	}
	n, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return 0, nil, fmt.Errorf("verifying a checkpoint: %w", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != Origin {
		return 0, nil, fmt.Errorf("verifying a checkpoint: it is not one of %s", Origin)
	}
	sequence, err = strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		return 0, nil, fmt.Errorf("reading a checkpoint's sequence: %w", err)
	}
	hash, err = base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		return 0, nil, fmt.Errorf("reading a checkpoint's hash: %w", err)
	}
	return sequence, hash, nil
}

// String is a hash in hex, as people compare it.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Hex is a hash in hex, as people compare it.
func Hex(hash []byte) string { return hex.EncodeToString(hash) }
