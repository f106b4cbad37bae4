package gate

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/watch"
)

const paper = `
users:
  - {name: zoe, password: "first-password"}
devices:
  - {name: db, host: db.example}
  - {name: web, host: web.example, protocol: TCP, port: 80}
accessGroups:
  - {name: pay, users: [zoe, ann], devices: [db, old], blockDuringFreezes: true}
credentials:
  - {name: db, username: root, password: s3cret}
  - {name: old, username: root, password: s3cret}
`

func TestAnImportTakesEverythingAtOnce(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	must(g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: "old", Host: "o", HostKey: hostKey}}))
	must(g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: "db", Host: "before", HostKey: hostKey, Labels: map[string]string{"site": "gru"}}}))
	counts := must(g.Import(p.admin(), &gatev1.ImportRequest{Document: paper}))
	if d := cmp.Diff(&gatev1.ImportResponse{Users: 1, Devices: 2, AccessGroups: 1, Credentials: 2}, counts, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	db := must(g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "db"}))
	if db.GetHost() != "db.example" || db.GetHostKey() != hostKey || db.GetLabels()["site"] != "gru" || !db.GetCredentialSet() || db.GetAccessGroups()[0] != "pay" {
		t.Errorf("of what was there a row changes what it names: %v", db)
	}
	old := must(g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "old"}))
	if old.GetHost() != "o" || !old.GetCredentialSet() {
		t.Errorf("a credential alone: %v", old)
	}
	for user, want := range map[string]gatev1.CheckResponse_Reason{"zoe": gatev1.CheckResponse_ALLOWED, "ann": gatev1.CheckResponse_ALLOWED, "bob": gatev1.CheckResponse_NO_ACCESS} {
		p.await(g.Service, func() bool { return p.reason(g, user, "db") == want }, user+" is let in or not")
	}
	for _, device := range []string{"db", "old"} {
		record := new(gatev1.CredentialRecord)
		entry := must(must(p.journal.Stream(t.Context(), "CREDENTIAL")).Last(t.Context(), "credential.device."+device))
		if err := proto.Unmarshal(entry.Data, record); err != nil {
			t.Fatal(err)
		}
		if plain := must(must(p.keys.Opener()).Open(record.GetSealed(), entry.Subject)); !strings.Contains(string(plain), "s3cret") {
			t.Errorf("the bastion opens %q", plain)
		}
	}
	before := p.size()
	must(g.Import(p.admin(), &gatev1.ImportRequest{Document: `{"devices":[{"name":"db","host":"db.example"}]}`}))
	if after := p.size(); after != before+1 {
		t.Errorf("importing what is there already wrote %d entries", after-before)
	}
}

func (p *platform) size() uint64 {
	p.t.Helper()
	return must(must(p.journal.Stream(p.t.Context(), "DIRECTORY")).LastSequence(p.t.Context()))
}

func TestAnImportIsRefusedWholeAndByLine(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "db")
	before := p.size()
	_, err := g.Import(p.admin(), &gatev1.ImportRequest{Document: `
devices:
  - {name: good, host: x}
  - {name: bad name, host: x}
  - {name: worse, host: "two words"}
  - {name: typo, hots: x}
  - {name: good, host: y}
accessGroups:
  - {name: pay, users: [ann, nobody], devices: [good]}
  - {name: ops, users: [ann], devices: [worse, nothing]}
credentials:
  - {name: nothing, username: u, password: s3cret}
  - {name: db, username: u}
`})
	wantReason(t, err, fault.InvalidArgument)
	details := fault.From(err).Details
	for _, line := range []string{"line 4", "line 6", "line 7", "line 13"} {
		if details[line] == "" {
			t.Errorf("nothing of %s: %v", line, details)
		}
	}
	_, err = g.Import(p.admin(), &gatev1.ImportRequest{Document: "devices:\n - {name: w, host: \"two words\"}\naccessGroups:\n - {name: pay, users: [nobody]}\n - {name: ops, devices: [w, nothing]}\ncredentials:\n - {name: nothing, username: u, password: s3cret}"})
	details = fault.From(err).Details
	for line, word := range map[string]string{"line 2": "host", "line 4": "nobody", "line 5": "nothing", "line 7": "nothing"} {
		if !strings.Contains(details[line], word) {
			t.Errorf("%s: %q, want %s", line, details[line], word)
		}
	}
	list := must(structpb.NewStruct(map[string]any{"name": "a", "email": "wrong"}))
	_, err = g.Import(p.admin(), &gatev1.ImportRequest{Users: []*structpb.Struct{list}})
	if wantReason(t, err, fault.InvalidArgument); fault.From(err).Details["users[0]"] == "" {
		t.Errorf("what identity refuses: %v", err)
	}
	for _, r := range []*gatev1.ImportRequest{{}, {Document: "devices: []", Users: []*structpb.Struct{list}}, {Document: "{"}} {
		_, err := g.Import(p.admin(), r)
		wantReason(t, err, fault.InvalidArgument)
	}
	if p.size() != before || len(p.acts.acts) > 0 {
		t.Error("something was written")
	}
}

func TestTheSameImportTwiceIsOneEffect(t *testing.T) {
	p := newPlatform(t)
	g := p.gate()
	p.devices(g, "old")
	request := &gatev1.ImportRequest{Document: paper, RequestId: "i-1"}
	first := must(g.Import(p.admin(), request))
	size := p.size()
	g.crash()
	g = p.gate()
	if again := must(g.Import(p.admin(), request)); !proto.Equal(first, again) || p.size() != size {
		t.Errorf("again: %v, %d entries more", again, p.size()-size)
	}
	_, err := g.Import(p.admin(), &gatev1.ImportRequest{Document: "devices: [{name: x, host: x}]", RequestId: "i-1"})
	wantReason(t, err, fault.RequestIDReused)
	id := "i-1"
	_, err = g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: "x", Host: "x", RequestId: &id}})
	wantReason(t, err, fault.RequestIDReused)
}

// many is an import that takes several batches, and changes and adds.
func many(n int) string {
	var text strings.Builder
	text.WriteString("devices:\n")
	for i := range n {
		fmt.Fprintf(&text, " - {name: n-%05d, host: after}\n", i)
	}
	text.WriteString("accessGroups:\n - {name: pay, users: [ann, zoe], devices: [n-00000, n-00001]}\nusers: [{name: zoe}]\n")
	return text.String()
}

// untouched fails unless the directory is as it was before the import of many.
func (p *platform) untouched(g *running, when string) {
	p.t.Helper()
	d := must(g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "n-00000"}))
	group := must(g.GetAccessGroup(p.admin(), &gatev1.GetAccessGroupRequest{Name: "pay"}))
	_, err := g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "n-00001"})
	known := g.snapshot()
	if d.GetHost() != "before" || len(group.GetDevices()) != 1 || !fault.Is(err, fault.NotFound) || known.HasDevice("n-00001") || known.HasUser("zoe") {
		p.t.Errorf("%s: %v, %v, %v, n-00001 %v, zoe %v", when, d, group, err, known.HasDevice("n-00001"), known.HasUser("zoe"))
	}
}

func (p *platform) arrived(g *running, n int, when string) {
	p.t.Helper()
	p.await(g.Service, func() bool { return g.snapshot().HasUser("zoe") }, "zoe, "+when)
	d := must(g.GetDevice(p.admin(), &gatev1.GetDeviceRequest{Name: "n-00000"}))
	known := g.snapshot()
	count := 0
	for name := range known.Devices("n-") {
		if strings.HasPrefix(name, "n-") {
			count++
		}
	}
	if d.GetHost() != "after" || count != n || p.reason(g, "zoe", "n-00001") != gatev1.CheckResponse_ALLOWED {
		p.t.Errorf("%s: %v, %d devices", when, d, count)
	}
}

func (p *platform) beforeMany() *running {
	g := p.gate()
	must(g.CreateDevice(p.admin(), &gatev1.CreateDeviceRequest{Device: &gatev1.Device{Name: "n-00000", Host: "before"}}))
	p.group(g, "pay", false, []string{"ann"}, []string{"n-00000"})
	return g
}

// stagingOf is an import that is ready to be written.
func (p *platform) stagingOf(g *running, id, text string) (*staging, *chain, []journal.Message) {
	p.t.Helper()
	ctx := p.admin()
	in := must(read(&gatev1.ImportRequest{Document: text}))
	s := &staging{Context: ctx, service: g.Service, operation: must(operationOf("", &gatev1.ImportRequest{Document: text})), sheet: in, proof: &proof{}}
	e := &edit{Context: ctx, service: g.Service, operation: s.operation, known: g.snapshot()}
	must(s.plan(e, id))
	if err := s.stageUsers(id); err != nil {
		p.t.Fatal(err)
	}
	last := must(g.folded(ctx, p.size()))
	return s, &chain{Context: ctx, stream: g.streams.Load().directory, last: last}, e.messages
}

func TestACrashBeforeTheCommitChangesNothing(t *testing.T) {
	const n = 2500
	for batchesWritten := range 4 { // of three
		p := newPlatform(t)
		g := p.beforeMany()
		_, c, messages := p.stagingOf(g, "crashed", many(n))
		written := 0
		for batch := range batches(messages) {
			if written == batchesWritten {
				break
			}
			if err := c.append(batch); err != nil {
				t.Fatal(err)
			}
			written++
		}
		if err := g.watch.Wait(t.Context(), watch.Directory, c.last); err != nil {
			t.Fatal(err)
		}
		when := fmt.Sprintf("after %d batches", written)
		p.untouched(g, when)
		g.crash()
		g = p.gate()
		p.untouched(g, when+" and a restart")
		must(g.UpdateDevice(p.admin(), &gatev1.UpdateDeviceRequest{Device: &gatev1.Device{Name: "n-00000", Port: 99}, UpdateMask: mask("port")}))
		p.untouched(g, when+", a restart and an edit")
		must(g.Import(p.admin(), &gatev1.ImportRequest{Document: many(n)}))
		p.arrived(g, n, when+" and the same import again")
	}
}

func TestAfterTheCommitUsersAndCredentialsFollowAlsoAfterARestart(t *testing.T) {
	p := newPlatform(t)
	g := p.beforeMany()
	p.identity.setDown(true)
	must(g.Import(p.admin(), &gatev1.ImportRequest{Document: many(10) + "credentials: [{name: n-00003, username: u, password: x}]"}))
	if known := g.snapshot(); !known.HasDevice("n-00009") || known.HasUser("zoe") {
		t.Error("the directory has not been imported, or identity has")
	}
	g.crash()
	g = p.gate()
	p.identity.setDown(false)
	p.arrived(g, 10, "after the restart")
	stream := must(p.journal.Stream(t.Context(), "CREDENTIAL"))
	p.await(g.Service, func() bool { _, err := stream.Last(t.Context(), "credential.device.n-00003"); return err == nil }, "the credential")
	p.await(g.Service, func() bool { imports, _ := g.seen.untidy(); return len(imports) == 0 }, "the import is finished")
	size := p.size()
	g.crash()
	g = p.gate()
	if imports, _ := g.seen.untidy(); len(imports) > 0 || len(g.seen.sealed) > 0 || p.size() != size {
		t.Errorf("it is finished again: %v", imports)
	}
}

func TestAnEditInBetweenMakesAnImportStageAnew(t *testing.T) {
	p := newPlatform(t)
	g := p.beforeMany()
	other := p.gate()
	s, c, messages := p.stagingOf(g, "overtaken", many(5))
	p.devices(other, "other")
	if _, err := s.write(c, "overtaken", messages); err == nil {
		t.Fatal("it was written on top of what it had not seen")
	}
	p.untouched(g, "after the conflict")
	must(g.Import(p.admin(), &gatev1.ImportRequest{Document: many(5)}))
	p.arrived(g, 5, "the second time")
}

func TestAnImportThatIsCutShortIsThereWholeOrNotAtAll(t *testing.T) {
	const n = 1500
	p := newPlatform(t)
	g := p.beforeMany()
	for i := range 12 {
		ctx, cancel := context.WithTimeout(p.admin(), time.Duration(1+i*i)*time.Millisecond)
		_, err := g.Import(ctx, &gatev1.ImportRequest{Document: many(n)})
		cancel()
		if err := g.watch.Wait(t.Context(), watch.Directory, p.size()); err != nil {
			t.Fatal(err)
		}
		if err == nil || g.snapshot().HasDevice("n-00001") {
			p.arrived(g, n, "cut or not")
			return
		}
		p.untouched(g, fmt.Sprintf("cut after %d ms", 1+i*i))
	}
}
