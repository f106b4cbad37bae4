package emergency

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
)

// The directory keeps a row for each user and each device: a few flags and the number of the set of
// access groups that it is in. Sets are interned bit sets, so that a million devices in a few thousand
// combinations of groups cost four bytes each beside their names. A snapshot shares shards and pages
// with the one before it; an edit copies the shard or page that it touches, never a whole map.

const (
	shardTarget = 64   // names in a shard before the number of shards doubles
	pageRows    = 1024 // rows in a page
)

type flags uint8

const (
	present flags = 1 << iota
	disabled
	administrator
)

type row struct {
	set   uint32
	flags flags
}

// table maps names to rows. Its zero value is empty.
type table struct {
	seed   maphash.Seed
	shards []map[string]uint32
	pages  []*[pageRows]row
	names  int
}

func (t *table) shard(name string) int {
	return int(maphash.String(t.seed, name) & uint64(len(t.shards)-1))
}

// find answers the row of a name that is present.
func (t *table) find(name string) (row, bool) {
	if len(t.shards) == 0 {
		return row{}, false
	}
	i, ok := t.shards[t.shard(name)][name]
	if !ok {
		return row{}, false
	}
	r := t.pages[i/pageRows][i%pageRows]
	return r, r.flags&present != 0
}

// tableBuilder edits a table. It owns the shards and pages that it has copied since the last snapshot.
type tableBuilder struct {
	table
	ownShard []bool
	ownPage  []bool
}

func (b *tableBuilder) freeze() table {
	b.ownShard = make([]bool, len(b.shards))
	b.ownPage = make([]bool, len(b.pages))
	t := b.table
	t.shards = append([]map[string]uint32(nil), b.shards...)
	t.pages = append([]*[pageRows]row(nil), b.pages...)
	return t
}

// index answers the row number of a name, making a row that is not present yet for a new one.
func (b *tableBuilder) index(name string) uint32 {
	if len(b.shards) == 0 {
		b.seed = maphash.MakeSeed()
		b.shards, b.ownShard = []map[string]uint32{{}}, []bool{true}
	}
	if i, ok := b.shards[b.shard(name)][name]; ok {
		return i
	}
	if b.names >= shardTarget*len(b.shards) {
		b.grow()
	}
	s := b.shard(name)
	if !b.ownShard[s] {
		b.shards[s], b.ownShard[s] = maps.Clone(b.shards[s]), true
	}
	i := uint32(b.names)
	b.shards[s][name] = i
	b.names++
	if int(i)/pageRows == len(b.pages) {
		b.pages, b.ownPage = append(b.pages, new([pageRows]row)), append(b.ownPage, true)
	}
	return i
}

func (b *tableBuilder) grow() {
	old := b.shards
	n := 4 * len(old)
	b.shards, b.ownShard = make([]map[string]uint32, n), make([]bool, n)
	for i := range b.shards {
		b.shards[i], b.ownShard[i] = make(map[string]uint32, shardTarget/2), true
	}
	for _, shard := range old {
		for name, i := range shard {
			b.shards[b.shard(name)][name] = i
		}
	}
}

func (b *tableBuilder) at(i uint32) *row {
	p := i / pageRows
	if !b.ownPage[p] {
		page := *b.pages[p]
		b.pages[p], b.ownPage[p] = &page, true
	}
	return &b.pages[p][i%pageRows]
}

func (b *tableBuilder) setFlags(name string, f flags) { b.at(b.index(name)).flags = f }

// bits is a set of access groups, a bit each.
type bits []uint64

func (s bits) meets(o bits) bool {
	for i := range min(len(s), len(o)) {
		if s[i]&o[i] != 0 {
			return true
		}
	}
	return false
}

func (s bits) has(i int) bool { return i/64 < len(s) && s[i/64]&(1<<(i%64)) != 0 }

// with answers a copy in which bit i is as told.
func (s bits) with(i int, on bool) bits {
	n := max(len(s), i/64+1)
	c := make(bits, n)
	copy(c, s)
	if on {
		c[i/64] |= 1 << (i % 64)
	} else {
		c[i/64] &^= 1 << (i % 64)
	}
	for len(c) > 0 && c[len(c)-1] == 0 {
		c = c[:len(c)-1]
	}
	return c
}

// sets interns bit sets: equal sets have one number, and number 0 is the empty set.
type sets struct {
	list   []bits
	number map[string]uint32
	moves  map[move]uint32
}

// move is one step from a set to another: the same step is taken by every member of a group.
type move struct {
	from, bit uint32
	on        bool
}

func newSets() *sets {
	return &sets{list: []bits{nil}, number: map[string]uint32{"": 0}, moves: map[move]uint32{}}
}

func (s *sets) step(from uint32, bit int, on bool) uint32 {
	m := move{from, uint32(bit), on}
	if to, ok := s.moves[m]; ok {
		return to
	}
	set := s.list[from].with(bit, on)
	var key []byte
	for _, w := range set {
		key = binary.LittleEndian.AppendUint64(key, w)
	}
	to, ok := s.number[string(key)]
	if !ok {
		to = uint32(len(s.list))
		s.list, s.number[string(key)] = append(s.list, set), to
	}
	s.moves[m] = to
	return to
}
