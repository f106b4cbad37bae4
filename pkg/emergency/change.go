package emergency

import (
	"slices"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// Change is what a door that holds one snapshot lacks of another. Put into a Builder, by Apply, it makes up for it.
type Change struct {
	// Whole voids all that the door held: the two snapshots are not of one Builder, or it held none.
	Whole       bool
	Users       []Named
	Devices     []Named
	Groups      []Members
	Emergencies []*emergencyv1.Emergency
	// Drills are those that began, and those that ended since, with a result.
	Drills []*emergencyv1.Drill
	// Policy is nil where it is the same.
	Policy   *emergencyv1.Policy
	Revision Revision
}

// Named is a user or a device as it is now. Administrator is for users only.
type Named struct {
	Name                             string
	Administrator, Disabled, Deleted bool
}

// Members is an access group that counts, with those of its devices that a door asked for.
type Members struct {
	Name            string
	Users, Devices  []string
	Blocks, Deleted bool
}

// Since answers what a door lacks that holds before, or nothing, and behind which certain devices stand. Of groups
// without any of these it needs to know nothing. A door that begins anew hears of the windows that are open, and of
// what has cut since the revision that it once held.
func (s *Snapshot) Since(before *Snapshot, devices []string, once Revision) Change {
	c := Change{Revision: s.revision}
	if before == nil || !before.users.became(&s.users) || !before.devices.became(&s.devices) {
		before, c.Whole = &Snapshot{known: &known{}}, true
	}
	c.Users = changed(&before.users, &s.users)
	for _, name := range devices {
		if was, is := before.device(name), s.device(name); was != is {
			c.Devices = append(c.Devices, is)
		}
	}
	c.Groups = s.groupsSince(before, devices)
	c.Emergencies, c.Drills = s.known.since(before.known), s.known.drillsSince(before.known)
	if c.Whole {
		c.Emergencies = slices.DeleteFunc(c.Emergencies, func(e *emergencyv1.Emergency) bool { return s.known.isPast(e, once) })
	}
	if s.known.policy != before.known.policy {
		c.Policy = s.known.policy
	}
	return c
}

// Empty reports whether there is nothing to make up for but the revision.
func (c *Change) Empty() bool {
	return !c.Whole && len(c.Users)+len(c.Devices)+len(c.Groups)+len(c.Emergencies)+len(c.Drills) == 0 && c.Policy == nil
}

// Apply makes up for a change. One that is Whole is for an empty Builder.
func (b *Builder) Apply(c Change) {
	for _, u := range c.Users {
		if u.Deleted {
			b.DeleteUser(u.Name)
			continue
		}
		b.PutUser(u.Name, u.Administrator, u.Disabled)
	}
	for _, d := range c.Devices {
		if d.Deleted {
			b.DeleteDevice(d.Name)
			continue
		}
		b.PutDevice(d.Name, d.Disabled)
	}
	for _, g := range c.Groups {
		if g.Deleted {
			b.DeleteGroup(g.Name)
			continue
		}
		b.PutGroup(g.Name, g.Users, g.Devices, g.Blocks)
	}
	for _, e := range c.Emergencies {
		b.PutEmergency(e)
	}
	for _, d := range c.Drills {
		b.PutDrill(d)
	}
	if c.Policy != nil {
		b.PutPolicy(c.Policy)
	}
	b.SetRevision(c.Revision)
}

func named(name string, r row) Named {
	if !r.is(present) {
		return Named{Name: name, Deleted: true}
	}
	return Named{Name: name, Administrator: r.is(administrator), Disabled: r.is(disabled)}
}

func (s *Snapshot) device(name string) Named {
	r, _ := s.devices.find(name)
	return named(name, r)
}

// became reports whether another table is this one, edited.
func (t *table) became(other *table) bool { return t.names == 0 || t.seed == other.seed }

// changed are the rows with other flags than before. Pages that both share are passed over.
func changed(before, after *table) []Named {
	var all []Named
	for p, page := range after.rows {
		var old *[pageRows]cell
		if p < len(before.rows) {
			old = before.rows[p]
		}
		if old == page {
			continue
		}
		for i := range page[:min(pageRows, after.names-p*pageRows)] {
			var was row
			if old != nil {
				was = old[i].row
			}
			if (was^page[i].row)&flagsMask != 0 {
				all = append(all, named(after.name(uint32(p*pageRows+i)), page[i].row))
			}
		}
	}
	return all
}

func (s *Snapshot) groupsSince(before *Snapshot, devices []string) []Members {
	var all []Members
	for bit, now := range s.groups {
		was := &group{}
		if bit < len(before.groups) {
			was = before.groups[bit]
		}
		if was == now {
			continue
		}
		switch here := now.among(&s.devices, devices); {
		case now.present && len(here) > 0:
			all = append(all, Members{Name: now.name, Users: s.users.everyName(now.users), Devices: here, Blocks: now.blocks})
		case len(was.among(&s.devices, devices)) > 0:
			all = append(all, Members{Name: now.name, Deleted: true})
		}
	}
	return all
}

// among are the devices that a group has and that count, of those that are asked for.
func (g *group) among(t *table, devices []string) []string {
	var here []string
	for _, name := range devices {
		if i, ok := t.number(name); ok {
			if _, member := slices.BinarySearch(g.active(g.devices), i); member {
				here = append(here, name)
			}
		}
	}
	return here
}

// everyName are the names of rows, of those that are not present, too.
func (t *table) everyName(rows []uint32) []string {
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = t.name(r)
	}
	return names
}

// since are the records that are another version than before, the newest first.
func (k *known) since(before *known) []*emergencyv1.Emergency {
	var all []*emergencyv1.Emergency
	old := before.all
	for _, r := range k.all {
		for len(old) > 0 && newestFirst(old[0], r) < 0 {
			old = old[1:]
		}
		if len(old) > 0 && old[0] == r {
			old = old[1:]
			continue
		}
		all = append(all, r.emergency)
	}
	return all
}

// drillsSince are the drills that began, and for each that is there no more that it has ended.
func (k *known) drillsSince(before *known) []*emergencyv1.Drill {
	var all []*emergencyv1.Drill
	for _, d := range k.drills {
		if !slices.Contains(before.drills, d) {
			all = append(all, &emergencyv1.Drill{Id: d.GetId(), Practice: d.GetPractice(), StartTime: d.GetStartTime(), EndTime: d.GetEndTime(), StartRevision: d.GetStartRevision()})
		}
	}
	for _, d := range before.drills {
		if !slices.ContainsFunc(k.drills, func(now *emergencyv1.Drill) bool { return now.GetId() == d.GetId() }) {
			all = append(all, &emergencyv1.Drill{Id: d.GetId(), Result: &emergencyv1.DrillResult{}})
		}
	}
	return all
}

// isPast reports whether a record is of no use to a door that once held a revision: it is no open window, and what it
// cut was cut by then.
func (k *known) isPast(e *emergencyv1.Emergency, once Revision) bool {
	if slices.ContainsFunc(k.open, func(r *record) bool { return r.emergency == e }) {
		return false
	}
	c, cuts := CutOf(e)
	return !cuts || once.IsZero() || !once.Less(c.Revision)
}

// Proto is the change as messages carry it, in one.
func (c *Change) Proto() *gatev1.GuardUpdate {
	u := &gatev1.GuardUpdate{Whole: c.Whole, Emergencies: c.Emergencies, Drills: c.Drills, Policy: c.Policy, Revision: c.Revision.String()}
	for _, one := range c.Users {
		u.Users = append(u.Users, &gatev1.GuardUser{Name: one.Name, Administrator: one.Administrator, Disabled: one.Disabled, Deleted: one.Deleted})
	}
	for _, one := range c.Devices {
		u.Devices = append(u.Devices, &gatev1.GuardDevice{Name: one.Name, Disabled: one.Disabled, Deleted: one.Deleted})
	}
	for _, g := range c.Groups {
		u.AccessGroups = append(u.AccessGroups, &gatev1.GuardGroup{Name: g.Name, Users: g.Users, Devices: g.Devices, BlockDuringFreezes: g.Blocks, Deleted: g.Deleted})
	}
	return u
}

// ChangeFrom reads a change from the messages that it came in. The last has the revision.
func ChangeFrom(parts ...*gatev1.GuardUpdate) (c Change, err error) {
	for _, p := range parts {
		c.Whole = c.Whole || p.GetWhole()
		for _, u := range p.GetUsers() {
			c.Users = append(c.Users, Named{Name: u.GetName(), Administrator: u.GetAdministrator(), Disabled: u.GetDisabled(), Deleted: u.GetDeleted()})
		}
		for _, d := range p.GetDevices() {
			c.Devices = append(c.Devices, Named{Name: d.GetName(), Disabled: d.GetDisabled(), Deleted: d.GetDeleted()})
		}
		for _, g := range p.GetAccessGroups() {
			c.Groups = append(c.Groups, Members{Name: g.GetName(), Users: g.GetUsers(), Devices: g.GetDevices(), Blocks: g.GetBlockDuringFreezes(), Deleted: g.GetDeleted()})
		}
		c.Emergencies, c.Drills = append(c.Emergencies, p.GetEmergencies()...), append(c.Drills, p.GetDrills()...)
		if p.GetPolicy() != nil {
			c.Policy = p.GetPolicy()
		}
		if c.Revision, err = ParseRevision(p.GetRevision()); err != nil {
			return c, err
		}
	}
	return c, nil
}
