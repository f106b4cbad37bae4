package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"

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
		return nil, Hash{}, flaw(Reordered, sequence, "entry %d follows entry %d: the order was changed, or an entry stands twice", sequence, c.sequence)
	}
	if sequence != c.sequence+1 {
		return nil, Hash{}, missing("", c.sequence+1, sequence-1, c.before(sequence))
	}
	entry, err := c.keys.Open(sequence, subject, stored)
	if err != nil {
		return nil, Hash{}, err
	}
	if !bytes.Equal(entry.GetPreviousHash(), c.head) {
		return nil, Hash{}, flaw(Unlinked, sequence, "entry %d does not follow the entry before it: one of the two was replaced", sequence)
	}
	if entry.GetEpoch() < c.epoch {
		return nil, Hash{}, flaw(Unlinked, sequence, "entry %d falls back to epoch %d from %d", sequence, entry.GetEpoch(), c.epoch)
	}
	if err := c.trust(entry); err != nil {
		return nil, Hash{}, flaw(Changed, sequence, "entry %d: %s", sequence, err)
	}
	hash := HashOf(c.head, entry.GetEpoch(), sequence, subject, stored)
	c.sequence, c.epoch, c.head = sequence, entry.GetEpoch(), hash[:]
	return entry, hash, nil
}

// before says what stands where others are missing.
func (c *Chain) before(sequence uint64) string {
	if c.sequence == 0 {
		return fmt.Sprintf("the record begins with entry %d", sequence)
	}
	return fmt.Sprintf("entry %d follows entry %d", sequence, c.sequence)
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

// String is a hash in hex, as people compare it.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Hex is a hash in hex, as people compare it.
func Hex(hash []byte) string { return hex.EncodeToString(hash) }
