package emergency

import (
	"slices"
	"time"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// Snapshot is what a door knows at one revision. It never changes and is safe for any number of
// goroutines.
type Snapshot struct {
	revision   Revision
	users      table
	devices    table
	sets       []bits
	groupNames []string
	blocking   bits
	lockdowns  []window
	freezes    []window
	cuts       []Cut
	policy     *emergencyv1.Policy
	records    map[string]*emergencyv1.Emergency
}

// Revision is how far the record of emergencies was known.
func (s *Snapshot) Revision() Revision { return s.revision }

// Administrator reports whether the name is an enabled user with the role System Administrator.
func (s *Snapshot) Administrator(name string) bool {
	r, ok := s.users.find(name)
	return ok && r.flags&(administrator|disabled) == administrator
}

// Admission is the stamp for what is let in now.
func (s *Snapshot) Admission(now time.Time) Admission {
	a := Admission{Revision: s.revision}
	for i := range s.cuts {
		start := s.cuts[i].Start
		if !s.cuts[i].Begun && start.After(now) && (a.PendingCut.IsZero() || start.Before(a.PendingCut)) {
			a.PendingCut = start
		}
	}
	return a
}

// Cuts are all that have ever been made, the newest first. The caller must not change them.
func (s *Snapshot) Cuts() []Cut { return s.cuts }

// SignedOut answers the cut, if any, that has ended a sign-in.
func (s *Snapshot) SignedOut(signIn string, a Admission, now time.Time) (Cut, bool) {
	for i := range s.cuts {
		c := &s.cuts[i]
		if c.Kind == Lockdown && c.Bites(a, now) && (signIn == "" || signIn != c.SparedSignIn) {
			return *c, true
		}
	}
	return Cut{}, false
}

// TokenRevoked answers the cut, if any, that has shut a program's token for good: a lockdown applied
// with revokeTokens since the token was last armed.
func (s *Snapshot) TokenRevoked(armed Revision, now time.Time) (Cut, bool) {
	for i := range s.cuts {
		c := &s.cuts[i]
		if c.revokeTokens && c.Bites(Admission{Revision: armed}, now) {
			return *c, true
		}
	}
	return Cut{}, false
}

// Emergency answers a record by its id, nil if there is none.
func (s *Snapshot) Emergency(id string) *emergencyv1.Emergency { return s.records[id] }

// Emergencies answers every record, the newest first.
func (s *Snapshot) Emergencies() []*emergencyv1.Emergency { return sortedRecords(s.records) }

// Policy is the policy in force; nil stands for its defaults.
func (s *Snapshot) Policy() *emergencyv1.Policy { return s.policy }

// NextEdge is the first start or end of any window after now; zero if none is left. What a door shows
// changes by itself then.
func (s *Snapshot) NextEdge(now time.Time) time.Time {
	var next time.Time
	at := now.UnixNano()
	for _, windows := range [][]window{s.lockdowns, s.freezes} {
		for i := range windows {
			for _, edge := range []int64{windows[i].start, windows[i].end} {
				if t := time.Unix(0, edge).UTC(); edge > at && (next.IsZero() || t.Before(next)) {
					next = t
				}
			}
		}
	}
	return next
}

// LockdownUntil answers the latest end of the lockdowns that are on, zero if none is.
func (s *Snapshot) LockdownUntil(now time.Time) time.Time { return latest(s.lockdowns, now) }

// FreezeUntil answers the latest end of the freezes that are on, zero if none is.
func (s *Snapshot) FreezeUntil(now time.Time) time.Time { return latest(s.freezes, now) }

func latest(windows []window, now time.Time) time.Time {
	var until time.Time
	for i := range windows {
		if end := time.Unix(0, windows[i].end).UTC(); windows[i].ongoing(now.UnixNano()) && end.After(until) {
			until = end
		}
	}
	return until
}

// HasUser reports whether there is a user of that name.
func (s *Snapshot) HasUser(name string) bool { _, ok := s.users.find(name); return ok }

// HasDevice reports whether there is a device of that name.
func (s *Snapshot) HasDevice(name string) bool { _, ok := s.devices.find(name); return ok }

// HasGroup reports whether there is an access group of that name.
func (s *Snapshot) HasGroup(name string) bool { return slices.Contains(s.groupNames, name) }

// UserEnabled reports whether there is a user of that name who isn't disabled.
func (s *Snapshot) UserEnabled(name string) bool {
	r, ok := s.users.find(name)
	return ok && r.flags&disabled == 0
}

// DeviceEnabled reports whether there is a device of that name that isn't disabled.
func (s *Snapshot) DeviceEnabled(name string) bool {
	r, ok := s.devices.find(name)
	return ok && r.flags&disabled == 0
}

// DeviceGroups are the access groups that a device is in, sorted.
func (s *Snapshot) DeviceGroups(device string) []string {
	r, _ := s.devices.find(device)
	return s.groupsIn(s.sets[r.set], nil)
}

// BlockingGroups are the groups among a device's that close it during freezes, sorted.
func (s *Snapshot) BlockingGroups(device string) []string {
	r, _ := s.devices.find(device)
	return s.groupsIn(s.sets[r.set], s.blocking)
}

func (s *Snapshot) groupsIn(set, mask bits) []string {
	var names []string
	for i, name := range s.groupNames {
		if set.has(i) && (mask == nil || mask.has(i)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// FrozenDevices are the devices that a freeze closes, sorted; for one user those that the user could
// reach otherwise, for the empty name all.
func (s *Snapshot) FrozenDevices(user string) []string {
	var names []string
	u, _ := s.users.find(user)
	for _, shard := range s.devices.shards {
		for name := range shard {
			d, ok := s.devices.find(name)
			if ok && s.blocking.meets(s.sets[d.set]) && (user == "" || s.sets[u.set].meets(s.sets[d.set])) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// FrozenGroups are the groups that block during freezes, sorted.
func (s *Snapshot) FrozenGroups() []string { return s.groupsIn(s.blocking, nil) }

// InGroups reports whether a device is a member today of one of the groups.
func (s *Snapshot) InGroups(device string, groups []string) bool {
	return slices.ContainsFunc(s.DeviceGroups(device), func(g string) bool { return slices.Contains(groups, g) })
}
