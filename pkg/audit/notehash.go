package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
)

// noteHash is the key hash of the signed note format: SHA-256 over name, newline, algorithm 1 and the key.
func noteHash(public ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(Origin+"\n\x01"), public...))
	return binary.BigEndian.Uint32(sum[:])
}
