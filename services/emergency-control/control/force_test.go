package control

import (
	"crypto/ed25519"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/emergency-control/approval"
	"portcullis.dev/services/emergency-control/drift"
)

// leaving is a platform where each administrator will be locked in half an hour, but for the second: whoever locks that one, too, leaves
// nobody.
func leaving(t *testing.T) (*platform, *Service) {
	t.Helper()
	p := newPlatform(t)
	p.put("IDENTITY", "identity.user.third", &identityv1.UserRecord{User: &identityv1.User{Name: "third", Roles: []string{emergency.Administrator}}})
	p.people.are("admin", "second", "third")
	s := p.replica()
	must(s.ApplyLock(p.as("second"), p.lockLater("second", "admin")))
	must(s.ApplyLock(p.as("second"), p.lockLater("second", "third")))
	return p, s
}

func (p *platform) lockLater(by, whom string) *emergencyv1.ApplyLockRequest {
	return &emergencyv1.ApplyLockRequest{User: whom, StartTime: p.lockdown(30*time.Minute, 0).GetStartTime(), Justification: "leaves today", Grant: p.grant(by)}
}

// alone is a platform where an hour's lockdown leaves nobody who could lift it.
func alone(t *testing.T) (*platform, *Service) {
	t.Helper()
	p, s := leaving(t)
	p.people.are("admin", "third")
	return p, s
}

func (p *platform) forcedLockdown() *emergencyv1.ApplyLockdownRequest {
	r := p.lockdown(0, time.Hour)
	r.Force, r.RequestId, r.GovernanceCode = true, uuid.NewString(), "INC1"
	return r
}

func TestALockdownThatLeavesNobodyIsForcedWithASecondAdministratorWhateverThePolicy(t *testing.T) {
	p, s := alone(t)
	asks := p.forcedLockdown()
	plain := p.lockdown(0, time.Hour)
	_, err := s.ApplyLockdown(p.as("admin"), plain)
	refused(t, err, fault.LastAdministrator)
	_, err = s.ApplyLockdown(p.as("admin"), asks)
	id := waiting(t, err)
	if d := fault.From(err).Details; d["approvers"] != "third" {
		t.Fatalf("who could approve: %v", d)
	}
	if all := must(s.ListLockdowns(p.as("admin"), &emergencyv1.ListEmergenciesRequest{})).GetLockdowns(); len(all) > 0 {
		t.Fatalf("before anybody has approved there is %v", all)
	}
	asks.Grant = "" // again is the same approval, with another grant or none
	if _, err = s.ApplyLockdown(p.as("admin"), asks); waiting(t, err) != id {
		t.Fatal("the same request asks for another approval")
	}
	waits := must(s.ListApprovals(p.as("third"), &emergencyv1.ListApprovalsRequest{})).GetApprovals()[0]
	if r := waits.GetApplies().GetLockdown(); waits.GetAct() != approval.Apply || waits.GetTarget() != "lockdown" || r.GetGrant() != "" || r.GetDuration().AsDuration() != time.Hour || !r.GetForce() {
		t.Fatalf("there waits %v", waits)
	}
	_, err = s.DecideApproval(p.as("admin"), p.approve("admin", id))
	refused(t, err, fault.PermissionDenied)

	p.clock.stop()
	p.clock.advance(20 * time.Minute)
	decision := p.approve("third", id)
	decision.RequestId = uuid.NewString()
	got := must(s.DecideApproval(p.as("third"), decision))
	e := got.GetEmergency()
	if e.GetStatus() != emergencyv1.Emergency_ONGOING || e.GetCreatedBy() != "admin" || e.GetForcedWith() != "third" || e.GetGovernanceCode() != "INC1" || got.GetApproval().GetTarget() != e.GetId() {
		t.Fatalf("approved %v", got)
	}
	if now := p.clock.now(); !e.GetStartTime().AsTime().Equal(now.UTC()) || !e.GetEndTime().AsTime().Equal(now.Add(time.Hour).UTC()) {
		t.Errorf("it lasts from %v to %v, counted from its approval at %v", e.GetStartTime().AsTime(), e.GetEndTime().AsTime(), now)
	}
	if e.GetSparedSignIn() != "signin-third" {
		t.Errorf("the sign-in that has just proven itself is not spared, but %q", e.GetSparedSignIn())
	}
	// Whoever asked, and whoever approved, is answered with the same one.
	if again := must(s.ApplyLockdown(p.as("admin"), asks)); again.GetId() != e.GetId() {
		t.Errorf("the request that asked is answered with %v", again)
	}
	if again := must(s.DecideApproval(p.as("third"), decision)); again.GetEmergency().GetId() != e.GetId() {
		t.Errorf("the decision again is answered with %v", again)
	}
	entries := p.entries()
	last := entries[len(entries)-1]
	if last.GetActor() != "admin" || last.GetApproval() != id || last.GetChange() != emergencyv1.Entry_STARTED || entries[len(entries)-2].GetChange() != emergencyv1.Entry_APPROVAL_GRANTED {
		t.Errorf("on record %v", last)
	}
}

func TestALockOfTheLastAdministratorIsForcedByTwoOthersAndNeitherApprovedNorDeniedByThatOne(t *testing.T) {
	p, s := leaving(t)
	asks := &emergencyv1.ApplyLockRequest{User: "second", Justification: "stolen laptop", Grant: p.grant("admin")}
	_, err := s.ApplyLock(p.as("admin"), asks)
	refused(t, err, fault.LastAdministrator)
	asks.Force = true
	_, err = s.ApplyLock(p.as("admin"), asks)
	id := waiting(t, err)
	if d := fault.From(err).Details; d["approvers"] != "third" || strings.Contains(err.Error(), "second can") {
		t.Errorf("whom it locks is named to approve it: %v with %v", err, d)
	}
	_, err = s.DecideApproval(p.as("second"), p.approve("second", id))
	if refused(t, err, fault.PermissionDenied); !strings.Contains(err.Error(), "their own user") {
		t.Fatal(err)
	}
	denies := p.approve("second", id)
	denies.Deny, denies.Justification = true, "I stay"
	_, err = s.DecideApproval(p.as("second"), denies)
	if refused(t, err, fault.PermissionDenied); !strings.Contains(err.Error(), "their own user") {
		t.Fatal(err)
	}
	e := must(s.DecideApproval(p.as("third"), p.approve("third", id))).GetEmergency()
	if e.GetKind() != emergencyv1.Emergency_LOCK || e.GetForcedWith() != "third" || e.GetEndTime() != nil || e.GetStatus() != emergencyv1.Emergency_ONGOING {
		t.Fatalf("approved %v", e)
	}
}

func TestForceChangesNothingWhereSomebodyRemains(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	r := p.forcedLockdown()
	if e := must(s.ApplyLockdown(p.as("admin"), r)); e.GetStatus() != emergencyv1.Emergency_ONGOING || e.GetForcedWith() != "" {
		t.Fatalf("applied %v", e)
	}
	r.Force = false
	_, err := s.ApplyLockdown(p.as("admin"), r)
	refused(t, err, fault.RequestIDReused)
}

func TestWhatIsForcedIsVoidOnceAnotherLockOrLockdownComesOrGoesOrWhoeverAskedIsShutOut(t *testing.T) {
	for name, change := range map[string]func(p *platform, s *Service){
		"a lockdown": func(p *platform, s *Service) {
			p.people.are("admin", "second", "third")
			must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
		},
		"a lock lifted": func(p *platform, s *Service) {
			locks := must(s.ListLocks(p.as("second"), &emergencyv1.ListEmergenciesRequest{})).GetLocks()
			c := p.cancel(locks[0].GetId())
			c.Grant = p.grant("second")
			must(s.CancelLock(p.as("second"), c))
		},
		"disabled": func(p *platform, s *Service) {
			p.put("IDENTITY", "identity.user.admin", &identityv1.UserRecord{User: &identityv1.User{Name: "admin", Roles: []string{emergency.Administrator}, Disabled: true}})
			p.await(s, func() bool { return !s.watch.State().Emergency.UserEnabled("admin") }, "that admin is disabled")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := alone(t)
			_, err := s.ApplyLockdown(p.as("admin"), p.forcedLockdown())
			id := waiting(t, err)
			change(p, s)
			before := len(p.entries())
			_, err = s.DecideApproval(p.as("third"), p.approve("third", id))
			refused(t, err, fault.ApprovalClosed)
			if after := len(p.entries()); after != before {
				t.Errorf("%d entries were written", after-before)
			}
		})
	}
}

func TestADeviceThatIsLockedMeanwhileStandsInTheWayOfNothingForced(t *testing.T) {
	p, s := alone(t)
	p.put("DIRECTORY", "directory.device.db", &gatev1.DeviceRecord{Device: &gatev1.Device{Name: "db"}})
	p.await(s, func() bool { return s.watch.State().Emergency.HasDevice("db") }, "the device")
	_, err := s.ApplyLockdown(p.as("admin"), p.forcedLockdown())
	id := waiting(t, err)
	must(s.ApplyLock(p.as("admin"), &emergencyv1.ApplyLockRequest{Device: "db", Justification: "leaks", Grant: p.grant("admin")}))
	if e := must(s.DecideApproval(p.as("third"), p.approve("third", id))).GetEmergency(); e.GetStatus() != emergencyv1.Emergency_ONGOING {
		t.Fatalf("approved %v", e)
	}
}

func TestWhatIsForcedIsComparedWithItsPreviewAgainWhenItIsApproved(t *testing.T) {
	p, s := alone(t)
	broker := new(openSessions)
	s.sessions = broker
	broker.open.Store(40)
	asks := p.forcedLockdown()
	asks.Digest = p.previewed(s, asks)
	broker.open.Store(46)
	_, err := s.ApplyLockdown(p.as("admin"), asks)
	refused(t, err, fault.PreviewDrifted)
	broker.open.Store(40)
	_, err = s.ApplyLockdown(p.as("admin"), asks)
	id := waiting(t, err)
	p.clock.advance(16 * time.Minute) // longer than a digest counts: who approves looks now
	broker.open.Store(46)
	_, err = s.DecideApproval(p.as("third"), p.approve("third", id))
	if refused(t, err, fault.PreviewDrifted); fault.From(err).Details["sessionsIs"] != "46" {
		t.Fatal(err)
	}
	if d := fault.From(err).Details; d["rule"] != "approver" || d["approval"] != id || !strings.Contains(err.Error(), "let admin preview again") {
		t.Errorf("who approves is told %v with %v", err, d)
	}
	ours := s.previews
	s.previews = drift.NewSealer(make(ed25519.PrivateKey, ed25519.PrivateKeySize)) // of another deployment
	_, err = s.DecideApproval(p.as("third"), p.approve("third", id))
	if refused(t, err, fault.PreviewDrifted); fault.From(err).Details["cause"] != "STRANGE" || !strings.Contains(err.Error(), "Deny "+id) || strings.Contains(err.Error(), "without one") {
		t.Errorf("who approves is told %v", err)
	}
	s.previews = ours
	broker.open.Store(41) // it still waits
	if e := must(s.DecideApproval(p.as("third"), p.approve("third", id))).GetEmergency(); e.GetDigest() != asks.GetDigest() {
		t.Fatalf("approved %v", e)
	}
}

func TestAScheduledLockdownThatIsApprovedAfterItsStartStartsThenAndLastsAsLong(t *testing.T) {
	for wait, want := range map[time.Duration]emergencyv1.Emergency_Status{2 * time.Minute: emergencyv1.Emergency_PENDING, 20 * time.Minute: emergencyv1.Emergency_ONGOING} {
		p, s := alone(t)
		asks := p.lockdown(10*time.Minute, time.Hour)
		asks.Force = true
		_, err := s.ApplyLockdown(p.as("admin"), asks)
		id := waiting(t, err)
		p.clock.advance(wait)
		e := must(s.DecideApproval(p.as("third"), p.approve("third", id))).GetEmergency()
		if lasts := e.GetEndTime().AsTime().Sub(e.GetStartTime().AsTime()); e.GetStatus() != want || lasts != time.Hour {
			t.Errorf("approved %v later it is %v, and lasts %v", wait, e.GetStatus(), lasts)
		}
	}
}

func TestTwoWhoApproveAForcedLockdownAtOnceApplyItOnce(t *testing.T) {
	p, s := alone(t)
	p.put("IDENTITY", "identity.user.fourth", &identityv1.UserRecord{User: &identityv1.User{Name: "fourth", Roles: []string{emergency.Administrator}}})
	replicas := []*Service{s, p.replica()}
	p.await(s, func() bool { return s.watch.State().Emergency.Administrator("fourth") }, "a fourth administrator")
	asks := p.forcedLockdown()
	_, err := s.ApplyLockdown(p.as("admin"), asks)
	id := waiting(t, err)
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		all.Go(func() {
			user := []string{"third", "fourth"}[i%2]
			_, errs[i] = replicas[i%2].DecideApproval(p.as(user), p.approve(user, id))
		})
	}
	all.Go(func() { _, _ = replicas[1].ApplyLockdown(p.as("admin"), asks) })
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !fault.Is(err, fault.ApprovalClosed) {
			t.Errorf("lost with %v", err)
		}
	}
	started := 0
	for _, e := range p.entries() {
		if e.GetEmergency().GetKind() == emergencyv1.Emergency_LOCKDOWN {
			started++
		}
	}
	if won != 1 || started != 1 {
		t.Fatalf("%d won, and %d lockdowns are on record", won, started)
	}
}

func TestLooseningTheGovernanceCodeOrTheTicketCheckTakesTwo(t *testing.T) {
	p := newPlatform(t)
	p.ticketSystem()
	s := p.replica()
	change := func(policy *emergencyv1.Policy, paths ...string) error {
		policy.Grant, policy.Justification = new(p.grant("admin")), new("x")
		_, err := s.UpdatePolicy(p.as("admin"), &emergencyv1.UpdatePolicyRequest{Policy: policy, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	}
	code := func(of emergencyv1.Policy_Governance, pattern string) error {
		return change(&emergencyv1.Policy{GovernanceCode: of, GovernancePattern: pattern}, "governance_code", "governance_pattern")
	}
	if err := code(emergencyv1.Policy_PATTERN, "INC.*"); err != nil {
		t.Fatal(err)
	}
	if err := code(emergencyv1.Policy_REQUIRED, ""); err != nil {
		t.Fatalf("one person may loosen it where the policy asks for one: %v", err)
	}
	p.two(s)
	must(s.UpdatePolicy(p.as("admin"), p.checking(emergencyv1.Policy_ON)))
	if err := code(emergencyv1.Policy_PATTERN, "INC.*"); err != nil {
		t.Fatalf("to tighten takes one: %v", err)
	}
	waiting(t, code(emergencyv1.Policy_PATTERN, ".*"))
	waiting(t, code(emergencyv1.Policy_REQUIRED, ""))
	waiting(t, change(&emergencyv1.Policy{TicketCheck: emergencyv1.Policy_TICKET_CHECKING_UNSPECIFIED}, "ticket_check"))
	id := waiting(t, change(&emergencyv1.Policy{TicketCheck: emergencyv1.Policy_OFF, GovernanceCode: emergencyv1.Policy_OPTIONAL}, "ticket_check", "governance_code"))
	got := must(s.DecideApproval(p.as("second"), p.approve("second", id)))
	if want := "tickets are not looked up, the governance code is optional"; got.GetApproval().GetDetail() != want {
		t.Errorf("approved %q, want %q", got.GetApproval().GetDetail(), want)
	}
	policy := must(s.GetPolicy(p.as("admin"), nil))
	if diff := cmp.Diff([]string{"ticketCheck", "governanceCode"}, policy.GetLoosened()); diff != "" {
		t.Errorf("it says of itself that it loosens %s", diff)
	}
	if policy.GetTicketCheck() != emergencyv1.Policy_OFF || policy.GetGovernanceCode() != emergencyv1.Policy_OPTIONAL {
		t.Errorf("the policy is %v", policy)
	}
	entries := p.entries()
	if last := entries[len(entries)-1]; last.GetApproval() != id || last.GetChange() != emergencyv1.Entry_POLICY_CHANGED {
		t.Errorf("on record %v", last)
	}
	if err := code(emergencyv1.Policy_REQUIRED, ""); err != nil {
		t.Fatal(err)
	}
	if policy = must(s.GetPolicy(p.as("admin"), nil)); len(policy.GetLoosened()) > 0 {
		t.Errorf("what tightens it says that it loosens %v", policy.GetLoosened())
	}
}

func TestWhatOpensThroughGroupsNamesATicketThatThereIs(t *testing.T) {
	p := newPlatform(t)
	p.ticketSystem()
	s := p.replica()
	must(s.UpdatePolicy(p.as("admin"), p.checking(emergencyv1.Policy_ON)))
	must(s.UpdatePolicy(p.as("admin"), &emergencyv1.UpdatePolicyRequest{
		Policy:     &emergencyv1.Policy{GovernanceCode: emergencyv1.Policy_REQUIRED, Grant: new(p.grant("admin"))},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"governance_code"}}}))
	r := &emergencyv1.RecordActRequest{Kind: "access-group.unblock", Target: "payments", Grant: p.grant("admin"), Opens: []byte("x")}
	_, err := s.RecordAct(p.as("admin"), r)
	refused(t, err, fault.GovernanceCodeRequired)
	r.GovernanceCode = "NONE"
	_, err = s.RecordAct(p.as("admin"), r)
	refused(t, err, fault.GovernanceCodeRefused)
	r.GovernanceCode = "INC1"
	must(s.RecordAct(p.as("admin"), r)) // none of the refusals has spent the grant
	entries := p.entries()
	if last := entries[len(entries)-1]; last.GetTicketCheck().GetTitle() != "Ransomware" || last.GetGovernanceCode() != "INC1" {
		t.Errorf("on record %v", last)
	}
	must(s.RecordAct(p.as("admin"), &emergencyv1.RecordActRequest{Kind: "user.reset-mfa", Target: "bruno", Grant: p.grant("admin")})) // which opens nothing
}
