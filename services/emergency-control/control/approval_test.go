package control

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/emergency-control/approval"
	"portcullis.dev/services/internal/who"
)

// two switches the second administrator on.
func (p *platform) two(s *Service) {
	p.t.Helper()
	must(s.UpdatePolicy(p.as("admin"), p.secondly(true)))
}

func (p *platform) secondly(on bool) *emergencyv1.UpdatePolicyRequest {
	return &emergencyv1.UpdatePolicyRequest{
		Policy:     &emergencyv1.Policy{SecondAdministrator: on, Grant: new(p.grant("admin")), Justification: new("two are better")},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"second_administrator"}},
	}
}

func (p *platform) approve(user, id string) *emergencyv1.DecideApprovalRequest {
	return &emergencyv1.DecideApprovalRequest{Id: id, Grant: p.grantFor(user, "approve", 5*time.Minute)}
}

// waiting is the approval that a refusal says is needed.
func waiting(t *testing.T, err error) string {
	t.Helper()
	refused(t, err, fault.ApprovalRequired)
	if id := fault.From(err).Details["approval"]; strings.HasPrefix(id, "P-") {
		return id
	}
	t.Fatalf("the refusal names no approval: %v", err)
	return ""
}

func TestACancelTakesTwoPeopleWhereThePolicySaysSo(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	asked := p.cancel(l.GetId())
	asked.RequestId = uuid.NewString()
	_, err := s.CancelLockdown(p.as("admin"), asked)
	id := waiting(t, err)
	if d := fault.From(err).Details; d["approvers"] != "second" || d["expireTime"] == "" || !strings.Contains(err.Error(), "second can approve it until") || !strings.Contains(err.Error(), "ends by itself") {
		t.Fatalf("the refusal says %v with %v", err, d)
	}
	if got := must(s.GetLockdown(p.as("admin"), &emergencyv1.GetEmergencyRequest{Id: l.GetId()})); got.GetStatus() != emergencyv1.Emergency_ONGOING || got.GetRevision() != l.GetRevision() {
		t.Fatalf("it is %v while nobody has approved", got)
	}
	// Again, with another grant or none, is the same approval.
	asked.Grant = ""
	if _, err = s.CancelLockdown(p.as("admin"), asked); waiting(t, err) != id {
		t.Fatal("the same request asks for another approval")
	}
	if _, err = s.CancelLockdown(p.as("second"), &emergencyv1.CancelRequest{Id: l.GetId(), Justification: "x"}); waiting(t, err) != id || !strings.Contains(err.Error(), "admin has asked for the same already") {
		t.Fatalf("somebody else who asks is told %v", err)
	}
	got := must(s.DecideApproval(p.as("second"), p.approve("second", l.GetId()))) // the one thing that waits there
	e := got.GetEmergency()
	if got.GetApproval().GetState() != emergencyv1.Approval_APPROVED || !got.GetApproval().GetDone() || got.GetApproval().GetDecidedBy() != "second" {
		t.Fatalf("approved %v", got.GetApproval())
	}
	if e.GetStatus() != emergencyv1.Emergency_CANCELLED || e.GetCancelledBy() != "admin" || e.GetApprovedBy() != "second" || e.GetCancelGovernanceCode() != "INC1" {
		t.Fatalf("cancelled %v", e)
	}
	if again := must(s.CancelLockdown(p.as("admin"), asked)); again.GetRevision() != e.GetRevision() {
		t.Fatalf("the request that asked is answered %v", again)
	}
	entries := p.entries()
	granted, cancelled := entries[len(entries)-2], entries[len(entries)-1]
	if granted.GetChange() != emergencyv1.Entry_APPROVAL_GRANTED || granted.GetActor() != "second" || granted.GetGrantId() == "" {
		t.Fatalf("on record %v", granted)
	}
	if cancelled.GetActor() != "admin" || cancelled.GetApproval() != id || cancelled.GetSignIn() != "signin-admin" || cancelled.GetRequestId() != asked.GetRequestId() {
		t.Fatalf("on record %v", cancelled)
	}
}

func TestClosingNeverTakesASecondAdministrator(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	must(s.ApplyTermination(p.as("admin"), &emergencyv1.ApplyTerminationRequest{Selector: &emergencyv1.Selector{All: true}, Justification: "x", Grant: p.grant("admin")}))
	must(s.RecordAct(p.as("admin"), &emergencyv1.RecordActRequest{Kind: "user.reset-mfa", Target: "bruno", Grant: p.grant("admin")}))
}

func TestNobodyApprovesTheirOwnRequestByWhicheverSignIn(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	entry := who.Entry{By: who.ByProvider, Subject: who.ProviderSubject("https://idp", "77")}
	caller := func(user, signIn string, by who.Entry) context.Context {
		return who.NewContext(p.t.Context(), who.Caller{User: user, SignIn: signIn, Channel: emergency.Interactive, Entry: by})
	}
	_, err := s.CancelFreeze(caller("admin", "signin-admin", entry), p.cancel(f.GetId()))
	id := waiting(t, err)
	_, err = s.DecideApproval(p.as("admin"), p.approve("admin", id))
	refused(t, err, fault.PermissionDenied)
	other := must(p.signer.Grant(who.Grant{ID: "g-other", User: "admin", SignIn: "elsewhere", Purpose: "approve", Issued: p.clock.now(), Expires: p.clock.now().Add(time.Minute)}))
	_, err = s.DecideApproval(caller("admin", "elsewhere", who.Entry{}), &emergencyv1.DecideApprovalRequest{Id: id, Grant: other})
	refused(t, err, fault.PermissionDenied)
	_, err = s.DecideApproval(caller("second", "signin-second", entry), p.approve("second", id))
	if refused(t, err, fault.PermissionDenied); !strings.Contains(err.Error(), "same person") {
		t.Fatal(err)
	}
	// Whom the requester has given the means to act is no second person either, for a day.
	must(s.RecordAct(p.as("admin"), &emergencyv1.RecordActRequest{Kind: "user.reset-mfa", Target: "second", Grant: p.grant("admin")}))
	_, err = s.DecideApproval(p.as("second"), p.approve("second", id))
	if refused(t, err, fault.PermissionDenied); !strings.Contains(err.Error(), "the means to act") {
		t.Fatal(err)
	}
	// Nor is whom they had given it before somebody else made them an administrator.
	p.put("IDENTITY", "identity.user.third", &identityv1.UserRecord{User: &identityv1.User{Name: "third", Roles: []string{emergency.Administrator}}})
	p.await(s, func() bool { return s.watch.State().Emergency.Administrator("third") }, "a third administrator")
	must(s.RecordAct(p.as("elsewhere"), &emergencyv1.RecordActRequest{Kind: "user.grant-administrator", Target: "third", Hands: []string{"admin"}, Grant: p.grant("elsewhere")}))
	_, err = s.DecideApproval(p.as("third"), p.approve("third", id))
	refused(t, err, fault.PermissionDenied)
	// To take it back is open to whoever asked.
	r := p.approve("admin", id)
	r.Deny, r.Justification = true, "not now"
	if got := must(s.DecideApproval(p.as("admin"), r)); got.GetApproval().GetState() != emergencyv1.Approval_DENIED {
		t.Fatal(got)
	}
}

func TestAnApprovalTakesAFreshGrantForThatPurpose(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	_, err := s.CancelFreeze(p.as("admin"), p.cancel(f.GetId()))
	id := waiting(t, err)
	for grant, reason := range map[string]string{
		"": fault.GrantRequired, "no grant": fault.GrantInvalid, p.grantFor("second", "cancel", time.Minute): fault.GrantInvalid,
		p.grantFor("admin", "approve", time.Minute): fault.GrantInvalid, p.grantFor("second", "approve", -time.Minute): fault.GrantExpired,
	} {
		_, err := s.DecideApproval(p.as("second"), &emergencyv1.DecideApprovalRequest{Id: id, Grant: grant})
		refused(t, err, reason)
	}
	r := p.approve("second", id)
	r.RequestId = uuid.NewString()
	first := must(s.DecideApproval(p.as("second"), r))
	if again := must(s.DecideApproval(p.as("second"), r)); again.GetEmergency().GetRevision() != first.GetEmergency().GetRevision() {
		t.Fatal("the same request again is another effect")
	}
	r.RequestId = ""
	_, err = s.DecideApproval(p.as("second"), r)
	if refused(t, err, fault.ApprovalClosed); !strings.Contains(err.Error(), "good once") {
		t.Fatal(err)
	}
}

func TestAnApprovalExpiresAndIsVoidOnceAnythingHasChanged(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	closed := func(id, why string) {
		t.Helper()
		_, err := s.DecideApproval(p.as("second"), p.approve("second", id))
		if refused(t, err, fault.ApprovalClosed); !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, want it to say %q", err, why)
		}
	}
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	ask := func() string {
		t.Helper()
		_, err := s.CancelFreeze(p.as("admin"), p.cancel(f.GetId()))
		return waiting(t, err)
	}
	old := ask()
	p.clock.advance(approval.Life)
	closed(old, "its time was over")
	next := ask()
	if next == old {
		t.Fatal("what has expired is asked for again under the same name")
	}
	// What a second approval does to the window makes the first void.
	_, err := s.ShortenFreeze(p.as("admin"), &emergencyv1.ShortenRequest{Id: f.GetId(), EndTime: timestamppb.New(p.clock.now().Add(10 * time.Minute)), Justification: "x", Grant: p.grant("admin")})
	shorter := waiting(t, err)
	_, err = s.DecideApproval(p.as("second"), p.approve("second", f.GetId()))
	if refused(t, err, fault.InvalidArgument); !strings.Contains(err.Error(), shorter+" (shorten, asked for by admin), "+next) {
		t.Fatal(err)
	}
	if got := must(s.DecideApproval(p.as("second"), p.approve("second", shorter))); got.GetEmergency().GetApprovedBy() != "second" || got.GetEmergency().GetDuration().AsDuration() > 41*time.Minute {
		t.Fatal(got)
	}
	closed(next, "has changed since")
	// So does a requester who is no administrator any more.
	last := ask()
	p.put("IDENTITY", "identity.user.admin", &identityv1.UserRecord{User: &identityv1.User{Name: "admin"}})
	p.await(s, func() bool { return !s.watch.State().Emergency.Administrator("admin") }, "the demotion")
	closed(last, "may not do it any more")
	states := map[emergencyv1.Approval_State]int{}
	for _, a := range must(s.ListApprovals(p.as("second"), &emergencyv1.ListApprovalsRequest{})).GetApprovals() {
		states[a.GetState()]++
		if a.GetRequesterSubject() != "" || a.GetAt() != 0 || len(a.GetOpens()) != 0 {
			t.Errorf("shown %v", a)
		}
	}
	if states[emergencyv1.Approval_EXPIRED] != 1 || states[emergencyv1.Approval_VOID] != 2 || states[emergencyv1.Approval_APPROVED] != 1 {
		t.Errorf("listed %v", states)
	}
}

func TestACancelThatWasAskedForBeforeTheStartIsVoidAfterIt(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(10*time.Minute, time.Hour)))
	_, err := s.CancelLockdown(p.as("admin"), p.cancel(l.GetId()))
	id := waiting(t, err)
	p.clock.advance(11 * time.Minute) // the timer does not see it: no edge is on record
	_, err = s.DecideApproval(p.as("second"), p.approve("second", id))
	if refused(t, err, fault.ApprovalClosed); !strings.Contains(err.Error(), "void") {
		t.Fatal(err)
	}
	// Asked for again it writes the start that is missing, and can be approved.
	_, err = s.CancelLockdown(p.as("admin"), p.cancel(l.GetId()))
	got := must(s.DecideApproval(p.as("second"), p.approve("second", waiting(t, err))))
	if _, cuts := emergency.CutOf(got.GetEmergency()); !cuts || p.edges(l.GetId())[emergencyv1.Entry_STARTED] != 1 {
		t.Fatalf("cancelled %v", got)
	}
}

func TestTwoWhoApproveAtOnceAreOneEffect(t *testing.T) {
	p := newPlatform(t)
	p.put("IDENTITY", "identity.user.third", &identityv1.UserRecord{User: &identityv1.User{Name: "third", Roles: []string{emergency.Administrator}}})
	replicas := []*Service{p.replica(), p.replica()}
	p.two(replicas[0])
	f := must(replicas[0].ApplyFreeze(p.as("admin"), p.freeze()))
	_, err := replicas[0].CancelFreeze(p.as("admin"), p.cancel(f.GetId()))
	id := waiting(t, err)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			user := []string{"second", "third"}[i%2]
			r := p.approve(user, id)
			r.Deny, r.Justification = i >= 4, "x"
			_, errs[i] = replicas[i%2].DecideApproval(p.as(user), r)
		})
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !fault.Is(err, fault.ApprovalClosed):
			t.Errorf("lost with %v", err)
		}
	}
	edges, decided := p.edges(f.GetId()), 0
	for _, e := range p.entries() {
		if e.GetApprovalRecord().GetDecidedBy() != "" {
			decided++
		}
	}
	if won != 1 || decided != 1 || edges[emergencyv1.Entry_CANCELLED] > 1 {
		t.Fatalf("%d won, %d on record, edges %v", won, decided, edges)
	}
}

func TestADeniedRequestStaysDenied(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	asked := p.cancel(f.GetId())
	asked.RequestId = uuid.NewString()
	_, err := s.CancelFreeze(p.as("admin"), asked)
	id := waiting(t, err)
	r := p.approve("second", id)
	r.Deny = true
	_, err = s.DecideApproval(p.as("second"), r)
	refused(t, err, fault.JustificationRequired)
	r.Justification = "we are not sure yet"
	must(s.DecideApproval(p.as("second"), r))
	asked.Grant = p.grant("admin")
	_, err = s.CancelFreeze(p.as("admin"), asked)
	if refused(t, err, fault.PermissionDenied); !strings.Contains(err.Error(), "we are not sure yet") {
		t.Fatal(err)
	}
	if _, err = s.CancelFreeze(p.as("admin"), p.cancel(f.GetId())); waiting(t, err) == id {
		t.Fatal("what was denied waits again")
	}
}

func TestAnotherServicesActIsDoneOnceAfterItsApproval(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	act := func(opens string) *emergencyv1.RecordActRequest {
		return &emergencyv1.RecordActRequest{Kind: "access-group.unblock", Target: "payments", Detail: "payments disabled", At: 7, Operation: []byte(uuid.NewString()),
			Opens: []byte(opens), RequestId: uuid.NewString(), Grant: p.grant("admin"), Justification: "x"}
	}
	first := act("all of it")
	_, err := s.RecordAct(p.as("admin"), first)
	id := waiting(t, err)
	if got := must(s.DecideApproval(p.as("second"), p.approve("second", id))); got.GetApproval().GetDone() {
		t.Fatal("it is not done yet")
	}
	without := act("all of it")
	without.Grant = ""
	other := act("more than that")
	other.Grant = ""
	_, err = s.RecordAct(p.as("admin"), other)
	refused(t, err, fault.GrantRequired)
	_, err = s.RecordAct(p.as("second"), without)
	refused(t, err, fault.GrantRequired)
	revision := must(s.RecordAct(p.as("admin"), without)).GetRevision()
	if again := must(s.RecordAct(p.as("admin"), without)).GetRevision(); again != revision {
		t.Fatal("the same request again is another act")
	}
	replay := act("all of it")
	replay.Grant = ""
	_, err = s.RecordAct(p.as("admin"), replay)
	refused(t, err, fault.GrantRequired)
	// The request that asked does too, by its own id.
	second := act("all of it")
	_, err = s.RecordAct(p.as("admin"), second)
	must(s.DecideApproval(p.as("second"), p.approve("second", waiting(t, err))))
	second.Grant = ""
	if must(s.RecordAct(p.as("admin"), second)).GetRevision() == revision {
		t.Fatal("it was not done")
	}
	// And it has its time.
	late := act("all of it")
	_, err = s.RecordAct(p.as("admin"), late)
	must(s.DecideApproval(p.as("second"), p.approve("second", waiting(t, err))))
	p.clock.advance(approval.Life)
	late.Grant = ""
	_, err = s.RecordAct(p.as("admin"), late)
	refused(t, err, fault.GrantRequired)
}

func TestSwitchingTheSecondAdministratorOffTakesOne(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.people.are("admin")
	_, err := s.UpdatePolicy(p.as("admin"), p.secondly(true))
	refused(t, err, fault.LastAdministrator)
	p.people.are("admin", "second")
	p.two(s)
	_, err = s.UpdatePolicy(p.as("admin"), p.secondly(false))
	id := waiting(t, err)
	if !must(s.GetPolicy(p.as("admin"), nil)).GetSecondAdministrator() {
		t.Fatal("it is off already")
	}
	// A list that only tightens does not; one that lets more through a lockdown does.
	wider := &emergencyv1.UpdatePolicyRequest{Policy: &emergencyv1.Policy{BreakGlassUsers: []string{"admin"}, Grant: new(p.grant("admin")), Justification: new("x")},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"break_glass_users"}}}
	_, err = s.UpdatePolicy(p.as("admin"), wider)
	waiting(t, err)
	got := must(s.DecideApproval(p.as("second"), p.approve("second", id)))
	if policy := must(s.GetPolicy(p.as("admin"), nil)); policy.GetSecondAdministrator() || policy.GetUpdatedBy() != "admin" || len(policy.GetBreakGlassUsers()) > 0 || !got.GetApproval().GetDone() {
		t.Fatalf("the policy is %v", policy)
	}
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	must(s.CancelFreeze(p.as("admin"), p.cancel(f.GetId())))
}

func TestAnAdministratorWhoIsAloneIsToldThatTheWindowEndsByItself(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	p.people.are("admin")
	l := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	_, err := s.CancelLockdown(p.as("admin"), p.cancel(l.GetId()))
	waiting(t, err)
	if !strings.Contains(err.Error(), "ends by itself at "+l.GetEndTime().AsTime().Format(time.RFC3339)) || !strings.Contains(err.Error(), "there is nobody") {
		t.Fatal(err)
	}
}

func TestAnApprovalOutlivesTheProcessThatWasAsked(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	asked := p.cancel(f.GetId())
	asked.RequestId = uuid.NewString()
	_, err := s.CancelFreeze(p.as("admin"), asked)
	id := waiting(t, err)
	// Who approves gives up before the answer comes: all of it is on record, or nothing.
	ctx, cancel := context.WithCancel(p.as("second"))
	cancel()
	r := p.approve("second", id)
	r.RequestId = uuid.NewString()
	if _, err := s.DecideApproval(ctx, r); err != nil && !errors.Is(err, context.Canceled) && !fault.Is(err, fault.JournalUnavailable) {
		t.Log(err)
	}
	later := p.replica()
	r.Grant = p.grantFor("second", "approve", time.Minute)
	if got := must(later.DecideApproval(p.as("second"), r)); got.GetEmergency().GetStatus() != emergencyv1.Emergency_CANCELLED {
		t.Fatal(got)
	}
	if edges := p.edges(f.GetId()); edges[emergencyv1.Entry_CANCELLED] != 1 {
		t.Fatalf("edges %v", edges)
	}
	if got := must(later.CancelFreeze(p.as("admin"), asked)); got.GetStatus() != emergencyv1.Emergency_CANCELLED {
		t.Fatal(got)
	}
}

func TestAnApprovalChecksTheGovernanceCodeAgainstThePolicyThatIsInForceByThen(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	p.two(s)
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	ask := func(code string) string {
		t.Helper()
		r := p.cancel(f.GetId())
		r.GovernanceCode = code
		_, err := s.CancelFreeze(p.as("admin"), r)
		return waiting(t, err)
	}
	deny := func(id string) {
		t.Helper()
		r := p.approve("second", id)
		r.Deny, r.Justification = true, "asked for anew"
		must(s.DecideApproval(p.as("second"), r))
	}
	requires := func(code emergencyv1.Policy_Governance, pattern string) {
		t.Helper()
		must(s.UpdatePolicy(p.as("admin"), &emergencyv1.UpdatePolicyRequest{
			Policy:     &emergencyv1.Policy{GovernanceCode: code, GovernancePattern: pattern, Grant: new(p.grant("admin")), Justification: new("x")},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"governance_code", "governance_pattern"}}}))
	}
	without := ask("")
	act := &emergencyv1.RecordActRequest{Kind: "access-group.unblock", Target: "payments", Opens: []byte("x"), Grant: p.grant("admin")}
	_, err := s.RecordAct(p.as("admin"), act)
	opens := waiting(t, err)
	requires(emergencyv1.Policy_REQUIRED, "")
	for _, id := range []string{without, opens} {
		_, err = s.DecideApproval(p.as("second"), p.approve("second", id))
		if refused(t, err, fault.GovernanceCodeRequired); !strings.Contains(err.Error(), "admin gave no governance code") || !strings.Contains(err.Error(), "Deny "+id) {
			t.Errorf("the approver is told %v", err)
		}
	}
	deny(without)
	other := ask("INC1")
	requires(emergencyv1.Policy_PATTERN, "CHG[0-9]+")
	before := len(p.entries())
	_, err = s.DecideApproval(p.as("second"), p.approve("second", other))
	if refused(t, err, fault.GovernanceCodeRefused); !strings.Contains(err.Error(), `"INC1"`) || fault.From(err).Details["pattern"] != "CHG[0-9]+" || len(p.entries()) != before {
		t.Errorf("the approver is told %v", err)
	}
	deny(other) // which takes no code of anybody
	if got := must(s.DecideApproval(p.as("second"), p.approve("second", ask("CHG7")))); got.GetEmergency().GetCancelGovernanceCode() != "CHG7" {
		t.Errorf("approved %v", got)
	}
}
