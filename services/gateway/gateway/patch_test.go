package gateway

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

func TestAPatchChangesTheFieldsInItsBodyAndNoOthers(t *testing.T) {
	p := open(t)
	for _, c := range []struct{ path, body, mask string }{
		{"/v1/devices/db-1", `{"host":"h"}`, "host"},
		{"/v1/devices/db-1", `{"hostKey":"k","port":1}`, "host_key port"},
		{"/v1/devices/db-1", `{"host_key":"k"}`, "host_key"},
		{"/v1/devices/db-1", `{"name":"db-1","host":"h"}`, "host"},
		{"/v1/devices/db-1", `{"name":null,"host":"h"}`, "host"},
		{"/v1/devices/db-1", `{"host":null,"disabled":false,"port":0,"protocol":null}`, "disabled host port protocol"},
		{"/v1/devices/db-1", `{"labels":null}`, "labels"},
		{"/v1/devices/db-1", `{"labels":{"old":null,"b.c":null}}`, "labels.b.c labels.old"},
		{"/v1/devices/db-1", `{"labels":{"old":null,"env":"prod"},"host":"h"}`, "host labels labels.old"},
		{"/v1/devices/db-1", `{"labels":{},"host":"h"}`, "host"},
		{"/v1/devices/db-1", `{"labels":{"env":"prod","a":"b"},"requestId":"7"}`, "labels"},
		{"/v1/users/bob", `{"roles":[],"sshPublicKeys":["a","b"]}`, "roles ssh_public_keys"},
		{"/v1/users/bob", `{"roles":["System Administrator"],"grant":"g","requestId":"7","justification":"j"}`, "roles"},
		{"/v1/users/bob", `{"createTime":"2022-08-09T12:00:00Z","email":"a@b"}`, "create_time email"},
		{"/v1/policy", `{"governanceCode":"REQUIRED","grant":"g","justification":"j"}`, "governance_code"},
		{"/v1/policy", `{"breakGlassUsers":null}`, "break_glass_users"},
	} {
		p.users["bob"] = &identityv1.User{Name: "bob"}
		a := p.call(t, "PATCH", c.path, c.body)
		_, request := p.last()
		if got := maskOf(request); got != c.mask || a.status != 200 {
			t.Errorf("%s %s: mask %s, want %s (%d %s)", c.path, c.body, got, c.mask, a.status, a.body)
		}
	}
}

func maskOf(request proto.Message) string {
	masked, ok := request.(interface{ GetUpdateMask() *fieldmaskpb.FieldMask })
	if !ok {
		return "none"
	}
	return strings.Join(masked.GetUpdateMask().GetPaths(), " ")
}

func TestAPatchCarriesWhatBelongsToTheCall(t *testing.T) {
	p := open(t)
	p.users["bob"] = &identityv1.User{Name: "bob", Email: "old", Roles: []string{"a", "b"}, DisplayName: "Bob"}
	a := p.call(t, "PATCH", "/v1/users/bob", `{"roles":["c"],"email":null,"grant":"g","requestId":"7","justification":"j"}`)
	_, request := p.last()
	want := &identityv1.User{
		Name: "bob", Roles: []string{"c"}, Grant: proto.String("g"), RequestId: proto.String("7"), Justification: proto.String("j"),
	}
	if diff := cmp.Diff(want, request.(*identityv1.UpdateUserRequest).GetUser(), protocmp.Transform()); diff != "" || a.status != 200 {
		t.Errorf("%d %s\n%s", a.status, a.body, diff)
	}
	want = &identityv1.User{Name: "bob", Roles: []string{"c"}, DisplayName: "Bob"}
	if diff := cmp.Diff(want, p.users["bob"], protocmp.Transform()); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	p.call(t, "PATCH", "/v1/policy", `{"governancePattern":"C.*","grant":"g"}`)
	_, request = p.last()
	if got := request.(*emergencyv1.UpdatePolicyRequest).GetPolicy().GetGrant(); got != "g" {
		t.Errorf("the policy's grant is %q", got)
	}
	p.call(t, "POST", "/v1/devices", `{"name":"db-1","requestId":"7"}`)
	_, request = p.last()
	if got := request.(*gatev1.CreateDeviceRequest).GetDevice().GetRequestId(); got != "7" {
		t.Errorf("the device's request id is %q", got)
	}
}

func TestAPatchThatChangesNothingOrRenamesIsRefused(t *testing.T) {
	p := open(t)
	for _, body := range []string{"", "{}", `{"requestId":"7"}`, `{"name":"db-1"}`, `{"name":"db-2","host":"h"}`, `{"name":7}`, `null`, `[]`, `{"nam":"x"}`, `{"labels":{}}`, `{"labels":{"a":7}}`, `{"labels":[null]}`} {
		a := p.call(t, "PATCH", "/v1/devices/db-1", body)
		if a.status != 400 || !strings.Contains(a.body, `"reason":"INVALID_ARGUMENT"`) {
			t.Errorf("%q: got %d %s", body, a.status, a.body)
		}
	}
	if _, request := p.last(); request != nil {
		t.Errorf("called with %v", request)
	}
}

// Every resource with a mask is one that setMask knows how to read.
func TestEveryPatchHasAMaskAndABody(t *testing.T) {
	for _, r := range routes() {
		if r.verb != "PATCH" {
			continue
		}
		resource := r.input.Fields().ByTextName(r.body)
		if r.input.Fields().ByName("update_mask") == nil || resource == nil || resource.Kind() != protoreflect.MessageKind {
			t.Errorf("%s: has no update_mask, or its body %q is no message", r.pattern, r.body)
		}
	}
}
