package emergency

import (
	"cmp"
	"maps"
	"slices"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Builder folds records into snapshots. It is for one goroutine; the snapshots are for all.
type Builder struct {
	revision Revision
	users    tableBuilder
	devices  tableBuilder
	sets     *sets
	groups   map[string]*group
	names    []string // by bit
	blocking bits
	records  map[string]*emergencyv1.Emergency
	policy   *emergencyv1.Policy
}

type group struct {
	bit            int
	users, devices []uint32
}

// NewBuilder answers an empty builder.
func NewBuilder() *Builder {
	return &Builder{sets: newSets(), groups: map[string]*group{}, records: map[string]*emergencyv1.Emergency{}}
}

// PutUser records a user, by name.
func (b *Builder) PutUser(name string, isAdministrator, isDisabled bool) {
	f := present
	if isAdministrator {
		f |= administrator
	}
	if isDisabled {
		f |= disabled
	}
	b.users.setFlags(name, f)
}

// DeleteUser forgets a user. Memberships stay with their groups' records.
func (b *Builder) DeleteUser(name string) { b.users.setFlags(name, 0) }

// PutDevice records a device, by name.
func (b *Builder) PutDevice(name string, isDisabled bool) {
	f := present
	if isDisabled {
		f |= disabled
	}
	b.devices.setFlags(name, f)
}

// DeleteDevice forgets a device.
func (b *Builder) DeleteDevice(name string) { b.devices.setFlags(name, 0) }

// PutGroup records an access group as it is now. Members may be recorded before or after it.
func (b *Builder) PutGroup(name string, users, devices []string, blocks bool) {
	g := b.groups[name]
	if g == nil {
		g = &group{bit: len(b.names)}
		b.groups[name] = g
		b.names = append(b.names[:len(b.names):len(b.names)], name)
	}
	g.users = b.members(&b.users, g.bit, g.users, users)
	g.devices = b.members(&b.devices, g.bit, g.devices, devices)
	b.blocking = b.blocking.with(g.bit, blocks)
}

// DeleteGroup forgets a group.
func (b *Builder) DeleteGroup(name string) {
	if b.groups[name] != nil {
		b.PutGroup(name, nil, nil, false)
	}
}

// members moves the rows that left or joined the group, and answers who is in it now.
func (b *Builder) members(t *tableBuilder, bit int, before []uint32, names []string) []uint32 {
	after := make([]uint32, len(names))
	for i, name := range names {
		after[i] = t.index(name)
	}
	slices.Sort(after)
	after = slices.Compact(after)
	for _, i := range before {
		if _, stays := slices.BinarySearch(after, i); !stays {
			t.at(i).set = b.sets.step(t.at(i).set, bit, false)
		}
	}
	for _, i := range after {
		if _, was := slices.BinarySearch(before, i); !was {
			t.at(i).set = b.sets.step(t.at(i).set, bit, true)
		}
	}
	return after
}

// PutEmergency records a termination, a freeze or a lockdown as it is now.
func (b *Builder) PutEmergency(e *emergencyv1.Emergency) { b.records[e.GetId()] = e }

// PutPolicy records the policy.
func (b *Builder) PutPolicy(p *emergencyv1.Policy) { b.policy = p }

// SetRevision says how far the record of emergencies has been folded.
func (b *Builder) SetRevision(r Revision) { b.revision = r }

// Revision is how far the record of emergencies has been folded.
func (b *Builder) Revision() Revision { return b.revision }

// Record is the emergency as it was last put, nil if there is none.
func (b *Builder) Record(id string) *emergencyv1.Emergency { return b.records[id] }

// Snapshot answers what has been recorded so far. Windows that ended long before now are left out of
// what Decide looks at; their cuts stand.
func (b *Builder) Snapshot(now time.Time) *Snapshot {
	s := &Snapshot{
		revision: b.revision, users: b.users.freeze(), devices: b.devices.freeze(),
		sets: b.sets.list[:len(b.sets.list):len(b.sets.list)], groupNames: b.names,
		blocking: b.blocking, policy: b.policy, records: maps.Clone(b.records),
	}
	long := now.Add(-time.Hour).UnixNano()
	for _, e := range sortedRecords(b.records) {
		if cut, ok := CutOf(e); ok {
			s.cuts = append(s.cuts, cut)
		}
		if e.GetKind() == emergencyv1.Emergency_TERMINATION || e.GetCancelTime() != nil {
			continue
		}
		w := compileWindow(e)
		if w.end < long {
			continue
		}
		if e.GetKind() == emergencyv1.Emergency_LOCKDOWN {
			w.breakUsers = slices.Concat(w.breakUsers, b.policy.GetBreakGlassUsers())
			w.breakTokens = slices.Concat(w.breakTokens, b.policy.GetBreakGlassTokens())
			s.lockdowns = append(s.lockdowns, w)
		} else {
			s.freezes = append(s.freezes, w)
		}
	}
	return s
}

func sortedRecords(m map[string]*emergencyv1.Emergency) []*emergencyv1.Emergency {
	return slices.SortedFunc(maps.Values(m), func(a, b *emergencyv1.Emergency) int {
		if c := b.GetCreateTime().AsTime().Compare(a.GetCreateTime().AsTime()); c != 0 {
			return c
		}
		return cmp.Compare(b.GetId(), a.GetId())
	})
}
