package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/watch"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func TestADeviceIsCreatedReadChangedAndDeleted(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	made, err := g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{
		Name: "db.prod", Host: "10.0.0.1", Labels: map[string]string{"site": "gru"}, CredentialSet: true, AccessGroups: []string{"made-up"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := &gatev1.Device{Name: "db.prod", Host: "10.0.0.1", Port: 22, Protocol: gatev1.Protocol_SSH, Labels: map[string]string{"site": "gru"}, CreateTime: made.GetCreateTime()}
	if d := cmp.Diff(want, made, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	got := must(g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "db.prod"}))
	if d := cmp.Diff(made, got, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	_, err = g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: "db.prod", Host: "x"}})
	wantReason(t, err, fault.AlreadyExists)
	must(g.DeleteDevice(p.admin(), &gatev1.DeleteDeviceRequest{Name: "db.prod"}))
	_, err = g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "db.prod"})
	wantReason(t, err, fault.NotFound)
	_, err = g.DeleteDevice(p.admin(), &gatev1.DeleteDeviceRequest{Name: "db.prod"})
	wantReason(t, err, fault.NotFound)
	p.devices(g, "db.prod")
}

func TestAChangeIsAJSONMergeOfTheFieldsThatItNames(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	must(g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{
		Name: "db", Host: "a", Port: 2222, HostKey: hostKey, Labels: map[string]string{"site": "gru", "team": "pay", "old": "yes"},
	}}))
	update := func(in *gatev1.Device, m *fieldmaskpb.FieldMask) *gatev1.Device {
		t.Helper()
		in.Name = "db"
		return must(g.UpdateDevice(p.admin(), &gatev1.UpdateDeviceRequest{Device: in, UpdateMask: m}))
	}
	d := update(&gatev1.Device{Host: "b", Port: 9}, mask("host"))
	if d.GetHost() != "b" || d.GetPort() != 2222 || d.GetHostKey() != hostKey {
		t.Errorf("only the host was named: %v", d)
	}
	d = update(&gatev1.Device{Labels: map[string]string{"team": "ops", "old": ""}}, mask("labels"))
	if diff := cmp.Diff(map[string]string{"site": "gru", "team": "ops"}, d.GetLabels()); diff != "" {
		t.Error(diff)
	}
	if d = update(&gatev1.Device{}, mask("labels.site")); len(d.GetLabels()) != 1 {
		t.Errorf("a label by its name: %v", d.GetLabels())
	}
	if d = update(&gatev1.Device{}, mask("labels", "host_key", "port")); len(d.GetLabels()) != 0 || d.GetHostKey() != "" || d.GetPort() != 22 {
		t.Errorf("null resets: %v", d)
	}
	if d = update(&gatev1.Device{Disabled: true, CredentialSet: true}, mask("disabled", "credential_set", "name", "create_time")); !d.GetDisabled() || d.GetCredentialSet() {
		t.Errorf("what is ours to say: %v", d)
	}
	_, err := g.UpdateDevice(p.admin(), &gatev1.UpdateDeviceRequest{Device: &gatev1.Device{Name: "db"}, UpdateMask: mask("nonsense")})
	wantReason(t, err, fault.InvalidArgument)
	_, err = g.UpdateDevice(p.admin(), &gatev1.UpdateDeviceRequest{Device: &gatev1.Device{Name: "none", Host: "x"}, UpdateMask: mask("host")})
	wantReason(t, err, fault.NotFound)
}

func TestTheSameRequestIdTwiceIsOneEffect(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	request := func(name, host, id string) *gatev1.CreateDeviceRequest {
		return &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: name, Host: host, RequestId: &id}}
	}
	first := must(g.CreateDevice(p.admin(), request("db", "a", "r-1")))
	again := must(g.CreateDevice(p.admin(), request("db", "a", "r-1")))
	if d := cmp.Diff(first, again, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	for _, other := range []*gatev1.CreateDeviceRequest{request("db", "b", "r-1"), request("web", "a", "r-1")} {
		_, err := g.CreateDevice(p.admin(), other)
		wantReason(t, err, fault.RequestIDReused)
	}
	_, err := g.CreateDevice(p.admin(), request("web", "a", "../r"))
	wantReason(t, err, fault.InvalidArgument)
	g.crash()
	after := p.gate()
	must(after.CreateDevice(p.admin(), request("db", "a", "r-1")))
	_, err = after.CreateDevice(p.admin(), request("web", "a", "r-1"))
	wantReason(t, err, fault.RequestIDReused)
	id := "r-2"
	group := &gatev1.CreateAccessGroupRequest{AccessGroup: &gatev1.AccessGroup{Name: "pay", Devices: []string{"db"}, RequestId: &id}}
	must(after.CreateAccessGroup(p.admin(), group))
	must(after.CreateAccessGroup(p.admin(), group))
	group.AccessGroup.Devices = nil
	_, err = after.CreateAccessGroup(p.admin(), group)
	wantReason(t, err, fault.RequestIDReused)
}

func TestWhatCantBeADeviceIsRefusedByItsField(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	before := must(must(p.journal.Stream(t.Context(), "DIRECTORY")).LastSequence(t.Context()))
	for field, d := range map[string]*gatev1.Device{
		"name":     {Name: "a/b", Host: "x"},
		"host":     {Name: "a", Host: "two words"},
		"port":     {Name: "a", Host: "x", Protocol: gatev1.Protocol_TCP},
		"protocol": {Name: "a", Host: "x", Protocol: 99},
		"hostKey":  {Name: "a", Host: "x", HostKey: "ssh-ed25519 nonsense"},
		"labels":   {Name: "a", Host: "x", Labels: map[string]string{"bad name": "x"}},
	} {
		_, err := g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: d})
		if wantReason(t, err, fault.InvalidArgument); err == nil || fault.From(err).Details["field"] != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, name := range []string{"", ".a", "a.", "a..b", "a b", "a\nb", "-a", "a*", "a>", "ä", strings.Repeat("x", 129), "../x"} {
		_, err := g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: name, Host: "x"}})
		wantReason(t, err, fault.InvalidArgument)
		_, err = g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: name})
		wantReason(t, err, fault.InvalidArgument)
	}
	if now := must(must(p.journal.Stream(t.Context(), "DIRECTORY")).LastSequence(t.Context())); now != before {
		t.Error("something was written")
	}
}

func TestADeletedDeviceLeavesItsGroups(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db", "web")
	p.group(g, "pay", false, []string{"ann"}, []string{"db", "web"})
	p.group(g, "off", false, []string{"ann"}, []string{"db"})
	must(g.UpdateAccessGroup(p.admin(), &gatev1.UpdateAccessGroupRequest{AccessGroup: &gatev1.AccessGroup{Name: "off", Disabled: true}, UpdateMask: mask("disabled")}))
	must(g.DeleteDevice(p.admin(), &gatev1.DeleteDeviceRequest{Name: "db"}))
	for group, want := range map[string][]string{"pay": {"web"}, "off": nil} {
		got := must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: group}))
		if d := cmp.Diff(want, got.GetDevices()); d != "" {
			t.Errorf("%s: %s", group, d)
		}
	}
	p.devices(g, "db")
	if r := p.reason(g, "ann", "db"); r != gatev1.CheckResponse_NO_ACCESS {
		t.Errorf("another device of that name was let into its groups: %s", r)
	}
}

func TestADeletedUserLeavesTheirGroupsAlsoWhenNoGateRanThen(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	p.group(g, "pay", false, []string{"ann", "bob", "eve"}, []string{"db"})
	deleted := &identityv1.UserRecord{User: &identityv1.User{Name: "x"}, Deleted: true}
	p.put("IDENTITY", "identity.user.ann", deleted)
	members := func(g *running) string {
		return strings.Join(must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"})).GetUsers(), " ")
	}
	p.await(g.Service, func() bool { return members(g) == "bob eve" }, "ann leaves")
	g.crash()
	p.put("IDENTITY", "identity.user.bob", deleted)
	again := p.gate()
	p.await(again.Service, func() bool { return members(again) == "eve" }, "bob leaves")
}

func TestTheHostKeyThatADeviceShowsIsPinned(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	d := must(g.TrustDevice(p.admin(), &gatev1.TrustDeviceRequest{Name: "db", ValidateOnly: true}))
	if d.GetHostKey() != hostKey || d.GetHostKeyFingerprint() != hostKeyFingerprint {
		t.Errorf("looking shows %v", d)
	}
	_, err := g.TrustDevice(p.admin(), &gatev1.TrustDeviceRequest{Name: "db", Fingerprint: "SHA256:another"})
	wantReason(t, err, fault.Aborted)
	if f := fault.From(err); f.Details["fingerprint"] != hostKeyFingerprint {
		t.Errorf("the refusal tells %v", f.Details)
	}
	if d = must(g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "db"})); d.GetHostKey() != "" || d.GetHostKeyFingerprint() != "" {
		t.Errorf("looking, or another key than was compared, has pinned %v", d)
	}
	p.bastion.asked = nil
	d = must(g.TrustDevice(p.admin(), &gatev1.TrustDeviceRequest{Name: "db", Fingerprint: hostKeyFingerprint}))
	if d.GetHostKey() != hostKey || p.bastion.asked[0].GetHost() != "db.example" || p.bastion.asked[0].GetPort() != 22 {
		t.Errorf("%v, asked %v", d, p.bastion.asked)
	}
	if d = must(g.ResolveDevice(p.admin(), &gatev1.ResolveDeviceRequest{Name: "db"})); d.GetHostKey() != hostKey {
		t.Error("the bastion is not told")
	}
	must(g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: "tcp", Host: "x", Port: 9, Protocol: gatev1.Protocol_TCP}}))
	_, err = g.TrustDevice(p.admin(), &gatev1.TrustDeviceRequest{Name: "tcp"})
	wantReason(t, err, fault.InvalidArgument)
	_, err = g.TrustDevice(p.admin(), &gatev1.TrustDeviceRequest{Name: "none"})
	wantReason(t, err, fault.NotFound)
}

func TestACredentialIsSealedForTheBastionAndNeverShown(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	must(g.SetCredential(p.admin(), &gatev1.SetCredentialRequest{Name: "db", Username: "root", Password: "s3cret"}))
	stream := must(p.journal.Stream(t.Context(), "CREDENTIAL"))
	open := func() *gatev1.Credential {
		t.Helper()
		entry := must(stream.Last(t.Context(), "credential.device.db"))
		if strings.Contains(string(entry.Data), "s3cret") {
			t.Error("it is there to read")
		}
		record, plain := new(gatev1.CredentialRecord), new(gatev1.Credential)
		if err := proto.Unmarshal(entry.Data, record); err != nil {
			t.Fatal(err)
		}
		if len(record.GetSealed()) == 0 {
			return nil
		}
		raw := must(must(p.keys.Opener()).Open(record.GetSealed(), entry.Subject))
		if err := proto.Unmarshal(raw, plain); err != nil {
			t.Fatal(err)
		}
		return plain
	}
	if c := open(); c.GetUsername() != "root" || c.GetPassword() != "s3cret" {
		t.Errorf("the bastion opens %v", c)
	}
	d := must(g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "db"}))
	if !d.GetCredentialSet() || strings.Contains(fmt.Sprint(d), "s3cret") {
		t.Errorf("%v", d)
	}
	must(g.DeleteDevice(p.admin(), &gatev1.DeleteDeviceRequest{Name: "db"}))
	if open() != nil {
		t.Error("it outlived its device")
	}
	p.devices(g, "db")
	if must(g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "db"})).GetCredentialSet() {
		t.Error("another device of that name has it")
	}
	for _, wrong := range []*gatev1.SetCredentialRequest{
		{Name: "db", Username: "root"}, {Name: "db", Password: "x"}, {Name: "db", Username: "u", Password: "x", PrivateKey: "y"},
		{Name: "db", Username: "u", PrivateKey: "s3cret but no key"},
	} {
		_, err := g.SetCredential(p.admin(), wrong)
		if wantReason(t, err, fault.InvalidArgument); err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the refusal quotes it: %v", err)
		}
	}
	_, err := g.SetCredential(p.admin(), &gatev1.SetCredentialRequest{Name: "none", Username: "u", Password: "x"})
	wantReason(t, err, fault.NotFound)
}

func TestADeviceThatIsMovedLosesItsCredential(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	const pinned = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4T0fFq3a1RWQqDn0kfgvJxwq1h5pQ0X5Yj1m0b3u2X"
	update := func(path string, change func(*gatev1.Device)) *gatev1.Device {
		d := &gatev1.Device{Name: "db"}
		change(d)
		return must(g.UpdateDevice(p.admin(), &gatev1.UpdateDeviceRequest{Device: d, UpdateMask: mask(path)}))
	}
	imported := func(document string) *gatev1.Device {
		must(g.Import(p.admin(), &gatev1.ImportRequest{Document: document}))
		return must(g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "db"}))
	}
	p.devices(g, "db")
	for what, move := range map[string]func() *gatev1.Device{
		"another host": func() *gatev1.Device { return update("host", func(d *gatev1.Device) { d.Host = "evil.example" }) },
		"another port": func() *gatev1.Device { return update("port", func(d *gatev1.Device) { d.Port = 2022 }) },
		"an import":    func() *gatev1.Device { return imported(`{"devices":[{"name":"db","host":"worse.example"}]}`) },
	} {
		must(g.SetCredential(p.admin(), &gatev1.SetCredentialRequest{Name: "db", Username: "root", Password: "s3cret"}))
		if d := update("labels", func(d *gatev1.Device) { d.Labels = map[string]string{"why": "x"} }); !d.GetCredentialSet() {
			t.Error("a label moved it")
		}
		if d := move(); d.GetCredentialSet() {
			t.Errorf("%s: the credential is still there", what)
		}
		stream := must(p.journal.Stream(t.Context(), "CREDENTIAL"))
		record := new(gatev1.CredentialRecord)
		if err := proto.Unmarshal(must(stream.Last(t.Context(), "credential.device.db")).Data, record); err != nil || len(record.GetSealed()) > 0 {
			t.Errorf("%s: it still stands in the journal (%v)", what, err)
		}
		_ = update("port", func(d *gatev1.Device) { d.Port = 22 })
	}
	key := func(k string) bool {
		return moved(&gatev1.Device{CredentialSet: true, HostKey: k}, &gatev1.Device{HostKey: pinned})
	}
	if key("") || !key("ssh-ed25519 another") {
		t.Error("the first host key moves nothing; another does")
	}
	served := &gatev1.Device{CredentialSet: true, Protocol: gatev1.Protocol_POSTGRES}
	if !moved(served, &gatev1.Device{Protocol: gatev1.Protocol_SSH}) || !moved(served, &gatev1.Device{Protocol: gatev1.Protocol_POSTGRES, ServerCa: "another"}) {
		t.Error("another protocol moves it, and so does another authority")
	}
}

func TestDevicesAreListedByPageAndFilter(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	for i := range 7 {
		protocol := gatev1.Protocol_SSH
		if i%2 == 1 {
			protocol = gatev1.Protocol_POSTGRES
		}
		must(g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: fmt.Sprintf("web-%d", i), Host: "x", Protocol: protocol}}))
	}
	p.devices(g, "db")
	p.group(g, "pay", true, []string{"ann"}, []string{"web-1", "web-2", "db"})
	list := func(filter string, size int32) (pages []string) {
		t.Helper()
		for token := ""; ; {
			answer, err := g.ListDevices(p.admin(), &gatev1.ListDevicesRequest{Filter: filter, PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, d := range answer.GetDevices() {
				names = append(names, d.GetName())
			}
			pages = append(pages, strings.Join(names, " "))
			if token = answer.GetNextPageToken(); token == "" {
				return pages
			}
		}
	}
	check := func(filter string, size int32, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, list(filter, size)); d != "" {
			t.Errorf("%q: %s", filter, d)
		}
	}
	check("", 3, "db web-0 web-1", "web-2 web-3 web-4", "web-5 web-6")
	check("", 8, "db web-0 web-1 web-2 web-3 web-4 web-5 web-6")
	check("protocol=POSTGRES", 2, "web-1 web-3", "web-5")
	check("group=pay", 2, "db web-1", "web-2")
	check("group=pay AND protocol=postgres", 0, "web-1")
	check("name=web-*", 4, "web-0 web-1 web-2 web-3", "web-4 web-5 web-6")
	check("name=web-3", 0, "web-3")
	check("blocked=true", 0, "")
	p.freeze(g)
	check("blocked=true", 0, "db web-1 web-2")
	check("blocked=false AND name=web-*", 2, "web-0 web-3", "web-4 web-5", "web-6")
	must(g.DeleteDevice(p.admin(), &gatev1.DeleteDeviceRequest{Name: "web-0"}))
	check("", 2, "db web-1", "web-2 web-3", "web-4 web-5", "web-6")
	for _, wrong := range []string{"colour=red", "group", "protocol=MORSE", "blocked=maybe", "name=a AND name=b"} {
		_, err := g.ListDevices(p.admin(), &gatev1.ListDevicesRequest{Filter: wrong})
		wantReason(t, err, fault.InvalidArgument)
	}
	_, err := g.ListDevices(p.admin(), &gatev1.ListDevicesRequest{Filter: "group=none"})
	wantReason(t, err, fault.NotFound)
	_, err = g.ListDevices(p.admin(), &gatev1.ListDevicesRequest{PageToken: "!"})
	wantReason(t, err, fault.InvalidArgument)
}

// Several gates write one directory.
func TestEditsOfSeveralGatesDontUndoEachOther(t *testing.T) {
	p := newPlatform(t)
	one, two := p.gate(), p.gate()
	p.devices(one, "a", "b")
	p.group(one, "pay", false, nil, nil)
	done := make(chan error, 20)
	for i := range 20 {
		go func() {
			g := []*running{one, two}[i%2]
			_, err := g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: fmt.Sprintf("n-%02d", i), Host: "x"}})
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	last := must(must(p.journal.Stream(t.Context(), "DIRECTORY")).LastSequence(t.Context()))
	for _, g := range []*running{one, two} {
		if err := g.watch.Wait(t.Context(), watch.Directory, last); err != nil {
			t.Fatal(err)
		}
		if got := must(g.ListDevices(p.admin(), &gatev1.ListDevicesRequest{Filter: "name=n-*"})).GetDevices(); len(got) != 20 {
			t.Errorf("%d devices", len(got))
		}
	}
}
