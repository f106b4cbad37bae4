package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

const foldDomain = "portcullis-stream-fold-v1\n"

// StreamHead says what a stream held up to a sequence: the hash is over the sequence, the subject and the bytes of
// every message from the first one on, each chained to the one before.
type StreamHead struct {
	Stream   string
	Sequence uint64
	Hash     []byte
}

// Add folds the next message. Sequences that are missing are missing from the hash.
func (h *StreamHead) Add(sequence uint64, subject string, data []byte) {
	sum := sha256.New()
	sum.Write([]byte(foldDomain))
	var n [8]byte
	for _, field := range [][]byte{[]byte(h.Stream), h.Hash, binary.BigEndian.AppendUint64(nil, sequence), []byte(subject), data} {
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		sum.Write(n[:])
		sum.Write(field)
	}
	h.Sequence, h.Hash = sequence, sum.Sum(nil)
}

// HoldStream holds what a stream holds now to what checkpoints have witnessed of it. Now answers its heads at the
// sequences that were witnessed, of which those are missing that it no longer has, and last is how far it goes.
func HoldStream(stream string, last uint64, now map[uint64][]byte, all []Checkpoint) error {
	good := uint64(0)
	for _, c := range BySequence(all) {
		for _, s := range c.Streams {
			if s.Stream != stream {
				continue
			}
			is, there := now[s.Sequence]
			switch {
			case s.Sequence > last:
				return missing(stream+": ", last+1, s.Sequence, fmt.Sprintf("%s witnessed %d", c.When(), s.Sequence))
			case !there || !bytes.Equal(is, s.Hash):
				return &Flaw{Kind: Forked, First: good + 1, Last: s.Sequence, text: fmt.Sprintf(
					"%s: one of entries %d to %d was changed or removed: it is not the stream that %s witnessed", stream, good+1, s.Sequence, c.When())}
			}
			good = max(good, s.Sequence)
		}
	}
	return nil
}
