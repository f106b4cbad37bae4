package gate

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/watch"
)

func (p *platform) change(g *running, in *gatev1.AccessGroup, paths ...string) error {
	_, err := g.UpdateAccessGroup(p.admin(), &gatev1.UpdateAccessGroupRequest{AccessGroup: in, UpdateMask: mask(paths...)})
	return err
}

func text(s string) *string { return &s }

func TestUnknownMembersAreRefusedByName(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	for field, group := range map[string]*gatev1.AccessGroup{
		"users":   {Name: "pay", Users: []string{"ann", "nobody"}, Devices: []string{"db"}},
		"devices": {Name: "pay", Users: []string{"ann"}, Devices: []string{"nothing", "db"}},
	} {
		_, err := g.CreateAccessGroup(p.admin(), &gatev1.CreateAccessGroupRequest{AccessGroup: group})
		wantReason(t, err, fault.NotFound)
		if f := fault.From(err); f.Details["field"] != field || !strings.HasPrefix(f.Details["names"], "no") {
			t.Errorf("%v", f)
		}
	}
	for _, group := range []*gatev1.AccessGroup{{Name: "a b"}, {Name: "a", Users: []string{"x/y"}}, {Name: "a", Devices: []string{""}}, {}} {
		_, err := g.CreateAccessGroup(p.admin(), &gatev1.CreateAccessGroupRequest{AccessGroup: group})
		wantReason(t, err, fault.InvalidArgument)
	}
	p.group(g, "pay", false, []string{"ann", "ann"}, []string{"db"})
	wantReason(t, p.change(g, &gatev1.AccessGroup{Name: "pay", Users: []string{"nobody"}}, "users"), fault.NotFound)
	wantReason(t, p.change(g, &gatev1.AccessGroup{Name: "none", Users: []string{"ann"}}, "users"), fault.NotFound)
	_, err := g.CreateAccessGroup(p.admin(), &gatev1.CreateAccessGroupRequest{AccessGroup: &gatev1.AccessGroup{Name: "pay"}})
	wantReason(t, err, fault.AlreadyExists)
}

func TestListsOfAGroupAreReplaced(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web")
	p.group(g, "pay", true, []string{"ann", "bob"}, []string{"db"})
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay", Users: []string{"eve"}}, "users"); err != nil {
		t.Fatal(err)
	}
	got := must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"}))
	if d := cmp.Diff([]string{"eve"}, got.GetUsers()); d != "" || len(got.GetDevices()) != 1 || !got.GetBlockDuringFreezes() {
		t.Error(d, got)
	}
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay"}, "devices"); err != nil {
		t.Fatal(err)
	}
	if got = must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"})); len(got.GetDevices()) != 0 {
		t.Error(got)
	}
}

func TestOfTwoWhoEditAGroupTheSecondIsToldAndOverwritesNothing(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", false, []string{"ann"}, nil)
	read := must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"}))
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay", Etag: read.GetEtag(), Users: []string{"ann", "bob"}}, "users"); err != nil {
		t.Fatal(err)
	}
	second := &gatev1.AccessGroup{Name: "pay", Etag: read.GetEtag(), Users: []string{"ann", "eve"}}
	err := p.change(g, second, "users")
	wantReason(t, err, fault.Aborted)
	now := must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"}))
	if d := fault.From(err).Details; d["field"] != "etag" || d["etag"] != now.GetEtag() || d["updatedBy"] != "admin" || d["updateTime"] == "" {
		t.Errorf("the second is told %v", d)
	}
	if strings.Join(now.GetUsers(), " ") != "ann bob" || now.GetUserCount() != 2 || now.GetUpdatedBy() != "admin" {
		t.Errorf("the first's change has become %v", now)
	}
	must(g.Import(p.admin(), &gatev1.ImportRequest{Document: `{"accessGroups":[{"name":"pay","devices":["db"]}]}`}))
	second.Etag = now.GetEtag()
	wantReason(t, p.change(g, second, "users"), fault.Aborted)
	second.Etag = must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"})).GetEtag()
	if err := p.change(g, second, "users"); err != nil {
		t.Error(err)
	}
	second.Etag = must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"})).GetEtag()
	if err := p.change(g, second, "users"); err != nil {
		t.Error("a change of nothing moves the group:", err)
	}
	if again := must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"})); again.GetEtag() != second.GetEtag() {
		t.Error("a change of nothing moves the etag")
	}
}

func TestAListOfGroupsCountsMembersAndCanLeaveThemOut(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", false, []string{"ann", "bob"}, []string{"db"})
	for view, users := range map[gatev1.ListAccessGroupsRequest_View]int{gatev1.ListAccessGroupsRequest_BASIC: 0, gatev1.ListAccessGroupsRequest_VIEW_UNSPECIFIED: 2} {
		one := must(g.ListAccessGroups(p.admin(), &gatev1.ListAccessGroupsRequest{View: view})).GetAccessGroups()[0]
		if len(one.GetUsers()) != users || one.GetUserCount() != 2 || one.GetDeviceCount() != 1 || one.GetEtag() == "" {
			t.Errorf("%s: %v", view, one)
		}
	}
}

func TestEditingAGroupDuringAFreezeChangesTheAnswerAtOnce(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web")
	p.group(g, "pay", false, []string{"ann", "admin"}, []string{"db"})
	p.freeze(g)
	want := func(user, device string, reason gatev1.CheckResponse_Reason) {
		t.Helper()
		if got := p.reason(g, user, device); got != reason {
			t.Errorf("%s on %s: %s, want %s", user, device, got, reason)
		}
	}
	want("ann", "db", gatev1.CheckResponse_ALLOWED)
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay", BlockDuringFreezes: true}, "block_during_freezes"); err != nil {
		t.Fatal(err)
	}
	want("ann", "db", gatev1.CheckResponse_FROZEN)
	want("admin", "db", gatev1.CheckResponse_ALLOWED)
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay", Devices: []string{"db", "web"}}, "devices"); err != nil {
		t.Fatal(err)
	}
	want("ann", "web", gatev1.CheckResponse_FROZEN)
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay", Grant: text("grant-1")}, "block_during_freezes"); err != nil {
		t.Fatal(err)
	}
	want("ann", "db", gatev1.CheckResponse_ALLOWED)
}

func TestOpeningWhatAFreezeClosesTakesAGrant(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web", "both")
	p.group(g, "pay", true, []string{"ann"}, []string{"db", "both"})
	p.group(g, "ops", true, []string{"ann"}, []string{"both", "web"})
	open := map[string]func(grant string) error{
		"switching the flag off": func(grant string) error {
			return p.change(g, &gatev1.AccessGroup{Name: "pay", Grant: &grant, Justification: text("why"), GovernanceCode: text("INC7")}, "block_during_freezes")
		},
		"disabling the group": func(grant string) error {
			return p.change(g, &gatev1.AccessGroup{Name: "pay", Disabled: true, Grant: &grant}, "disabled")
		},
		"taking a device out of its last blocking group": func(grant string) error {
			return p.change(g, &gatev1.AccessGroup{Name: "pay", Devices: []string{"both"}, Grant: &grant}, "devices")
		},
		"deleting the group": func(grant string) error {
			_, err := g.DeleteAccessGroup(p.admin(), &gatev1.DeleteAccessGroupRequest{Name: "pay", Grant: grant})
			return err
		},
		"an import that switches it off": func(grant string) error {
			_, err := g.Import(p.admin(), &gatev1.ImportRequest{Document: `{"accessGroups":[{"name":"pay","blockDuringFreezes":false}]}`, Grant: grant})
			return err
		},
		"an import that takes a device out of both": func(grant string) error {
			_, err := g.Import(p.admin(), &gatev1.ImportRequest{Document: `{"accessGroups":[{"name":"pay","devices":["db"]},{"name":"ops","devices":["web"]}]}`, Grant: grant})
			return err
		},
	}
	p.freeze(g)
	for what, do := range open {
		wantReason(t, do(""), fault.GrantRequired)
		wantReason(t, do("forged"), fault.GrantInvalid)
		if r := p.reason(g, "ann", "db"); r != gatev1.CheckResponse_FROZEN {
			t.Errorf("%s without a grant: %s", what, r)
		}
	}
	if len(p.acts.acts) > 0 {
		t.Error("acts were recorded")
	}
	for what, in := range map[string]*gatev1.AccessGroup{
		"a device that another group closes": {Name: "pay", Devices: []string{"db"}},
		"users":                              {Name: "pay"},
	} {
		paths := "devices"
		if in.GetDevices() == nil {
			paths = "users"
		}
		if err := p.change(g, in, paths); err != nil {
			t.Errorf("%s opens nothing: %v", what, err)
		}
	}
	must(g.DeleteDevice(p.admin(), &gatev1.DeleteDeviceRequest{Name: "web"}))
	if err := open["switching the flag off"]("grant-1"); err != nil {
		t.Fatal(err)
	}
	if len(p.acts.acts) != 1 || p.acts.acts[0].GetKind() != "access-group.unblock" || p.acts.acts[0].GetTarget() != "pay" || p.acts.acts[0].GetGovernanceCode() != "INC7" || p.acts.acts[0].GetJustification() != "why" {
		t.Errorf("on record: %v", p.acts.acts)
	}
}

func TestWhatASecondAdministratorHasApprovedTakesNoOtherGrantAndIsExactlyThat(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	names := []string{}
	for i := range 25 {
		names = append(names, fmt.Sprintf("db-%02d", i))
	}
	p.devices(g, names...)
	p.group(g, "pay", true, []string{"ann"}, names)
	p.freeze(g)
	p.two(g)
	p.acts.refuses = fault.New(fault.ApprovalRequired, "It waits as P-1")
	ask := func(left ...string) *emergencyv1.RecordActRequest {
		t.Helper()
		err := p.change(g, &gatev1.AccessGroup{Name: "pay", Devices: left}, "devices")
		if wantReason(t, err, fault.ApprovalRequired); !strings.HasPrefix(fault.From(err).Message, "It waits") {
			t.Errorf("people read %v", err)
		}
		return p.acts.asked
	}
	first, again, other := ask(names[0], names[1], names[23]), ask(names[0], names[1], names[23]), ask(names[0], names[1], names[24])
	if !bytes.Equal(first.GetOpens(), again.GetOpens()) || len(first.GetOpens()) == 0 || first.GetRequestId() == again.GetRequestId() || first.GetAt() != again.GetAt() {
		t.Errorf("the same opening is another one: %v, %v", first, again)
	}
	if bytes.Equal(first.GetOpens(), other.GetOpens()) || first.GetDetail() != other.GetDetail() { // they differ in what is too long to be shown
		t.Errorf("another opening is the same one: %s, %s", first.GetDetail(), other.GetDetail())
	}
	p.acts.refuses = nil // approved
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay", Devices: []string{names[0], names[1], names[23]}}, "devices"); err != nil {
		t.Error(err)
	}
}

func TestOpeningALockedGroupTakesAGrant(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web")
	p.group(g, "pay", false, []string{"ann"}, []string{"db"})
	p.group(g, "ops", true, []string{"ann"}, []string{"db", "web"})
	lock := window("K-0009", emergencyv1.Emergency_LOCK, -time.Second, time.Hour)
	lock.Selector, lock.EndTime = &emergencyv1.Selector{AccessGroups: []string{"pay"}}, nil
	if err := g.watch.Wait(t.Context(), watch.Emergency, p.emergency(lock)); err != nil {
		t.Fatal(err)
	}
	if r := p.reason(g, "admin", "db"); r != gatev1.CheckResponse_LOCKED {
		t.Errorf("the check says %s", r)
	}
	for what, in := range map[string]*gatev1.AccessGroup{"disabled": {Name: "pay", Disabled: true}, "devices": {Name: "pay"}} {
		wantReason(t, p.change(g, in, what), fault.GrantRequired)
	}
	_, err := g.DeleteAccessGroup(p.admin(), &gatev1.DeleteAccessGroupRequest{Name: "pay"})
	wantReason(t, err, fault.GrantRequired)
	for what, in := range map[string]*gatev1.AccessGroup{
		"block_during_freezes": {Name: "ops"}, "devices": {Name: "pay", Devices: []string{"db", "web"}},
	} {
		if err := p.change(g, in, what); err != nil {
			t.Errorf("%s opens nothing: %v", what, err)
		}
	}
	if r := p.reason(g, "ann", "web"); r != gatev1.CheckResponse_LOCKED {
		t.Errorf("what has joined the group: %s", r)
	}
	grant := "grant-1"
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay", Devices: []string{"web"}, Grant: &grant}, "devices"); err != nil {
		t.Fatal(err)
	}
	if r := p.reason(g, "ann", "db"); r != gatev1.CheckResponse_ALLOWED || len(p.acts.acts) != 1 || !strings.Contains(p.acts.acts[0].GetDetail(), "last locked group pay: db") {
		t.Errorf("%s, on record %v", r, p.acts.acts)
	}
}

func TestASpentGrantOpensNothingAgain(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", true, []string{"ann"}, []string{"db"})
	p.freeze(g)
	open := func(grant string) error {
		return p.change(g, &gatev1.AccessGroup{Name: "pay", Grant: &grant, RequestId: text("once")}, "block_during_freezes")
	}
	p.acts.lost = true
	wantReason(t, open("grant-1"), fault.Unavailable)
	if err := open("another"); err != nil {
		t.Errorf("the same request on the same state, after its grant was spent: %v", err)
	}
	if len(p.acts.acts) != 1 {
		t.Errorf("on record: %v", p.acts.acts)
	}
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay", BlockDuringFreezes: true}, "block_during_freezes"); err != nil {
		t.Fatal(err)
	}
	for i := range keptOperations {
		if err := p.change(g, &gatev1.AccessGroup{Name: "pay", Users: []string{[]string{"ann", "bob"}[i%2]}}, "users"); err != nil {
			t.Fatal(err)
		}
	}
	wantReason(t, open("forged"), fault.RequestIDReused)
	if r := p.reason(g, "bob", "db"); r != gatev1.CheckResponse_FROZEN {
		t.Errorf("opened by a spent grant: %s", r)
	}
}

func TestOpeningTakesNoGrantWhileNoFreezeIsOn(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", true, []string{"ann"}, []string{"db"})
	at := p.emergency(window("F-0001", emergencyv1.Emergency_FREEZE, time.Hour, 2*time.Hour))
	if err := g.watch.Wait(t.Context(), watch.Emergency, at); err != nil {
		t.Fatal(err)
	}
	if err := p.change(g, &gatev1.AccessGroup{Name: "pay"}, "block_during_freezes"); err != nil {
		t.Errorf("a PENDING freeze: %v", err)
	}
	must(g.DeleteAccessGroup(p.admin(), &gatev1.DeleteAccessGroupRequest{Name: "pay"}))
	_, err := g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"})
	wantReason(t, err, fault.NotFound)
}

func TestGroupsAreListedByFilter(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web")
	p.group(g, "pay", true, []string{"ann"}, []string{"db"})
	p.group(g, "ops", false, []string{"ann", "bob"}, []string{"db", "web"})
	p.group(g, "off", true, []string{"bob"}, nil)
	if err := p.change(g, &gatev1.AccessGroup{Name: "off", Disabled: true}, "disabled"); err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]string{
		"": "off ops pay", "user=ann": "ops pay", "user=bob": "off ops", "device=web": "ops", "blockDuringFreezes=true": "pay", "name=o*": "off ops",
		"user=ann AND blockDuringFreezes=false": "ops",
	} {
		answer := must(g.ListAccessGroups(p.admin(), &gatev1.ListAccessGroupsRequest{Filter: filter}))
		var names []string
		for _, group := range answer.GetAccessGroups() {
			names = append(names, group.GetName())
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q: %s, want %s", filter, got, want)
		}
	}
	members := must(g.ListMembers(p.admin(), &gatev1.ListMembersRequest{AccessGroups: []string{"pay", "ops", "none"}}))
	if d := cmp.Diff([]string{"db", "web"}, members.GetDevices()); d != "" {
		t.Error(d)
	}
}

func TestWhoHasAccessToTheDevicesConcernedIsFoundThroughGroups(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web", "alone")
	p.group(g, "pay", true, []string{"ann"}, []string{"db"})
	p.group(g, "ops", false, []string{"bob"}, []string{"db", "web"})
	p.group(g, "off", true, []string{"eve"}, []string{"db"})
	p.group(g, "empty", false, []string{"eve"}, nil)
	if err := p.change(g, &gatev1.AccessGroup{Name: "off", Disabled: true}, "disabled"); err != nil {
		t.Fatal(err)
	}
	for want, r := range map[string]*gatev1.FilterUsersRequest{
		"ann bob": {Devices: []string{"db"}}, "bob": {Devices: []string{"web", "alone", "none"}}, "": {Devices: []string{"alone"}},
	} {
		r.Users = []string{"eve", "root", "ann", "bob", "none"}
		if got := strings.Join(must(g.FilterUsers(p.admin(), r)).GetUsers(), " "); got != want {
			t.Errorf("%v: %q, want %q", r, got, want)
		}
	}
	for name, r := range map[string]*gatev1.FilterUsersRequest{"frozen": {Frozen: true}, "all": {All: true}, "a group's": {AccessGroups: []string{"pay"}}} {
		r.Users = []string{"eve", "root", "ann", "bob", "none"}
		if got := strings.Join(must(g.FilterUsers(p.admin(), r)).GetUsers(), " "); got != "ann bob" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWhatAFreezeClosesIsToldWholeOrAsFarAsAUserReachesIt(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "mail", "web", "alone")
	p.group(g, "pay", true, []string{"ann"}, []string{"db", "mail"})
	p.group(g, "ops", false, []string{"bob"}, []string{"db", "web"})
	p.group(g, "off", true, []string{"eve"}, []string{"db", "alone"})
	if err := p.change(g, &gatev1.AccessGroup{Name: "off", Disabled: true}, "disabled"); err != nil {
		t.Fatal(err)
	}
	all := must(g.ListFrozen(p.admin(), &gatev1.ListFrozenRequest{Names: 1}))
	want := []*gatev1.Frozen{{Devices: []string{"db"}, DeviceCount: 2, AccessGroups: []string{"pay"}, AccessGroupCount: 1}}
	if d := cmp.Diff(want, all.GetFrozen(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	some := must(g.ListFrozen(p.admin(), &gatev1.ListFrozenRequest{Names: 10, Users: []string{"ann", "bob", "eve", "none"}}))
	want = []*gatev1.Frozen{
		{User: "ann", Devices: []string{"db", "mail"}, DeviceCount: 2, AccessGroups: []string{"pay"}, AccessGroupCount: 1},
		{User: "bob", Devices: []string{"db"}, DeviceCount: 1},
		{User: "eve"}, {User: "none"},
	}
	if d := cmp.Diff(want, some.GetFrozen(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
}
