package cli_test

import (
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// asked is what waits for a second administrator, and what a ticket is called.
func (f *fake) asked(what string, body []byte) ([]byte, *no) {
	if what == "tickets:check" {
		request := new(emergencyv1.CheckTicketRequest)
		if n := strict(body, request); n != nil {
			return nil, n
		}
		return encode(&emergencyv1.TicketCheck{State: emergencyv1.TicketCheck_FOUND, Code: request.GetCode(), Title: "Stolen\x1b[31m laptop"}), nil
	}
	answer := &emergencyv1.ListApprovalsResponse{}
	if f.approval != nil {
		answer.Approvals = append(answer.Approvals, f.approval)
	}
	return encode(answer), nil
}

// second asks for an approval of a cancel, as a server does whose policy wants two people.
func (f *fake) second(id string) *no {
	f.approval = &emergencyv1.Approval{Id: "P-0009", State: emergencyv1.Approval_PENDING, Act: "cancel", Target: id, RequestedBy: "admin", Justification: "All clear",
		CreateTime: timestamppb.Now(), ExpireTime: timestamppb.New(time.Now().Add(30 * time.Minute))}
	return refuse(400, "APPROVAL_REQUIRED", "This takes a second administrator", "approval", "P-0009")
}

// forced asks for an approval of a lockdown, as a server does where nobody would be left.
func (f *fake) forced(r *emergencyv1.ApplyLockdownRequest) *no {
	f.approval = &emergencyv1.Approval{Id: "P-0010", State: emergencyv1.Approval_PENDING, Act: "apply", Target: "lockdown", RequestedBy: "admin", Justification: r.GetJustification(),
		CreateTime: timestamppb.Now(), ExpireTime: timestamppb.New(time.Now().Add(30 * time.Minute)),
		Applies: &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lockdown{Lockdown: r}}}
	return refuse(400, "APPROVAL_REQUIRED", "This takes a second administrator", "approval", "P-0010")
}

// decide answers what a second administrator says.
func (f *fake) decide(id string, body []byte) ([]byte, *no) {
	request := new(emergencyv1.DecideApprovalRequest)
	if n := strict(body, request); n != nil {
		return nil, n
	}
	if n := f.spend(request.GetGrant(), "approve"); n != nil {
		return nil, n
	}
	if f.approval == nil || f.approval.GetState() != emergencyv1.Approval_PENDING || id != f.approval.GetId() {
		return nil, refuse(404, "NOT_FOUND", "Nothing waits for an approval at "+id)
	}
	f.approval.State, f.approval.DecidedBy, f.approval.Done = emergencyv1.Approval_APPROVED, "second", true
	if request.GetDeny() {
		f.approval.State, f.approval.Done = emergencyv1.Approval_DENIED, false
	}
	return encode(&emergencyv1.DecideApprovalResponse{Approval: f.approval}), nil
}

func (f *fake) patchPolicy(r *http.Request, body []byte) ([]byte, *no) {
	if r.Method == http.MethodGet {
		return encode(f.policy), nil
	}
	change := new(emergencyv1.Policy)
	if n := strict(body, change); n != nil {
		return nil, n
	}
	if n := f.spend(change.GetGrant(), "policy"); n != nil {
		return nil, n
	}
	proto.Merge(f.policy, change)
	f.policy.Grant = nil
	return encode(f.policy), nil
}
