package gateway

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"portcullis.dev/services/internal/rpc"
)

// contract is every row that outsiders rely on, of the services there are.
const contract = `
POST /v1/sign-ins
POST /v1/sign-ins/current:refresh
DELETE /v1/sign-ins/current
POST /v1/grants
POST /v1/users
GET /v1/users
GET /v1/users/{name}
PATCH /v1/users/{name}
DELETE /v1/users/{name}
POST /v1/users/{name}/mfa:enroll
POST /v1/users/{name}/mfa:activate
POST /v1/users/{name}/mfa:reset
GET /v1/roles
POST /v1/tokens
GET /v1/tokens
GET /v1/tokens/{id}
DELETE /v1/tokens/{id}
POST /v1/tokens/{id}:rearm
POST /v1/devices
GET /v1/devices
GET /v1/devices/{name}
PATCH /v1/devices/{name}
DELETE /v1/devices/{name}
POST /v1/devices/{name}:setCredential
POST /v1/devices/{name}:trust
POST /v1/access-groups
GET /v1/access-groups
GET /v1/access-groups/{name}
PATCH /v1/access-groups/{name}
DELETE /v1/access-groups/{name}
POST /v1/directory:import
POST /v1/access:check
POST /v1/terminations
GET /v1/terminations
GET /v1/terminations/{id}
POST /v1/freezes
GET /v1/freezes
GET /v1/freezes/{id}
GET /v1/freezes/{id}/devices
POST /v1/freezes/{id}:cancel
POST /v1/freezes/{id}:shorten
POST /v1/holds
GET /v1/holds
POST /v1/lockdowns
GET /v1/lockdowns
GET /v1/lockdowns/{id}
POST /v1/lockdowns/{id}:cancel
POST /v1/lockdowns/{id}:shorten
POST /v1/emergencies:preview
GET /v1/emergencies/{id}/receipts
GET /v1/emergencies/{id}:watch
GET /v1/posture
GET /v1/posture:watch
GET /v1/enforcers
GET /v1/sessions
GET /v1/sessions/{id}
GET /v1/connectors
POST /v1/sessions/{id}:end
POST /v1/sessions/{id}:suspend
POST /v1/sessions/{id}:resume
GET /v1/policy
PATCH /v1/policy
GET /v1/audit
GET /v1/audit/checkpoint
GET /v1/audit:export
GET /v1/audit/streams/{stream}:export
GET /v1/notification-types
POST /v1/notifications
GET /v1/notifications
PATCH /v1/notifications/{id}
POST /v1/smtp-accounts
POST /v1/smtp-accounts/{id}:test
POST /v1/mailboxes
GET /v1/sms-settings
PATCH /v1/sms-settings
GET /v1/outbox
POST /v1/outbox/{id}:resend
GET /v1/inbox
POST /v1/inbox/{id}:read
POST /v1/events
`

type openAPIDocument struct {
	OpenAPI    string
	Servers    []struct{ URL string }
	Security   []map[string]any
	Paths      map[string]map[string]openAPICall
	Components struct {
		Schemas, Responses map[string]any
		SecuritySchemes    map[string]struct{ Type, Scheme string }
	}
}

type openAPICall struct {
	OperationID string
	Security    []map[string]any
	Parameters  []struct{ Name, In string }
	RequestBody struct{ Content map[string]any }
	Responses   map[string]struct {
		Ref     string `json:"$ref"`
		Content map[string]any
	}
}

func readDocument(t *testing.T) openAPIDocument {
	t.Helper()
	var d openAPIDocument
	if err := json.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheDocumentHasEveryRowOfTheContractWithItsRefusals(t *testing.T) {
	d := readDocument(t)
	for _, row := range strings.Split(strings.TrimSpace(contract), "\n") {
		verb, path, _ := strings.Cut(row, " ")
		call, ok := d.Paths[path][strings.ToLower(verb)]
		if !ok {
			t.Errorf("%s is not there", row)
			continue
		}
		if call.Responses["default"].Ref != "#/components/responses/Refusal" {
			t.Errorf("%s: no refusal", row)
		}
		open := row == "GET /v1/posture"
		if (call.Responses["503"].Ref == "#/components/responses/Lockdown") == open {
			t.Errorf("%s: a lockdown's refusal is missing, or is where none can be", row)
		}
	}
	if d.OpenAPI != "3.1.0" || len(d.Servers) == 0 || len(d.Security) == 0 || d.Components.SecuritySchemes["token"].Scheme != "bearer" {
		t.Errorf("the frame is not whole: %v %v %v", d.OpenAPI, d.Servers, d.Security)
	}
}

func TestTheDocumentAndTheRoutesAreTheSame(t *testing.T) {
	d := readDocument(t)
	inDocument, ids := map[string]openAPICall{}, map[string]bool{}
	for path, calls := range d.Paths {
		for verb, call := range calls {
			inDocument[strings.ToUpper(verb)+" "+path] = call
			if call.OperationID == "" || ids[call.OperationID] {
				t.Errorf("%s %s: its operationId %q is not its own", verb, path, call.OperationID)
			}
			ids[call.OperationID] = true
		}
	}
	nested := regexp.MustCompile(`\{\w+\.(\w+)\}`)
	for _, r := range routes() {
		row := r.verb + " " + nested.ReplaceAllString(r.pattern, "{$1}")
		call, ok := inDocument[row]
		if !ok {
			t.Errorf("%s is served and not written down", row)
			continue
		}
		delete(inDocument, row)
		compareRow(t, r, row, call)
	}
	for row := range inDocument {
		t.Errorf("%s is written down and not served", row)
	}
}

func compareRow(t *testing.T, r route, row string, call openAPICall) {
	t.Helper()
	paths := 0
	for _, p := range call.Parameters {
		if p.In == "path" {
			paths++
			if !strings.Contains(row, "{"+p.Name+"}") {
				t.Errorf("%s: %s is not in its path", row, p.Name)
			}
		} else if field(r.input, p.Name) == nil {
			t.Errorf("%s: takes no %s", row, p.Name)
		}
	}
	if paths != len(r.variables) {
		t.Errorf("%s: %d parameters in the path, of %d", row, paths, len(r.variables))
	}
	if _, stream := call.Responses["200"].Content["application/x-ndjson"]; stream != r.stream {
		t.Errorf("%s: a stream: %v, written down as one: %v", row, r.stream, stream)
	}
	if (len(call.RequestBody.Content) > 0) != (r.body != "") {
		t.Errorf("%s: its body is %q, written down: %v", row, r.body, call.RequestBody.Content)
	}
	public := false
	for _, way := range call.Security {
		public = public || len(way) == 0
	}
	if need := fmt.Sprint(rpc.Table()[r.rpc].Need); public != strings.Contains(need, rpc.Anyone) {
		t.Errorf("%s: needs %s, written down as open to anyone: %v", row, need, public)
	}
}

func TestEveryReferenceOfTheDocumentLeadsSomewhere(t *testing.T) {
	d := readDocument(t)
	for _, found := range regexp.MustCompile(`"\$ref": "([^"]*)"`).FindAllSubmatch(openAPI, -1) {
		ref := string(found[1])
		_, schema := d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
		_, response := d.Components.Responses[strings.TrimPrefix(ref, "#/components/responses/")]
		if !schema && !response {
			t.Errorf("%s leads nowhere", ref)
		}
	}
}

func TestEveryPublicRPCHasARowAndNoOtherHas(t *testing.T) {
	table, served := rpc.Table(), map[string]bool{}
	for _, r := range routes() {
		served[r.rpc] = true
		if !table[r.rpc].Public() {
			t.Errorf("%s %s leads to %s, which is not public", r.verb, r.pattern, r.rpc)
		}
	}
	for method, row := range table {
		bidirectional := strings.HasSuffix(method, "/CheckStream") || strings.HasSuffix(method, "/Attach")
		ours := strings.HasPrefix(method, "/portcullis.")
		if row.Public() && ours && !served[method] && !bidirectional {
			t.Errorf("%s is public and has no REST row", method)
		}
	}
}

func TestEveryRowReachesItsRPC(t *testing.T) {
	p := open(t)
	for _, r := range routes() {
		if r.stream {
			continue // see stream_test.go
		}
		body := ""
		switch {
		case r.verb == "PATCH":
			body = changeOf(r)
		case r.body != "":
			body = "{}"
		}
		path := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(r.pattern, "a-1")
		p.called.Store("")
		if a := p.call(t, r.verb, path, body); p.called.Load() != r.rpc || a.status == 500 {
			t.Errorf("%s %s: reached %q, not %s (%d %s)", r.verb, path, p.called.Load(), r.rpc, a.status, a.body)
		}
	}
}

// changeOf is a change of one field that the resource has.
func changeOf(r route) string {
	fields := r.input.Fields().ByName(protoreflect.Name(r.body)).Message().Fields()
	for name, body := range map[protoreflect.Name]string{
		"disabled": `{"disabled":true}`, "enabled": `{"enabled":true}`, "governance_pattern": `{"governancePattern":"C.*"}`, "subject": `{"subject":"x"}`,
	} {
		if fields.ByName(name) != nil {
			return body
		}
	}
	return "{}"
}

func TestEveryPOSTTakesARequestID(t *testing.T) {
	for _, r := range routes() {
		if r.verb != "POST" || strings.HasPrefix(r.pattern, "/v1/sms-callbacks/") { // a provider writes that body
			continue
		}
		taken := r.input
		if r.body != "*" {
			taken = r.input.Fields().ByName(protoreflect.Name(r.body)).Message()
		}
		if field := taken.Fields().ByName("request_id"); field == nil || field.JSONName() != "requestId" {
			t.Errorf("POST %s takes none", r.pattern)
		}
	}
}
