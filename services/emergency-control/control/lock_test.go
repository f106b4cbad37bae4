package control

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
)

// lockable is a replica that knows the user bruno, the device db and the group pay.
func (p *platform) lockable() *Service {
	p.put("IDENTITY", "identity.user.bruno", &identityv1.UserRecord{User: &identityv1.User{Name: "bruno"}})
	p.put("IDENTITY", "identity.token.t1", &identityv1.TokenRecord{Token: &identityv1.Token{Id: "t1", Name: "backup", Channel: identityv1.Token_API, CreatedBy: "bruno"}})
	p.put("IDENTITY", "identity.token.t2", &identityv1.TokenRecord{Token: &identityv1.Token{Id: "t2", Name: "gate", Channel: identityv1.Token_ENFORCER, CreatedBy: "bruno"}})
	p.put("DIRECTORY", "directory.device.db", &gatev1.DeviceRecord{Device: &gatev1.Device{Name: "db"}})
	p.put("DIRECTORY", "directory.group.pay", &gatev1.AccessGroupRecord{AccessGroup: &gatev1.AccessGroup{Name: "pay", Devices: []string{"db"}}})
	s := p.replica()
	p.await(s, func() bool {
		return s.watch.State().Emergency.HasGroup("pay") && s.watch.State().Emergency.HasUser("bruno")
	}, "the directory")
	return s
}

func (p *platform) lock(user string) *emergencyv1.ApplyLockRequest {
	return &emergencyv1.ApplyLockRequest{User: user, Justification: "a stolen laptop", GovernanceCode: "INC7", Grant: p.grant("admin")}
}

func TestALockIsAppliedOnceAndGoesOnUntilItIsLifted(t *testing.T) {
	p := newPlatform(t)
	s := p.lockable()
	r := p.lock("bruno")
	r.RequestId = "7b8ef2d4-60f1-4b0c-8a57-0a1d8e0f7f10"
	l := must(s.ApplyLock(p.as("admin"), r))
	r.Grant = p.grant("admin")
	if again := must(s.ApplyLock(p.as("admin"), r)); again.GetId() != l.GetId() {
		t.Fatalf("the same request again is %s, not %s", again.GetId(), l.GetId())
	}
	if l.GetId()[:2] != "K-" || l.GetStatus() != emergencyv1.Emergency_ONGOING || l.GetEndTime() != nil || l.GetDuration() != nil ||
		l.GetSelector().GetUsers()[0] != "bruno" || l.GetGovernanceCode() != "INC7" || l.GetCutoffRevision() == "" {
		t.Fatalf("the lock is %v", l)
	}
	p.clock.advance(40 * 24 * time.Hour)
	if got := must(s.GetLock(p.as("admin"), &emergencyv1.GetEmergencyRequest{Id: l.GetId()})); got.GetStatus() != emergencyv1.Emergency_ONGOING {
		t.Fatalf("forty days on it is %s", got.GetStatus())
	}
	p.clock.advance(-40 * 24 * time.Hour)
	list := must(s.ListLocks(p.as("admin"), &emergencyv1.ListEmergenciesRequest{Filter: "status=ONGOING AND since=2099-01-01T00:00:00Z", Query: "bruno", OrderBy: "endTime"}))
	if len(list.GetLocks()) != 1 || list.GetStatusCounts()["ONGOING"] != 1 {
		t.Fatalf("listed %v", list)
	}
	_, err := s.CancelFreeze(p.as("admin"), p.cancel(l.GetId()))
	refused(t, err, fault.NotFound)
	c := must(s.CancelLock(p.as("admin"), p.cancel(l.GetId())))
	if c.GetStatus() != emergencyv1.Emergency_CANCELLED || !c.GetEndTime().AsTime().Equal(c.GetCancelTime().AsTime()) || c.GetCutoffRevision() != l.GetCutoffRevision() {
		t.Fatalf("cancelled %v", c)
	}
	_, err = s.CancelLock(p.as("admin"), p.cancel(l.GetId()))
	refused(t, err, fault.NotCancellable)
	if edges := p.edges(l.GetId()); edges[emergencyv1.Entry_STARTED] != 1 || edges[emergencyv1.Entry_CANCELLED] != 1 || len(edges) != 2 {
		t.Fatalf("edges %v", edges)
	}
}

func TestALockWithAnEndStartsAndEndsOnRecord(t *testing.T) {
	p := newPlatform(t)
	s := p.lockable()
	r := &emergencyv1.ApplyLockRequest{AccessGroup: "pay", StartTime: timestamppb.New(p.clock.now().Add(200 * time.Millisecond)),
		Duration: durationpb.New(time.Minute), Justification: "forensics", Grant: p.grant("admin")}
	l := must(s.ApplyLock(p.as("admin"), r))
	if l.GetStatus() != emergencyv1.Emergency_PENDING {
		t.Fatalf("it is %s", l.GetStatus())
	}
	p.await(s, func() bool { return s.ledger.record(l.GetId()).GetStarted() }, "the start")
	p.clock.advance(2 * time.Minute)
	must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	p.await(s, func() bool { return s.ledger.record(l.GetId()).GetEndedRecorded() }, "the end")
}

func TestALockShutsExactlyOneThingThatIsThere(t *testing.T) {
	p := newPlatform(t)
	s := p.lockable()
	for name, c := range map[string]struct {
		r      *emergencyv1.ApplyLockRequest
		reason string
	}{
		"nothing":           {&emergencyv1.ApplyLockRequest{}, fault.SelectorEmpty},
		"two things":        {&emergencyv1.ApplyLockRequest{User: "bruno", Device: "db"}, fault.InvalidArgument},
		"an unknown user":   {&emergencyv1.ApplyLockRequest{User: "nobody"}, fault.NotFound},
		"an unknown device": {&emergencyv1.ApplyLockRequest{Device: "none"}, fault.NotFound},
		"an unknown group":  {&emergencyv1.ApplyLockRequest{AccessGroup: "none"}, fault.NotFound},
		"oneself":           {&emergencyv1.ApplyLockRequest{User: "admin"}, fault.PermissionDenied},
		"for a second":      {&emergencyv1.ApplyLockRequest{User: "bruno", Duration: durationpb.New(time.Second)}, fault.DurationOutOfRange},
	} {
		c.r.Justification = "a stolen laptop"
		_, err := s.ApplyLock(p.as("admin"), c.r)
		if !fault.Is(err, c.reason) { // for its arguments, before any grant is asked for
			t.Errorf("%s: %v, want %s", name, err, c.reason)
		}
	}
	_, err := s.ApplyLock(p.as("admin"), &emergencyv1.ApplyLockRequest{User: "bruno", Justification: "a stolen laptop"})
	refused(t, err, fault.GrantRequired)
	_, err = s.GetLock(p.as("admin"), &emergencyv1.GetEmergencyRequest{Id: "lock"})
	refused(t, err, fault.InvalidArgument)
}

func TestTheLastAdministratorWhoIsNotLockedCanNotBeLocked(t *testing.T) {
	p := newPlatform(t)
	s := p.lockable()
	later := p.lock("admin")
	later.Grant, later.StartTime = p.grant("second"), timestamppb.New(p.clock.now().Add(time.Hour))
	l := must(s.ApplyLock(p.as("second"), later))
	// The one who acts is the only one left, and only for an hour.
	_, err := s.ApplyLock(p.as("admin"), p.lock("second"))
	refused(t, err, fault.LastAdministrator)
	must(s.ApplyLock(p.as("admin"), p.lock("bruno")))
	must(s.CancelLock(p.as("admin"), p.cancel(l.GetId())))
	must(s.ApplyLock(p.as("admin"), p.lock("second")))
}

func TestAPreviewOfALockSaysWhatItHits(t *testing.T) {
	p := newPlatform(t)
	s := p.lockable()
	user := must(s.Preview(p.as("admin"), &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lock{Lock: &emergencyv1.ApplyLockRequest{User: "bruno"}}}))
	if user.GetSignIns() != 1 || user.GetTokens() != 1 || user.GetTokenNames()[0] != "backup" || len(user.GetAdministrators()) != 2 {
		t.Errorf("of a user: %v", user)
	}
	admin := must(s.Preview(p.as("admin"), &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lock{Lock: &emergencyv1.ApplyLockRequest{User: "second"}}}))
	if admin.GetSignIns() != 0 || len(admin.GetAdministrators()) != 1 {
		t.Errorf("of an administrator: %v", admin)
	}
	group := must(s.Preview(p.as("admin"), &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lock{Lock: &emergencyv1.ApplyLockRequest{AccessGroup: "pay"}}}))
	if group.GetDevices() != 1 || group.GetAccessGroups() != 1 || group.GetSignIns() != 0 {
		t.Errorf("of a group: %v", group)
	}
	if len(p.entries()) != 1 {
		t.Error("a preview was put on record")
	}
}
