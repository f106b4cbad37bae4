package emergency

import (
	"slices"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Builder folds records into snapshots. It is for one goroutine; the snapshots are for all.
type Builder struct {
	revision Revision
	users    tableBuilder
	devices  tableBuilder
	sets     sets
	groups   groups
	records  records
}

// NewBuilder answers an empty builder.
func NewBuilder() *Builder {
	return &Builder{sets: newSets(), groups: newGroups(), records: newRecords()}
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
	b.users.flag(name, f)
}

// DeleteUser forgets a user. Memberships stay with their groups' records.
func (b *Builder) DeleteUser(name string) { b.users.forget(name) }

// PutDevice records a device, by name.
func (b *Builder) PutDevice(name string, isDisabled bool) { b.PutDeviceOf(name, isDisabled, 0) }

// PutDeviceOf records a device with its protocol, a number below 8, for those who list devices by it.
func (b *Builder) PutDeviceOf(name string, isDisabled bool, protocol uint8) {
	f := present
	if isDisabled {
		f |= disabled
	}
	r := b.devices.edit(b.devices.put(name))
	*r = (*r&^flagsMask | f).withProtocol(protocol)
}

// DeleteDevice forgets a device. Memberships stay with their groups' records.
func (b *Builder) DeleteDevice(name string) { b.devices.forget(name) }

// PutGroup records an access group as it is now. Members may be recorded before or after it.
func (b *Builder) PutGroup(name string, users, devices []string, blocks bool) {
	b.putGroup(group{name: name, present: true, blocks: blocks}, users, devices)
}

// PutDisabledGroup records an access group that is switched off: it has its members, and gives no access
// and blocks nothing.
func (b *Builder) PutDisabledGroup(name string, users, devices []string) {
	b.putGroup(group{name: name, present: true, off: true}, users, devices)
}

// DeleteGroup forgets a group.
func (b *Builder) DeleteGroup(name string) {
	if _, ok := b.groups.bit[name]; ok {
		b.putGroup(group{name: name}, nil, nil)
	}
}

func (b *Builder) putGroup(g group, users, devices []string) {
	bit, before := b.groups.at(g.name)
	g.users, g.devices = b.users.putAll(users), b.devices.putAll(devices)
	b.join(&b.users, bit, before.active(before.users), g.active(g.users))
	b.join(&b.devices, bit, before.active(before.devices), g.active(g.devices))
	b.groups.set(bit, &g)
}

// join moves the rows that left or joined the group.
func (b *Builder) join(t *tableBuilder, bit uint32, before, after []uint32) {
	b.move(t, bit, before, after, false)
	b.move(t, bit, after, before, true)
}

// move takes one step for each row that is in the one list and not in the other.
func (b *Builder) move(t *tableBuilder, bit uint32, in, notIn []uint32, on bool) {
	for _, i := range in {
		if _, stays := slices.BinarySearch(notIn, i); !stays {
			r := t.edit(i)
			*r = r.withSet(b.sets.step(r.set(), bit, on))
		}
	}
}

// PutEmergency records an emergency as it is now.
func (b *Builder) PutEmergency(e *emergencyv1.Emergency) { b.records.put(e) }

// PutDrill records a drill as it is now. Nothing that a snapshot decides is another for it.
func (b *Builder) PutDrill(d *emergencyv1.Drill) { b.records.putDrill(d) }

// PutPolicy records the policy.
func (b *Builder) PutPolicy(p *emergencyv1.Policy) { b.records.setPolicy(p) }

// SetRevision says how far the record of emergencies has been folded.
func (b *Builder) SetRevision(r Revision) { b.revision = r }

// Revision is how far the record of emergencies has been folded.
func (b *Builder) Revision() Revision { return b.revision }

// Record is the emergency as it was last put, nil if there is none.
func (b *Builder) Record(id string) *emergencyv1.Emergency { return b.records.byID[id] }

// Snapshot answers what has been recorded so far. Windows that ended long before now are left out of
// what Decide looks at; their cuts stand.
func (b *Builder) Snapshot(now time.Time) *Snapshot {
	if b.sets.overgrown() {
		b.sets.sweep(&b.users, &b.devices)
	}
	s := &Snapshot{
		revision: b.revision, users: *b.users.freeze(), devices: *b.devices.freeze(), sets: b.sets.freeze(),
		known: b.records.freeze(now),
	}
	s.groups, s.blockMask = b.groups.freeze()
	if d := s.known.drill; d != nil {
		as := *s
		as.known = d.known
		s.practice = &Practice{Drill: d.id, drill: d, as: &as}
	}
	return s
}

// groups are the access groups by their bits. A group keeps its bit for good.
type groups struct {
	bit  map[string]uint32
	list []*group
	own  bool
}

// group never changes: an edit makes another.
type group struct {
	name                 string
	present, off, blocks bool
	users, devices       []uint32 // rows, sorted
}

// active are the members that count.
func (g *group) active(members []uint32) []uint32 {
	if g.off {
		return nil
	}
	return members
}

func newGroups() groups { return groups{bit: map[string]uint32{}} }

func (g *groups) at(name string) (bit uint32, now *group) {
	bit, ok := g.bit[name]
	if !ok {
		bit = uint32(len(g.bit))
		g.bit[name] = bit
		return bit, &group{}
	}
	return bit, g.list[bit]
}

func (g *groups) set(bit uint32, to *group) {
	if !g.own {
		g.list, g.own = slices.Clone(g.list), true
	}
	if int(bit) == len(g.list) {
		g.list = append(g.list, nil)
	}
	g.list[bit] = to
}

func (g *groups) freeze() (list []*group, blocking uint64) {
	g.own = false
	for bit, group := range g.list {
		if group.blocks {
			blocking |= maskOf(uint32(bit))
		}
	}
	return slices.Clip(g.list), blocking
}
