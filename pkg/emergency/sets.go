package emergency

import (
	"encoding/binary"
	"slices"
)

// sets interns the sets of access groups that users and devices are in: equal sets have one number, so
// that a million devices in a few thousand combinations cost four bytes each. Number 0 is the empty set.
// A set is a sorted list of the groups' bits.
type sets struct {
	list   [][]uint32
	number map[string]uint32
	moves  map[move]uint32
	swept  int // sets that were left after the last sweep
}

// move is one step from a set to another: the same step is taken by every member of a group.
type move struct {
	from, bit uint32
	on        bool
}

func newSets() sets {
	return sets{list: [][]uint32{nil}, number: map[string]uint32{"": 0}, moves: map[move]uint32{}}
}

// step answers the set that differs by one group.
func (s *sets) step(from, bit uint32, on bool) uint32 {
	m := move{from, bit, on}
	to, ok := s.moves[m]
	if !ok {
		to = s.intern(with(s.list[from], bit, on))
		s.moves[m] = to
	}
	return to
}

func (s *sets) intern(set []uint32) uint32 {
	key := make([]byte, 0, 64)
	for _, bit := range set {
		key = binary.LittleEndian.AppendUint32(key, bit)
	}
	n, ok := s.number[string(key)]
	if !ok {
		n = uint32(len(s.list))
		s.list, s.number[string(key)] = append(s.list, set), n
	}
	return n
}

// freeze answers the sets so far. What only speeds up the building is let go of.
func (s *sets) freeze() [][]uint32 {
	if len(s.moves) > 1024 {
		s.moves = map[move]uint32{}
	}
	return slices.Clip(s.list)
}

// overgrown reports whether it is time to look for sets that nobody is in any more.
func (s *sets) overgrown() bool { return len(s.list) > 2*s.swept+4096 }

// sweep keeps only the sets that rows are in, under new numbers.
func (s *sets) sweep(tables ...*tableBuilder) {
	old := s.list
	kept := newSets()
	for _, t := range tables {
		for i := range uint32(t.names) {
			if set := t.at(i).set(); set != 0 {
				r := t.edit(i)
				*r = r.withSet(kept.intern(old[set]))
			}
		}
	}
	*s = kept
	s.swept = len(s.list)
}

func with(set []uint32, bit uint32, on bool) []uint32 {
	i, has := slices.BinarySearch(set, bit)
	switch {
	case on && !has:
		return slices.Insert(slices.Clone(set), i, bit)
	case !on && has:
		return slices.Delete(slices.Clone(set), i, i+1)
	}
	return set
}

// meet reports whether two sets have a group in common.
func meet(a, b []uint32) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for _, bit := range a {
		if has(b, bit) {
			return true
		}
	}
	return false
}

// has looks through a short set one by one, which is faster there than halving it.
func has(set []uint32, bit uint32) bool {
	if len(set) > 16 {
		_, ok := slices.BinarySearch(set, bit)
		return ok
	}
	for _, b := range set {
		if b == bit {
			return true
		}
	}
	return false
}
