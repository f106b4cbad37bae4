package emergency

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// A table keeps a row for each user or device ever named: a few flags and the number of the set of
// access groups that it is in. It is made of pages, so that a snapshot shares with the one before it all
// that was not edited, and it has no pointer per name, so that a million of them cost the garbage
// collector nothing.

const (
	pageSlots = 512 // of the index; a power of two
	pageFull  = 448 // names in a page before the index doubles
	pageRows  = 1024

	firstChunk = 1 << 10 // bytes of the first chunk of names
	lastChunk  = 1 << 16 // and of the largest
)

// row is the number of a set, and flags. Sixty-seven million sets are more than memory holds.
type row uint32

const (
	present row = 1 << (iota + 26)
	disabled
	administrator
	protocolShift     = 29
	protocolMask  row = 7 << protocolShift
	flagsMask     row = present | disabled | administrator
	setMask       row = 1<<26 - 1
)

func (r row) set() uint32              { return uint32(r & setMask) }
func (r row) withSet(n uint32) row     { return r&^setMask | row(n) }
func (r row) is(flag row) bool         { return r&flag != 0 }
func (r row) administers() bool        { return r&(administrator|disabled) == administrator }
func (r row) protocol() uint8          { return uint8(r >> protocolShift) }
func (r row) withProtocol(p uint8) row { return r&^protocolMask | row(p)<<protocolShift }

// cell is a row beside where its name is, chunk<<16 | offset: who looks one up needs both.
type cell struct {
	row   row
	place uint32
}

// table is the frozen form. Its zero value is empty.
type table struct {
	seed   maphash.Seed
	index  []*[pageSlots]uint64 // hash<<32 | row+1, by linear probing within the page
	rows   []*[pageRows]cell
	chunks [][]byte // names, each behind its length
	names  int
	order  *order
}

func (t *table) hash(name string) uint32 { return uint32(maphash.String(t.seed, name)) }

// page tells where a hash lives in the index: the low bits choose the page, the high ones the slot.
func (t *table) page(hash uint32) (page, slot uint32) {
	return hash & uint32(len(t.index)-1), hash >> 23 % pageSlots
}

// number answers the row number of a name that was ever put.
func (t *table) number(name string) (uint32, bool) {
	if len(t.index) == 0 {
		return 0, false
	}
	hash := t.hash(name)
	p, slot := t.page(hash)
	for page := t.index[p]; page[slot] != 0; slot = (slot + 1) % pageSlots {
		if uint32(page[slot]>>32) != hash {
			continue
		}
		if i := uint32(page[slot]) - 1; string(t.bytes(i)) == name {
			return i, true
		}
	}
	return 0, false
}

// find answers the row of a name that is present.
func (t *table) find(name string) (row, bool) {
	i, ok := t.number(name)
	if !ok {
		return 0, false
	}
	r := t.at(i)
	return r, r.is(present)
}

func (t *table) at(i uint32) row { return t.rows[i/pageRows][i%pageRows].row }

// bytes is the name of a row.
func (t *table) bytes(i uint32) []byte {
	place := t.rows[i/pageRows][i%pageRows].place
	chunk := t.chunks[place>>16][place&0xffff:]
	n, width := binary.Uvarint(chunk)
	return chunk[width : width+int(n)]
}

func (t *table) name(i uint32) string { return string(t.bytes(i)) }

// namesOf answers the names of rows that are present, sorted.
func (t *table) namesOf(rows []uint32) []string {
	names := make([]string, 0, len(rows))
	for _, i := range rows {
		if t.at(i).is(present) {
			names = append(names, t.name(i))
		}
	}
	slices.Sort(names)
	return names
}

// tableBuilder edits a table. It owns the pages that it has copied since the last snapshot.
type tableBuilder struct {
	table
	frozen   *table // what the last snapshot got, as long as nothing was edited
	fill     []uint16
	ownIndex []bool
	ownRows  []bool
	used     int // bytes of the last chunk
}

func (b *tableBuilder) freeze() *table {
	if b.frozen != nil {
		return b.frozen
	}
	if b.order == nil {
		b.order = &order{}
	}
	clear(b.ownIndex)
	clear(b.ownRows)
	t := b.table
	t.index, t.rows = slices.Clone(b.index), slices.Clone(b.rows)
	t.chunks = slices.Clip(b.chunks)
	b.frozen = &t
	return b.frozen
}

// put answers the row number of a name, making a row that is not present yet for a new one.
func (b *tableBuilder) put(name string) uint32 {
	if i, ok := b.number(name); ok {
		return i
	}
	b.frozen = nil
	if len(b.index) == 0 {
		b.seed = maphash.MakeSeed()
		b.resize(1)
	}
	hash := b.hash(name)
	for p, _ := b.page(hash); b.fill[p] >= pageFull; p, _ = b.page(hash) {
		b.resize(2 * len(b.index))
	}
	i := uint32(b.names)
	b.names++
	if int(i)/pageRows == len(b.rows) {
		b.rows, b.ownRows = append(b.rows, new([pageRows]cell)), append(b.ownRows, true)
	}
	b.cell(i).place = b.store(name)
	b.insert(uint64(hash)<<32 | uint64(i+1))
	return i
}

// putAll answers the row numbers of names, sorted.
func (b *tableBuilder) putAll(names []string) []uint32 {
	rows := make([]uint32, len(names))
	for i, name := range names {
		rows[i] = b.put(name)
	}
	slices.Sort(rows)
	return slices.Compact(rows)
}

// store appends a name to the last chunk, where no snapshot has looked yet.
func (b *tableBuilder) store(name string) uint32 {
	need := binary.MaxVarintLen32 + len(name)
	if n := len(b.chunks); n == 0 || b.used+need > len(b.chunks[n-1]) {
		size := firstChunk
		if n > 0 {
			size = min(2*len(b.chunks[n-1]), lastChunk)
		}
		b.chunks, b.used = append(b.chunks, make([]byte, max(size, need))), 0
	}
	place := uint32(len(b.chunks)-1)<<16 | uint32(b.used)
	chunk := b.chunks[len(b.chunks)-1]
	b.used += binary.PutUvarint(chunk[b.used:], uint64(len(name)))
	b.used += copy(chunk[b.used:], name)
	return place
}

func (b *tableBuilder) insert(entry uint64) {
	p, slot := b.page(uint32(entry >> 32))
	if !b.ownIndex[p] {
		page := *b.index[p]
		b.index[p], b.ownIndex[p] = &page, true
	}
	for b.index[p][slot] != 0 {
		slot = (slot + 1) % pageSlots
	}
	b.index[p][slot] = entry
	b.fill[p]++
}

func (b *tableBuilder) resize(pages int) {
	old := b.index
	b.index, b.fill, b.ownIndex = make([]*[pageSlots]uint64, pages), make([]uint16, pages), make([]bool, pages)
	for p := range b.index {
		b.index[p], b.ownIndex[p] = new([pageSlots]uint64), true
	}
	for _, page := range old {
		for _, entry := range page {
			if entry != 0 {
				b.insert(entry)
			}
		}
	}
}

// edit answers a row to write to.
func (b *tableBuilder) edit(i uint32) *row {
	b.frozen = nil
	return &b.cell(i).row
}

func (b *tableBuilder) cell(i uint32) *cell {
	p := i / pageRows
	if !b.ownRows[p] {
		page := *b.rows[p]
		b.rows[p], b.ownRows[p] = &page, true
	}
	return &b.rows[p][i%pageRows]
}

// flag sets a name's flags and leaves its memberships, for these are the groups' to say.
func (b *tableBuilder) flag(name string, flags row) {
	r := b.edit(b.put(name))
	*r = *r&^flagsMask | flags
}

// forget takes the flags of a name, if there is such a name at all.
func (b *tableBuilder) forget(name string) {
	if i, ok := b.number(name); ok {
		*b.edit(i) &^= flagsMask | protocolMask
	}
}
