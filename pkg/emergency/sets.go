package emergency

import (
	"encoding/binary"
	"slices"
)

// set is a set of access groups, by their bits.
type set struct {
	// mask has a bit for each of the first 63 groups, and its top bit for all others together. Most
	// questions are settled by it.
	mask uint64
	bits []uint32 // sorted
}

const others = 63

func maskOf(bit uint32) uint64 { return 1 << min(bit, others) }

func newSet(bits []uint32) set {
	s := set{bits: bits}
	for _, bit := range bits {
		s.mask |= maskOf(bit)
	}
	return s
}

// settled says what two masks have in common, if they can tell.
func settled(a, b uint64) (common, sure bool) {
	both := a & b
	return both != 0, both != 1<<others
}

// meets reports whether two sets have a group in common.
func (s *set) meets(o *set) bool {
	if common, sure := settled(s.mask, o.mask); sure {
		return common
	}
	few, many := s.bits, o.bits
	if len(few) > len(many) {
		few, many = many, few
	}
	return slices.ContainsFunc(few, func(bit uint32) bool { return has(many, bit) })
}

// sets interns the sets of access groups that users and devices are in: equal sets have one number, so
// that a million devices in a few thousand combinations cost four bytes each. Number 0 is the empty set.
type sets struct {
	list   []set
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
	return sets{list: []set{{}}, number: map[string]uint32{"": 0}, moves: map[move]uint32{}}
}

// step answers the set that differs by one group.
func (s *sets) step(from, bit uint32, on bool) uint32 {
	m := move{from, bit, on}
	to, ok := s.moves[m]
	if !ok {
		to = s.intern(with(s.list[from].bits, bit, on))
		s.moves[m] = to
	}
	return to
}

func (s *sets) intern(bits []uint32) uint32 {
	key := make([]byte, 0, 64)
	for _, bit := range bits {
		key = binary.LittleEndian.AppendUint32(key, bit)
	}
	n, ok := s.number[string(key)]
	if !ok {
		n = uint32(len(s.list))
		s.list, s.number[string(key)] = append(s.list, newSet(bits)), n
	}
	return n
}

// freeze answers the sets so far. What only speeds up the building is let go of.
func (s *sets) freeze() []set {
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
				*r = r.withSet(kept.intern(old[set].bits))
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
