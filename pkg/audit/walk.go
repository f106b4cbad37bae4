package audit

import (
	"bytes"
	"errors"
	"fmt"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Walk verifies a record from its first entry on, and holds it to what checkpoints have witnessed.
type Walk struct {
	chain  *Chain
	hashes map[uint64]Hash
	flaw   *Flaw
}

// NewWalk answers a walk that has seen nothing yet.
func NewWalk(trust Keys) *Walk { return &Walk{chain: NewChain(trust), hashes: map[uint64]Hash{}} }

// Next takes the next entry that there is. The first flaw is kept: what comes behind it is only looked at for an entry
// that was missing before it, which tells a changed order from a lack.
func (w *Walk) Next(sequence uint64, subject string, stored []byte) *emergencyv1.Entry {
	if w.flaw != nil {
		if w.flaw.Kind == Missing && sequence == w.flaw.First {
			w.flaw = Misplaced(sequence)
		}
		return nil
	}
	entry, hash, err := w.chain.Next(sequence, subject, stored)
	if err != nil {
		w.Fail(err)
		return nil
	}
	w.hashes[sequence] = hash
	return entry
}

// Fail takes what kept the next entry from being read.
func (w *Walk) Fail(err error) {
	var f *Flaw
	switch {
	case w.flaw != nil:
	case errors.As(err, &f):
		w.flaw = f
	default:
		w.flaw = &Flaw{Kind: Changed, First: w.chain.sequence + 1, Last: w.chain.sequence + 1, text: fmt.Sprintf("behind entry %d", w.chain.sequence), cause: err}
	}
}

// Head is the last entry that verified.
func (w *Walk) Head() Checkpoint { return w.chain.Checkpoint() }

// Verdict answers the newest of the checkpoints that the record contains, none if that is so, and the first flaw of
// the record; nil means that it is whole, and goes at least as far as every checkpoint.
func (w *Walk) Verdict(all []Checkpoint) (witnessed *Checkpoint, flaw *Flaw) {
	for _, c := range BySequence(all) {
		own, there := w.hashes[c.Sequence]
		if !there {
			continue
		}
		if !bytes.Equal(own[:], c.Hash) {
			return witnessed, w.forked(witnessed, c)
		}
		witnessed = &c
	}
	if w.flaw != nil {
		return witnessed, w.flaw
	}
	for _, c := range BySequence(all) {
		if c.Sequence > w.chain.sequence {
			newest := BySequence(all)[len(all)-1]
			return witnessed, missing("", w.chain.sequence+1, newest.Sequence, fmt.Sprintf("%s witnessed %d", newest.When(), newest.Sequence))
		}
	}
	return witnessed, nil
}

func (w *Walk) forked(before *Checkpoint, c Checkpoint) *Flaw {
	first := uint64(1)
	if before != nil {
		first = before.Sequence + 1
	}
	f := flaw(Forked, c.Sequence, "entry %d is not the one that %s witnessed", c.Sequence, c.When())
	if f.First = first; first < c.Sequence {
		f.text += fmt.Sprintf(": the record is another one, from an entry between %d and %d on", first, c.Sequence)
	}
	return f
}
