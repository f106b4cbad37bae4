package emergency

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// answers are all that a snapshot says of a few names, to compare two by.
func answers(s *Snapshot, now time.Time) []string {
	var all []string
	for _, user := range append([]string{""}, modelUsers...) {
		for _, device := range append([]string{""}, modelDevices...) {
			v := Decide(s, Request{User: user, Device: device, Channel: SessionChannel}, now)
			all = append(all, fmt.Sprintf("%s %s %v %s", user, device, v.Reason, v.Until))
		}
		all = append(all, fmt.Sprint(s.Administrator(user), s.HasUser(user), s.FrozenDevices(user), s.GroupsOfUser(user)))
	}
	for _, device := range modelDevices {
		all = append(all, fmt.Sprint(device, s.DeviceGroups(device), s.BlockingGroups(device), s.HasDevice(device), s.InGroups(device, modelGroups[:1])))
	}
	for _, group := range modelGroups {
		all = append(all, fmt.Sprint(group, s.HasGroup(group), s.GroupDevices(group)))
	}
	all = append(all, fmt.Sprint(s.Groups(), s.FrozenGroups(), slices.Collect(s.Devices(""))))
	for _, e := range s.Emergencies() {
		all = append(all, e.GetId())
	}
	for _, c := range s.Cuts() {
		all = append(all, c.Emergency)
	}
	return all
}

func TestTheOrderInWhichRecordsArriveChangesNoDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var puts []func(*Builder)
		for _, name := range modelUsers {
			admin, off := rapid.Bool().Draw(t, "admin"), rapid.Bool().Draw(t, "disabled")
			puts = append(puts, func(b *Builder) { b.PutUser(name, admin, off) })
		}
		for _, name := range modelDevices {
			off := rapid.Bool().Draw(t, "disabled")
			puts = append(puts, func(b *Builder) { b.PutDeviceOf(name, off, 2) })
		}
		for _, name := range modelGroups {
			users, devices, blocks := subset(t, modelUsers), subset(t, modelDevices), rapid.Bool().Draw(t, "blocks")
			puts = append(puts, func(b *Builder) { b.PutGroup(name, users, devices, blocks) })
		}
		for i := range 3 {
			kind := rapid.SampledFrom([]emergencyv1.Emergency_Kind{1, 2, 3}).Draw(t, "kind")
			e := windowOf(fmt.Sprintf("X-%d", i), kind, at(rapid.IntRange(-9, 9).Draw(t, "start")), at(10))
			puts = append(puts, func(b *Builder) { b.PutEmergency(e) })
		}
		puts = append(puts, func(b *Builder) { b.PutPolicy(&emergencyv1.Policy{BreakGlassUsers: modelUsers[:1]}) })
		build := func(puts []func(*Builder)) []string {
			b := NewBuilder()
			for _, put := range puts {
				put(b)
			}
			return answers(b.Snapshot(noon), noon)
		}
		want := build(puts)
		shuffled := rapid.Permutation(puts).Draw(t, "order")
		if d := cmp.Diff(want, build(shuffled)); d != "" {
			t.Fatal(d)
		}
	})
}

// The race detector sees it when an edit writes to what a snapshot shares.
func TestASnapshotNeverChanges(t *testing.T) {
	m := newMachine()
	random := rand.New(rand.NewPCG(5, 6))
	var readers sync.WaitGroup
	defer readers.Wait()
	for step := range 300 {
		name := func(of []string) string { return of[random.IntN(len(of))] }
		m.builder.PutUser(name(modelUsers), random.IntN(2) == 0, random.IntN(4) == 0)
		m.builder.PutDevice(name(modelDevices), random.IntN(4) == 0)
		m.builder.PutDevice(fmt.Sprintf("filler-%d-%s", step, strings.Repeat("x", random.IntN(300))), false)
		m.builder.PutGroup(name(modelGroups), modelUsers[:random.IntN(4)], modelDevices[:random.IntN(4)], random.IntN(2) == 0)
		m.builder.PutGroup(fmt.Sprintf("group-%d", step), modelUsers, modelDevices[:1], false)
		m.builder.PutEmergency(windowOf(fmt.Sprintf("F-%04d", random.IntN(9)), emergencyv1.Emergency_FREEZE, at(step-random.IntN(5)), at(step+5)))
		s, now := m.builder.Snapshot(at(step)), at(step)
		before := answers(s, now)
		readers.Go(func() {
			for range 5 {
				if d := cmp.Diff(before, answers(s, now)); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func TestNamesOfAnyLengthAndAnyBytesAreFoundAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := NewBuilder()
		want := map[string]bool{}
		for i, name := range rapid.SliceOfN(rapid.String(), 0, 50).Draw(t, "names") {
			if i%10 == 9 {
				name += strings.Repeat("long", 1<<rapid.IntRange(1, 16).Draw(t, "long"))
			}
			off := rapid.Bool().Draw(t, "disabled")
			b.PutDevice(name, off)
			want[name] = off
		}
		s := b.Snapshot(noon)
		for name, off := range want {
			if !s.HasDevice(name) || s.DeviceEnabled(name) == off {
				t.Fatalf("%.20q: there %v, enabled %v", name, s.HasDevice(name), s.DeviceEnabled(name))
			}
			if s.HasDevice(name+"x") != (want[name+"x"] || hasKey(want, name+"x")) {
				t.Fatalf("%.20q is there too", name+"x")
			}
		}
	})
}

func hasKey(m map[string]bool, key string) bool { _, ok := m[key]; return ok }

func TestDevicesAreListedInOrderFromAName(t *testing.T) {
	b := NewBuilder()
	for i := range 3000 {
		b.PutDevice(deviceName(2*i), false)
	}
	early := b.Snapshot(noon)
	for i := range 3000 {
		b.PutDevice(deviceName(2*i+1), false)
	}
	b.DeleteDevice(deviceName(4))
	late := b.Snapshot(noon)
	var want []string
	for i := range 6000 {
		if i != 4 {
			want = append(want, deviceName(i))
		}
	}
	if d := cmp.Diff(want, slices.Collect(late.Devices(""))); d != "" {
		t.Error(d)
	}
	if got := slices.Collect(early.Devices("")); len(got) != 3000 || !slices.IsSorted(got) || got[2] != deviceName(4) {
		t.Errorf("the earlier snapshot lists %d", len(got))
	}
	next, stop := 0, deviceName(11)
	for name := range late.Devices(deviceName(10) + "!") {
		if next++; name != stop {
			t.Errorf("from the middle: %s", name)
		}
		break
	}
	if next != 1 {
		t.Error("nothing from the middle")
	}
}

func TestASnapshotDoesNotKnowNamesThatCameAfterIt(t *testing.T) {
	b := NewBuilder()
	b.PutDevice("first", false)
	s := b.Snapshot(noon)
	for i := range 20 {
		b.PutDevice(deviceName(i), false)
	}
	for i := range 20 {
		if _, knows := s.devices.number(deviceName(i)); knows {
			t.Errorf("it knows %s", deviceName(i))
		}
	}
}

func TestSetsThatNobodyIsInAnyMoreAreSwept(t *testing.T) {
	b := NewBuilder()
	for i := range 20 {
		b.PutDevice(deviceName(i), false)
	}
	random := rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		devices := make([]string, 10)
		for i := range devices {
			devices[i] = deviceName(random.IntN(20))
		}
		b.PutGroup(fmt.Sprintf("group-%02d", random.IntN(40)), nil, devices, false)
		b.Snapshot(noon)
	}
	if n := len(b.sets.list); n > 4096+100 {
		t.Errorf("%d sets for 20 devices", n)
	}
	s := b.Snapshot(noon)
	for g, members := range b.groups.list {
		for _, name := range s.devices.namesOf(members.devices) {
			if !slices.Contains(s.DeviceGroups(name), b.groups.list[g].name) {
				t.Fatalf("%s is no longer in %s", name, b.groups.list[g].name)
			}
		}
	}
}

func TestWhoIsFrozenOutOfWhat(t *testing.T) {
	s := platform().Snapshot(noon)
	for user, want := range map[string][]string{"": {"broken", "db"}, "ann": {"broken", "db"}, "lonely-root": {}, "nobody": nil} {
		if d := cmp.Diff(want, s.FrozenDevices(user)); d != "" {
			t.Errorf("%q: %s", user, d)
		}
	}
	if d := cmp.Diff([]string{"ops", "pay"}, s.DeviceGroups("db")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"pay"}, s.BlockingGroups("db")); d != "" {
		t.Error(d)
	}
}

func TestWhyAUserHasAccessIsTheGroupsThatTheyShareWithTheDevice(t *testing.T) {
	b := platform()
	b.PutGroup("viewers", []string{"ann"}, []string{"web"}, false)
	b.PutGroup("owners", []string{"root"}, []string{"web"}, false)
	s := b.Snapshot(noon)
	for _, c := range []struct {
		user, device string
		want         []string
	}{
		{"ann", "web", []string{"ops", "viewers"}}, {"root", "web", []string{"ops", "owners"}}, {"lonely-root", "web", nil},
		{"nobody", "web", nil}, {"ann", "none", nil}, {"nobody", "none", nil},
	} {
		if d := cmp.Diff(c.want, s.SharedGroups(c.user, c.device)); d != "" {
			t.Errorf("%s and %s: %s", c.user, c.device, d)
		}
	}
}

func TestADisabledGroupKeepsItsMembersAndGivesThemNothing(t *testing.T) {
	b := platform()
	b.PutDisabledGroup("pay", []string{"ann", "root"}, []string{"db"})
	s := b.Snapshot(noon)
	if d := cmp.Diff([]string{"ops"}, s.DeviceGroups("db")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"ops", "pay"}, s.GroupsOfDevice("db")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"ops"}, s.SharedGroups("ann", "db")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"ops", "pay"}, s.GroupsOfUser("ann")); d != "" {
		t.Error(d)
	}
	if len(s.FrozenGroups()) > 0 || !s.HasGroup("pay") {
		t.Error("it blocks, or is gone")
	}
	b.PutGroup("pay", []string{"ann"}, []string{"web"}, true)
	s = b.Snapshot(noon)
	if d := cmp.Diff([]string{"ops", "pay"}, s.DeviceGroups("web")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"ops"}, s.GroupsOfUser("root")); d != "" {
		t.Error(d)
	}
}

func TestAnyNumberOfGroupsIsToldApart(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for _, groups := range []int{1, 62, 63, 64, 65, 200} {
		b := NewBuilder()
		b.PutEmergency(windowOf("F-0001", emergencyv1.Emergency_FREEZE, noon, at(60)))
		reach, blocked := map[string]bool{}, map[string]bool{}
		for i := range 40 {
			b.PutUser(fmt.Sprint("u", i), false, false)
			b.PutDevice(fmt.Sprint("d", i), false)
		}
		for g := range groups {
			var users, devices []string
			for range random.IntN(4) {
				users, devices = append(users, fmt.Sprint("u", random.IntN(40))), append(devices, fmt.Sprint("d", random.IntN(40)))
			}
			blocks := random.IntN(4) == 0
			b.PutGroup(fmt.Sprint("g", g), users, devices, blocks)
			for _, d := range devices {
				blocked[d] = blocked[d] || blocks
				for _, u := range users {
					reach[u+d] = true
				}
			}
		}
		s := b.Snapshot(noon)
		for u := range 40 {
			for d := range 40 {
				user, device := fmt.Sprint("u", u), fmt.Sprint("d", d)
				want := Allowed
				if !reach[user+device] {
					want = NoAccess
				} else if blocked[device] {
					want = Frozen
				}
				if v := Decide(s, Request{User: user, Device: device, Channel: SessionChannel}, noon); v.Reason != want {
					t.Fatalf("of %d groups: %s on %s: %s, want %s", groups, user, device, v.Reason, want)
				}
			}
		}
	}
}
