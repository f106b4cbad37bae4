package emergency

import (
	"iter"
	"slices"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Administrator reports whether the name is an enabled user with the role System Administrator.
func (s *Snapshot) Administrator(name string) bool {
	r, ok := s.users.find(name)
	return ok && r.administers()
}

// Administrators are all enabled users with the role System Administrator, sorted. It looks at every user.
func (s *Snapshot) Administrators() []string {
	var names []string
	for name := range s.users.from("") {
		if s.Administrator(name) {
			names = append(names, name)
		}
	}
	return names
}

// HasUser reports whether there is a user of that name.
func (s *Snapshot) HasUser(name string) bool { _, ok := s.users.find(name); return ok }

// HasDevice reports whether there is a device of that name.
func (s *Snapshot) HasDevice(name string) bool { _, ok := s.devices.find(name); return ok }

// HasGroup reports whether there is an access group of that name.
func (s *Snapshot) HasGroup(name string) bool { return s.group(name) != nil }

// UserEnabled reports whether there is a user of that name who isn't disabled.
func (s *Snapshot) UserEnabled(name string) bool {
	r, ok := s.users.find(name)
	return ok && !r.is(disabled)
}

// DeviceEnabled reports whether there is a device of that name that isn't disabled.
func (s *Snapshot) DeviceEnabled(name string) bool {
	r, ok := s.devices.find(name)
	return ok && !r.is(disabled)
}

// Protocol is the number that a device's protocol was noted as; 0 if none was.
func (s *Snapshot) Protocol(device string) uint8 {
	r, _ := s.devices.find(device)
	return r.protocol()
}

// Devices answers the names of all devices in order, the first of them not below from.
func (s *Snapshot) Devices(from string) iter.Seq[string] { return s.devices.from(from) }

// Groups answers the names of all access groups, sorted.
func (s *Snapshot) Groups() []string {
	return s.groupNames(func(g *group) bool { return g.present })
}

// FrozenGroups are the groups that block during freezes, sorted.
func (s *Snapshot) FrozenGroups() []string {
	return s.groupNames(func(g *group) bool { return g.blocks })
}

func (s *Snapshot) groupNames(keep func(*group) bool) []string {
	var names []string
	for _, g := range s.groups {
		if keep(g) {
			names = append(names, g.name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *Snapshot) group(name string) *group {
	for _, g := range s.groups {
		if g.name == name && g.present {
			return g
		}
	}
	return nil
}

// GroupDevices are the devices in a group, sorted.
func (s *Snapshot) GroupDevices(group string) []string {
	if g := s.group(group); g != nil {
		return s.devices.namesOf(g.devices)
	}
	return nil
}

// GroupsOfUser are the groups that name a user as a member, disabled ones too, whether or not there is
// such a user.
func (s *Snapshot) GroupsOfUser(user string) []string {
	return s.naming(&s.users, user, func(g *group) []uint32 { return g.users })
}

// GroupsOfDevice are the groups that name a device as a member, disabled ones too, whether or not there
// is such a device.
func (s *Snapshot) GroupsOfDevice(device string) []string {
	return s.naming(&s.devices, device, func(g *group) []uint32 { return g.devices })
}

func (s *Snapshot) naming(t *table, member string, of func(*group) []uint32) []string {
	i, ok := t.number(member)
	if !ok {
		return nil
	}
	return s.groupNames(func(g *group) bool { _, in := slices.BinarySearch(of(g), i); return in })
}

// DeviceGroups are the access groups that a device is in, sorted.
func (s *Snapshot) DeviceGroups(device string) []string {
	r, _ := s.devices.find(device)
	return s.namesIn(r, func(*group) bool { return true })
}

// SharedGroups are the access groups that a user and a device are both in, sorted: why the one has access to the other.
func (s *Snapshot) SharedGroups(user, device string) []string {
	u, known := s.users.find(user)
	if !known {
		return nil
	}
	r, _ := s.devices.find(device)
	of := s.sets[u.set()].bits
	var names []string
	for _, bit := range s.sets[r.set()].bits {
		if has(of, bit) {
			names = append(names, s.groups[bit].name)
		}
	}
	slices.Sort(names)
	return names
}

// BlockingGroups are the groups among a device's that close it during freezes, sorted.
func (s *Snapshot) BlockingGroups(device string) []string {
	r, _ := s.devices.find(device)
	return s.namesIn(r, func(g *group) bool { return g.blocks })
}

func (s *Snapshot) namesIn(r row, keep func(*group) bool) []string {
	var names []string
	for _, bit := range s.sets[r.set()].bits {
		if g := s.groups[bit]; keep(g) {
			names = append(names, g.name)
		}
	}
	slices.Sort(names)
	return names
}

// FrozenDevices are the devices that a freeze closes, sorted; for one user those that the user could
// reach otherwise, for the empty name all.
func (s *Snapshot) FrozenDevices(user string) []string {
	u, known := s.users.find(user)
	if user != "" && !known {
		return nil
	}
	var rows []uint32
	for bit, g := range s.groups {
		if user == "" && g.blocks || user != "" && has(s.sets[u.set()].bits, uint32(bit)) {
			rows = append(rows, g.devices...)
		}
	}
	slices.Sort(rows)
	rows = slices.DeleteFunc(slices.Compact(rows), func(i uint32) bool { return !s.blocks(s.devices.at(i)) })
	return s.devices.namesOf(rows)
}

// LockedGroups are the access groups on which a lock is on.
func (s *Snapshot) LockedGroups(now time.Time) []string {
	var names []string
	for _, e := range s.Windows(now) {
		if target, groups := TargetOf(e.GetSelector()); target == OnGroup && kindOf(e) == Lock && StatusOf(e, now) == emergencyv1.Emergency_ONGOING {
			names = append(names, groups...)
		}
	}
	return names
}

// InGroups reports whether a device is a member today of one of the groups.
func (s *Snapshot) InGroups(device string, groups []string) bool {
	return slices.ContainsFunc(s.DeviceGroups(device), func(g string) bool { return slices.Contains(groups, g) })
}
