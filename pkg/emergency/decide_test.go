package emergency

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// platform has an administrator with and one without a group, and two devices, one of which a freeze closes.
func platform() *Builder {
	b := NewBuilder()
	b.PutUser("root", true, false)
	b.PutUser("lonely-root", true, false)
	b.PutUser("off-root", true, true)
	b.PutUser("ann", false, false)
	b.PutUser("off", false, true)
	b.PutUser("glass", false, false)
	b.PutDevice("db", false)
	b.PutDevice("web", false)
	b.PutDevice("broken", true)
	members := []string{"root", "ann", "off", "off-root", "glass"}
	b.PutGroup("pay", members, []string{"db", "broken"}, true)
	b.PutGroup("ops", members, []string{"db", "web"}, false)
	b.SetRevision(Revision{1, 7})
	return b
}

func windowOf(id string, kind emergencyv1.Emergency_Kind, start, end time.Time) *emergencyv1.Emergency {
	return &emergencyv1.Emergency{Id: id, Kind: kind, StartTime: timestamppb.New(start), EndTime: timestamppb.New(end), CreateTime: timestamppb.New(start), CutoffRevision: "1-5"}
}

func TestDecideOfEachChannel(t *testing.T) {
	freeze := windowOf("F-0005", emergencyv1.Emergency_FREEZE, noon, at(60))
	lockdown := windowOf("L-0006", emergencyv1.Emergency_LOCKDOWN, noon, at(60))
	lockdown.BreakGlassUsers, lockdown.BreakGlassTokens = []string{"glass"}, []string{"t-glass"}
	for _, c := range []struct {
		name                 string
		request              Request
		calm, frozen, locked Reason
		both                 Reason
	}{
		{"a person in the console", Request{User: "ann", Channel: Interactive}, Allowed, Allowed, LockedDown, LockedDown},
		{"an administrator in the console", Request{User: "root", Channel: Interactive}, Allowed, Allowed, Allowed, Allowed},
		{"a disabled administrator", Request{User: "off-root", Channel: Interactive}, NoAccess, NoAccess, LockedDown, LockedDown},
		{"a break-glass user in the console", Request{User: "glass", Channel: Interactive}, Allowed, Allowed, Allowed, Allowed},
		{"an unknown user", Request{User: "nobody", Channel: Interactive}, NoAccess, NoAccess, LockedDown, LockedDown},
		{"nobody at all", Request{Channel: Interactive}, NoAccess, NoAccess, LockedDown, LockedDown},
		{"a disabled user", Request{User: "off", Channel: SessionChannel, Device: "web"}, NoAccess, NoAccess, LockedDown, LockedDown},
		{"a program", Request{Token: "t", Channel: API}, Allowed, Allowed, LockedDown, LockedDown},
		{"a break-glass program", Request{Token: "t-glass", Channel: API}, Allowed, Allowed, Allowed, Allowed},
		{"an agent", Request{Token: "t", Channel: Agent}, Allowed, Allowed, LockedDown, LockedDown},
		{"an administrator by a program's door", Request{User: "root", Channel: API}, Allowed, Allowed, LockedDown, LockedDown},
		{"an enforcer", Request{Token: "t", Channel: Enforcer}, Allowed, Allowed, Allowed, Allowed},
		{"a session on a device of a blocking group", Request{User: "ann", Device: "db", Channel: SessionChannel}, Allowed, Frozen, LockedDown, LockedDown},
		{"a session on another device", Request{User: "ann", Device: "web", Channel: SessionChannel}, Allowed, Allowed, LockedDown, LockedDown},
		{"an administrator's session", Request{User: "root", Device: "db", Channel: SessionChannel}, Allowed, Allowed, LockedDown, LockedDown},
		{"an administrator without a group with the device", Request{User: "lonely-root", Device: "db", Channel: SessionChannel}, NoAccess, NoAccess, LockedDown, LockedDown},
		{"a break-glass user's session", Request{User: "glass", Device: "web", Channel: SessionChannel}, Allowed, Allowed, Allowed, Allowed},
		{"a break-glass user's session on a frozen device", Request{User: "glass", Device: "db", Channel: SessionChannel}, Allowed, Frozen, Allowed, Frozen},
		{"a break-glass user by a program's door", Request{User: "glass", Channel: API}, Allowed, Allowed, LockedDown, LockedDown},
		{"a disabled device", Request{User: "ann", Device: "broken", Channel: SessionChannel}, NoAccess, NoAccess, LockedDown, LockedDown},
		{"an unknown device", Request{User: "ann", Device: "none", Channel: SessionChannel}, NoAccess, NoAccess, LockedDown, LockedDown},
		{"a program on a device", Request{Token: "t", Device: "db", Channel: API}, NoAccess, NoAccess, LockedDown, LockedDown},
		{"an unset channel", Request{User: "ann", Device: "db"}, Allowed, Frozen, LockedDown, LockedDown},
	} {
		for i, want := range []Reason{c.calm, c.frozen, c.locked, c.both} {
			b := platform()
			if i&1 != 0 {
				b.PutEmergency(freeze)
			}
			if i&2 != 0 {
				b.PutEmergency(lockdown)
			}
			if got := Decide(b.Snapshot(noon), c.request, at(30)); got.Reason != want {
				t.Errorf("%s, freeze %v, lockdown %v: %s, want %s", c.name, i&1 != 0, i&2 != 0, got.Reason, want)
			}
		}
	}
}

// lockOn is a lock from noon for an hour.
func lockOn(id string, sel *emergencyv1.Selector) *emergencyv1.Emergency {
	e := windowOf(id, emergencyv1.Emergency_LOCK, noon, at(60))
	e.Selector = sel
	return e
}

func TestALockShutsOneUserDeviceOrGroupToAdministratorsToo(t *testing.T) {
	session := func(user, device string) Request {
		return Request{User: user, Device: device, Channel: SessionChannel}
	}
	for _, c := range []struct {
		name              string
		request           Request
		user, root, db, g Reason // with a lock on the user ann, on root, on the device db, on the group ops (db and web)
	}{
		{"the user in the console", Request{User: "ann", Channel: Interactive}, Locked, Allowed, Allowed, Allowed},
		{"the user by a program's door", Request{User: "ann", Channel: API}, Locked, Allowed, Allowed, Allowed},
		{"the user's token", Request{Token: "t", Owner: "ann", Channel: API}, Locked, Allowed, Allowed, Allowed},
		{"the user's agent", Request{Token: "t", Owner: "ann", Channel: Agent}, Locked, Allowed, Allowed, Allowed},
		{"another's token", Request{Token: "t", Owner: "glass", Channel: API}, Allowed, Allowed, Allowed, Allowed},
		{"a token of nobody that is known", Request{Token: "t", Channel: API}, Allowed, Allowed, Allowed, Allowed},
		{"an enforcer of the user's making", Request{Token: "t", Owner: "ann", Channel: Enforcer}, Allowed, Allowed, Allowed, Allowed},
		{"the user's session", session("ann", "web"), Locked, Allowed, Allowed, Locked},
		{"another's session on the device", session("glass", "db"), Allowed, Allowed, Locked, Locked},
		{"an administrator's session on the device", session("root", "db"), Allowed, Locked, Locked, Locked},
		{"an administrator in the console", Request{User: "root", Channel: Interactive}, Allowed, Locked, Allowed, Allowed},
		{"who has no access to the device", session("lonely-root", "db"), NoAccess, NoAccess, Locked, Locked},
		{"a device that there isn't", session("glass", "none"), NoAccess, NoAccess, NoAccess, NoAccess},
	} {
		for sel, want := range map[*emergencyv1.Selector]Reason{
			{Users: []string{"ann"}}: c.user, {Users: []string{"root"}}: c.root, {Devices: []string{"db"}}: c.db, {AccessGroups: []string{"ops"}}: c.g,
		} {
			b := platform()
			b.PutEmergency(lockOn("K-0009", sel))
			s := b.Snapshot(noon)
			if v := Decide(s, c.request, at(30)); v.Reason != want || v.Reason == Locked && (!v.Until.Equal(at(60)) || !v.Back.Equal(at(60)) || v.Emergency != "K-0009") {
				t.Errorf("%s, lock on %v: %+v, want %s", c.name, sel, v, want)
			}
			if v := Decide(s, c.request, at(60)); v.Reason == Locked {
				t.Errorf("%s, lock on %v: still locked at its end", c.name, sel)
			}
		}
	}
}

func TestALockIsStricterThanAFreezeAndALockdownThanALock(t *testing.T) {
	r := Request{User: "ann", Device: "db", Channel: SessionChannel}
	freeze := windowOf("F-0005", emergencyv1.Emergency_FREEZE, noon, at(90))
	lockdown := windowOf("L-0006", emergencyv1.Emergency_LOCKDOWN, noon, at(20))
	lock := lockOn("K-0007", &emergencyv1.Selector{Devices: []string{"db"}})
	longer := lockOn("K-0008", &emergencyv1.Selector{Users: []string{"ann"}})
	longer.EndTime = timestamppb.New(at(120))
	forever := lockOn("K-0009", &emergencyv1.Selector{AccessGroups: []string{"ops"}})
	forever.EndTime = nil
	for _, c := range []struct {
		on          []*emergencyv1.Emergency
		reason      Reason
		id          string
		target      Target
		until, back time.Time
	}{
		{[]*emergencyv1.Emergency{freeze, lock}, Locked, "K-0007", OnDevice, at(60), at(90)},
		{[]*emergencyv1.Emergency{lock, longer}, Locked, "K-0008", OnUser, at(120), at(120)},
		{[]*emergencyv1.Emergency{lockdown, lock}, LockedDown, "L-0006", 0, at(20), at(60)},
		{[]*emergencyv1.Emergency{forever}, Locked, "K-0009", OnGroup, time.Time{}, time.Time{}},
		{[]*emergencyv1.Emergency{longer, forever, freeze}, Locked, "K-0009", OnGroup, time.Time{}, time.Time{}},
		{[]*emergencyv1.Emergency{lockdown, forever}, LockedDown, "L-0006", 0, at(20), time.Time{}},
	} {
		b := platform()
		for _, e := range c.on {
			b.PutEmergency(e)
		}
		v := Decide(b.Snapshot(noon), r, at(10))
		if v.Reason != c.reason || v.Emergency != c.id || v.Target != c.target || !v.Until.Equal(c.until) || !v.Back.Equal(c.back) {
			t.Errorf("%v: %+v", c.on, v)
		}
	}
}

func TestALockWithoutAnEndHoldsUntilSomebodyLiftsIt(t *testing.T) {
	b := platform()
	e := lockOn("K-0009", &emergencyv1.Selector{Users: []string{"ann"}})
	e.EndTime, e.Started = nil, true
	b.PutEmergency(e)
	s, late := b.Snapshot(noon), noon.AddDate(5, 0, 0)
	if v := Decide(s, Request{User: "ann", Channel: Interactive}, late); v.Reason != Locked {
		t.Errorf("five years on: %+v", v)
	}
	if edge := s.NextEdge(at(1)); !edge.IsZero() || !NextEdge(e, at(1)).IsZero() || StatusOf(e, late) != emergencyv1.Emergency_ONGOING {
		t.Errorf("the next edge is %s, the status %s", edge, StatusOf(e, late))
	}
	if !LocksUser(e, "ann", late) || LocksUser(e, "root", late) || len(b.Snapshot(late).Windows(late)) != 1 {
		t.Error("it is not told of")
	}
	b.PutEmergency(cancelled(e, at(5), true))
	if v := Decide(b.Snapshot(at(6)), Request{User: "ann", Channel: Interactive}, at(6)); !v.Allowed() {
		t.Errorf("lifted: %+v", v)
	}
}

func TestALockedGroupMeansItsDevicesAtTheDecision(t *testing.T) {
	b := platform()
	b.PutEmergency(lockOn("K-0009", &emergencyv1.Selector{AccessGroups: []string{"pay"}}))
	want := func(device string, reason Reason) {
		t.Helper()
		if v := Decide(b.Snapshot(noon), Request{User: "ann", Device: device, Channel: SessionChannel}, at(1)); v.Reason != reason {
			t.Errorf("%s: %s, want %s", device, v.Reason, reason)
		}
	}
	want("db", Locked)
	want("web", Allowed)
	b.PutGroup("pay", []string{"ann"}, []string{"web"}, false)
	want("db", Allowed)
	want("web", Locked)
	b.PutDisabledGroup("pay", []string{"ann"}, []string{"web"})
	want("web", Allowed)
}

func TestAWindowOpensAndClosesByTheClockAtTheDecision(t *testing.T) {
	b := platform()
	b.PutEmergency(windowOf("F-0005", emergencyv1.Emergency_FREEZE, noon, at(60)))
	s := b.Snapshot(at(-600))
	r := Request{User: "ann", Device: "db", Channel: SessionChannel}
	for _, c := range []struct {
		now  time.Time
		want Reason
	}{{noon.Add(-1), Allowed}, {noon, Frozen}, {at(60).Add(-1), Frozen}, {at(60), Allowed}} {
		if v := Decide(s, r, c.now); v.Reason != c.want {
			t.Errorf("at %s: %s", c.now, v.Reason)
		}
	}
	begun := windowOf("F-0005", emergencyv1.Emergency_FREEZE, noon, at(60))
	begun.Started = true
	b.PutEmergency(begun)
	if v := Decide(b.Snapshot(at(-2)), r, at(-2)); v.Reason != Frozen {
		t.Errorf("a start on record, by a clock that is behind: %s", v.Reason)
	}
}

func TestAccessIsBackWhenNoneOfOverlappingFreezesIsOn(t *testing.T) {
	b := platform()
	b.PutEmergency(windowOf("F-0001", emergencyv1.Emergency_FREEZE, noon, at(60)))
	b.PutEmergency(windowOf("F-0002", emergencyv1.Emergency_FREEZE, at(30), at(90)))
	b.PutEmergency(windowOf("F-0003", emergencyv1.Emergency_FREEZE, at(40), at(50)))
	s := b.Snapshot(noon)
	r := Request{User: "ann", Device: "db", Channel: SessionChannel}
	for _, c := range []struct {
		now, until time.Time
		by         string
	}{
		{at(10), at(60), "F-0001"}, // a PENDING one is not reached through
		{at(45), at(90), "F-0002"},
		{at(70), at(90), "F-0002"},
		{at(90), time.Time{}, ""},
	} {
		if v := Decide(s, r, c.now); !v.Until.Equal(c.until) || !v.Back.Equal(c.until) || v.Emergency != c.by {
			t.Errorf("at %s: %+v", c.now, v)
		}
	}
}

func TestALockdownSaysWhenAFrozenDeviceIsBack(t *testing.T) {
	b := platform()
	b.PutEmergency(windowOf("F-0001", emergencyv1.Emergency_FREEZE, noon, at(90)))
	b.PutEmergency(windowOf("L-0002", emergencyv1.Emergency_LOCKDOWN, noon, at(60)))
	s := b.Snapshot(noon)
	v := Decide(s, Request{User: "ann", Device: "db", Channel: SessionChannel}, at(1))
	if v.Emergency != "L-0002" || !v.Until.Equal(at(60)) || !v.Back.Equal(at(90)) {
		t.Errorf("%+v", v)
	}
	v = Decide(s, Request{User: "ann", Device: "web", Channel: SessionChannel}, at(1))
	if !v.Back.Equal(at(60)) {
		t.Errorf("a device that isn't frozen: %+v", v)
	}
}

func TestEditingAGroupDuringAFreezeChangesWhatIsBlocked(t *testing.T) {
	b := platform()
	b.PutEmergency(windowOf("F-0001", emergencyv1.Emergency_FREEZE, noon, at(90)))
	r := Request{User: "ann", Device: "db", Channel: SessionChannel}
	want := func(reason Reason) {
		t.Helper()
		if v := Decide(b.Snapshot(noon), r, at(1)); v.Reason != reason {
			t.Errorf("%s, want %s", v.Reason, reason)
		}
	}
	want(Frozen)
	b.PutGroup("pay", []string{"ann"}, nil, true)
	want(Allowed)
	b.PutGroup("ops", []string{"ann"}, []string{"db"}, true)
	want(Frozen)
	b.PutDisabledGroup("ops", []string{"ann"}, []string{"db"})
	want(NoAccess)
	b.PutGroup("ops", []string{"ann"}, []string{"db"}, false)
	want(Allowed)
	b.DeleteGroup("ops")
	want(NoAccess)
}

func TestADeletedDeviceThatComesBackIsInTheGroupsThatStillNameIt(t *testing.T) {
	b := platform()
	b.DeleteDevice("web")
	r := Request{User: "ann", Device: "web", Channel: SessionChannel}
	if v := Decide(b.Snapshot(noon), r, noon); v.Reason != NoAccess {
		t.Error(v.Reason)
	}
	b.PutDevice("web", false)
	if v := Decide(b.Snapshot(noon), r, noon); v.Reason != Allowed {
		t.Error(v.Reason)
	}
}

func TestStatusIsDerivedFromTheRecordAndTheClock(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*emergencyv1.Emergency)
		now  time.Time
		want emergencyv1.Emergency_Status
		edge time.Time
	}{
		{"before", nil, at(-1), emergencyv1.Emergency_PENDING, noon},
		{"at its start", nil, noon, emergencyv1.Emergency_ONGOING, at(60)},
		{"a start on record, by a clock that is behind", func(e *emergencyv1.Emergency) { e.Started = true }, at(-1), emergencyv1.Emergency_ONGOING, at(60)},
		{"at its end, which is exclusive", nil, at(60), emergencyv1.Emergency_ENDED, time.Time{}},
		{"cancelled", func(e *emergencyv1.Emergency) { cancelled(e, at(5), true) }, at(10), emergencyv1.Emergency_CANCELLED, time.Time{}},
		{"cancelled, long after", func(e *emergencyv1.Emergency) { cancelled(e, at(5), true) }, at(1000), emergencyv1.Emergency_CANCELLED, time.Time{}},
		{"a termination", func(e *emergencyv1.Emergency) { e.Kind = emergencyv1.Emergency_TERMINATION }, at(5), emergencyv1.Emergency_RUNNING, time.Time{}},
	} {
		e := lockdown()
		if c.edit != nil {
			c.edit(e)
		}
		if got := StatusOf(e, c.now); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := NextEdge(e, c.now); !got.Equal(c.edge) {
			t.Errorf("%s: next edge %s, want %s", c.name, got, c.edge)
		}
	}
}

func TestTheNextEdgeIsTheFirstStartOrEndStillToCome(t *testing.T) {
	b := platform()
	b.PutEmergency(windowOf("F-0001", emergencyv1.Emergency_FREEZE, noon, at(90)))
	b.PutEmergency(windowOf("L-0002", emergencyv1.Emergency_LOCKDOWN, at(30), at(60)))
	gone := cancelled(windowOf("L-0003", emergencyv1.Emergency_LOCKDOWN, at(1), at(2)), at(-5), false)
	b.PutEmergency(gone)
	s := b.Snapshot(at(-10))
	for _, c := range []struct{ now, want time.Time }{
		{at(-10), noon}, {noon, at(30)}, {at(30), at(60)}, {at(60), at(90)}, {at(90), time.Time{}},
	} {
		if got := s.NextEdge(c.now); !got.Equal(c.want) {
			t.Errorf("after %s: %s, want %s", c.now, got, c.want)
		}
	}
	if !s.LockdownUntil(at(29)).IsZero() || !s.LockdownUntil(at(30)).Equal(at(60)) || !s.FreezeUntil(at(30)).Equal(at(90)) {
		t.Error("until")
	}
	if open := s.Windows(at(61)); len(open) != 1 || open[0].GetId() != "F-0001" {
		t.Errorf("windows that are open: %v", open)
	}
	if open := s.Windows(at(-10)); len(open) != 2 || open[0].GetId() != "L-0002" {
		t.Errorf("windows that are open or to come, the newest first: %v", open)
	}
}
