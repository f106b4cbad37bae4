package emergency

import (
	"bytes"
	"iter"
	"slices"
	"sync"
)

// order knows the rows of a table by their names. Names are never forgotten, so one order serves all
// the snapshots of a builder; it is made when first asked for, and caught up when names have been added.
type order struct {
	mu   sync.Mutex
	rows []uint32 // never changed, only replaced
}

// sorted answers at least all of a table's rows, by name; a later snapshot's may be among them.
func (o *order) sorted(t *table) []uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.rows) >= t.names {
		return o.rows
	}
	byName := func(a, b uint32) int { return bytes.Compare(t.bytes(a), t.bytes(b)) }
	added := make([]uint32, 0, t.names-len(o.rows))
	for i := len(o.rows); i < t.names; i++ {
		added = append(added, uint32(i))
	}
	slices.SortFunc(added, byName)
	o.rows = merge(o.rows, added, byName)
	return o.rows
}

func merge(a, b []uint32, compare func(a, b uint32) int) []uint32 {
	all := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compare(a[0], b[0]) <= 0 {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// from answers the names that are present, in order, the first of them not below from.
func (t *table) from(from string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if t.names == 0 {
			return
		}
		rows := t.order.sorted(t)
		if len(rows) > t.names {
			rows = slices.DeleteFunc(slices.Clone(rows), func(i uint32) bool { return int(i) >= t.names })
		}
		start, _ := slices.BinarySearchFunc(rows, from, func(i uint32, from string) int {
			return bytes.Compare(t.bytes(i), []byte(from))
		})
		for _, i := range rows[start:] {
			if t.at(i).is(present) && !yield(t.name(i)) {
				return
			}
		}
	}
}
