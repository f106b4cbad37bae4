package cli_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "portcullis.dev/proto/portcullis/audit/v1"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// The collections of plain rows, and the message that each row must be.
func rowOf(collection string) proto.Message {
	switch collection {
	case "users":
		return new(identityv1.User)
	case "tokens":
		return new(identityv1.Token)
	case "roles":
		return new(identityv1.Role)
	case "devices":
		return new(gatev1.Device)
	case "access-groups":
		return new(gatev1.AccessGroup)
	}
	return nil
}

func (f *fake) collection(r *http.Request, parts []string, body []byte) ([]byte, *no) {
	collection := parts[0]
	if rowOf(collection) == nil {
		return nil, refuse(404, "NOT_FOUND", "There is no such path")
	}
	if f.rows[collection] == nil {
		f.rows[collection] = map[string]map[string]any{}
	}
	switch {
	case len(parts) > 2:
		return f.factor(parts, body)
	case len(parts) == 1 && r.Method == http.MethodGet:
		return f.listRows(collection), nil
	case len(parts) == 1:
		return f.createRow(collection, body)
	}
	name, verb, _ := strings.Cut(parts[1], ":")
	if name == "me" {
		return encode(&identityv1.User{Name: "admin", Roles: []string{"System Administrator"}}), nil
	}
	row := f.rows[collection][name]
	if row == nil {
		return nil, refuse(404, "NOT_FOUND", fmt.Sprintf("There is no %q in %s", name, collection))
	}
	return f.changeRow(r, collection, name, verb, row, body)
}

func (f *fake) createRow(collection string, body []byte) ([]byte, *no) {
	if n := strict(body, rowOf(collection)); n != nil {
		return nil, n
	}
	row := map[string]any{}
	if err := json.Unmarshal(body, &row); err != nil {
		panic(err)
	}
	if roles, ok := row["roles"].([]any); ok && len(roles) > 0 && roles[0] == "System Administrator" {
		grant, _ := row["grant"].(string)
		if n := f.spend(grant, "user"); n != nil {
			return nil, n
		}
	}
	name, _ := row["name"].(string)
	if collection == "tokens" {
		row["id"], row["token"] = "tok1", "pct_tok1_SECRET"
		name = "tok1"
	}
	for _, input := range []string{"password", "grant", "requestId", "justification"} {
		delete(row, input)
	}
	f.rows[collection][name] = row
	return mustJSON(row), nil
}

func (f *fake) listRows(collection string) []byte {
	field := map[string]string{"access-groups": "accessGroups"}[collection]
	if field == "" {
		field = collection
	}
	rows := []any{}
	for _, row := range f.rows[collection] {
		rows = append(rows, row)
	}
	return mustJSON(map[string]any{field: rows, "somethingNew": true})
}

func (f *fake) changeRow(r *http.Request, collection, name, verb string, row map[string]any, body []byte) ([]byte, *no) {
	switch {
	case verb == "setCredential":
		row["credentialSet"] = true
		return []byte("{}"), strict(body, new(gatev1.SetCredentialRequest))
	case verb == "trust":
		asked := new(gatev1.TrustDeviceRequest)
		if n := strict(body, asked); n != nil {
			return nil, n
		}
		if shown := "SHA256:shown"; asked.GetFingerprint() != "" && asked.GetFingerprint() != shown {
			return nil, refuse(409, "ABORTED", "It shows another key", "field", "fingerprint")
		}
		answer := maps.Clone(row)
		answer["hostKey"], answer["hostKeyFingerprint"] = "ssh-ed25519 AAAAC3Nza", "SHA256:shown"
		if asked.GetValidateOnly() {
			return mustJSON(answer), nil
		}
		maps.Copy(row, answer)
	case r.Method == http.MethodDelete:
		delete(f.rows[collection], name)
		return []byte("{}"), nil
	case r.Method == http.MethodPatch:
		if n := strict(body, rowOf(collection)); n != nil {
			return nil, n
		}
		change := map[string]any{}
		if err := json.Unmarshal(body, &change); err != nil {
			panic(err)
		}
		for field, value := range change {
			row[field] = value
		}
	}
	return mustJSON(row), nil
}

func (f *fake) factor(parts []string, body []byte) ([]byte, *no) {
	switch parts[2] {
	case "mfa:enroll":
		return encode(&identityv1.EnrollMfaResponse{Uri: "otpauth://totp/Portcullis:admin?secret=JBSWY3DPEHPK3PXP"}), strict(body, new(identityv1.EnrollMfaRequest))
	case "mfa:reset":
		q := new(identityv1.ResetMfaRequest)
		if n := strict(body, q); n != nil {
			return nil, n
		}
		return encode(&identityv1.User{Name: parts[1]}), f.spend(q.GetGrant(), "user")
	}
	return encode(&identityv1.ActivateMfaResponse{RecoveryCodes: []string{"AAAA-BBBB", "CCCC-DDDD"}, UsableTime: timestamppb.New(time.Now().Add(time.Hour))}),
		strict(body, new(identityv1.ActivateMfaRequest))
}

func (f *fake) report(id string) ([]byte, *no) {
	e := &emergencyv1.Emergency{Id: id, Kind: emergencyv1.Emergency_LOCKDOWN, Status: emergencyv1.Emergency_ENDED, CreatedBy: "admin", GovernanceCode: "INC-1"}
	return encode(&auditv1.Report{Emergency: e, Timeline: []*auditv1.AuditEntry{{Revision: "1-7", Change: emergencyv1.Entry_STARTED, Actor: "admin", Target: id, Hash: "0123456789abcdef"}}, TimelineTotal: 1,
		Receipts: &auditv1.ReportReceipts{Enforcers: 2, Confirmed: 1, Unreachable: 1, Receipts: []*emergencyv1.Receipt{{Enforcer: "bastion-9", Service: "connector", State: emergencyv1.Receipt_UNREACHABLE}}},
		Sessions: &auditv1.ReportSessions{Total: 3, Sessions: []*sessionv1.Session{{Id: "s-1", User: "bruno\x1b[2J", Device: "db-1", Protocol: "SSH"}}},
		Refusals: &auditv1.ReportRefusals{Total: 9, RowsTotal: 1, Rows: []*auditv1.ReportRefused{{Door: gatev1.AttemptRecord_CALL, Reason: "LOCKDOWN", Token: "t1", TokenName: "backup", Count: 9}}},
		Gaps:     []*auditv1.ReportGap{{Part: auditv1.ReportGap_MESSAGES, Why: auditv1.ReportGap_FORBIDDEN}},
	}), nil
}
