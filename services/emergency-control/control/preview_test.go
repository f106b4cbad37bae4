package control

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// openSessions is a broker that has so many open; below zero it does not answer.
type openSessions struct {
	sessionv1.SessionsClient
	open atomic.Int32
}

func (o *openSessions) CountSelected(context.Context, *sessionv1.CountSelectedRequest, ...grpc.CallOption) (*sessionv1.CountSelectedResponse, error) {
	if n := o.open.Load(); n >= 0 {
		return &sessionv1.CountSelectedResponse{Sessions: uint32(n)}, nil
	}
	return nil, errors.New("nobody answers")
}

// onlyAdmin is an identity where one administrator has a working MFA; silentIdentity does not answer.
type (
	onlyAdmin      struct{ identityv1.DoorsClient }
	silentIdentity struct{ identityv1.DoorsClient }
)

func (onlyAdmin) ListAdministrators(context.Context, *identityv1.ListAdministratorsRequest, ...grpc.CallOption) (*identityv1.ListAdministratorsResponse, error) {
	return &identityv1.ListAdministratorsResponse{Names: []string{"admin"}}, nil
}

func (silentIdentity) ListAdministrators(context.Context, *identityv1.ListAdministratorsRequest, ...grpc.CallOption) (*identityv1.ListAdministratorsResponse, error) {
	return nil, errors.New("nobody answers")
}

func (p *platform) previewed(s *Service, r *emergencyv1.ApplyLockdownRequest) string {
	p.t.Helper()
	answer := must(s.Preview(p.as("admin"), &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lockdown{Lockdown: r}}))
	want := &emergencyv1.DriftBound{Percent: 10, Least: 5, ValidFor: durationpb.New(15 * time.Minute)}
	if answer.GetDigest() == "" || !proto.Equal(answer.GetDriftBound(), want) {
		p.t.Fatalf("a preview answers %v", answer)
	}
	return answer.GetDigest()
}

func TestALockdownIsRefusedOnceWhatItHitsHasMovedPastTheBoundSinceItsPreview(t *testing.T) {
	p := newPlatform(t)
	s, other := p.replica(), p.replica()
	broker := new(openSessions)
	s.sessions, other.sessions = broker, broker
	broker.open.Store(40)
	asks := &emergencyv1.ApplyLockdownRequest{Duration: durationpb.New(time.Hour)}
	digest := p.previewed(s, asks)

	broker.open.Store(46)
	r := p.lockdown(0, time.Hour)
	r.Digest = digest
	_, err := other.ApplyLockdown(p.as("admin"), r)
	refused(t, err, fault.PreviewDrifted)
	want := map[string]string{"cause": "DRIFTED", "sessionsWas": "40", "sessionsIs": "46"}
	if diff := cmp.Diff(want, fault.From(err).Details); diff != "" {
		t.Error(diff)
	}
	broker.open.Store(45) // the refusal has not spent the grant, and another replica made the digest
	e := must(other.ApplyLockdown(p.as("admin"), r))
	if e.GetDigest() != digest || e.GetNotCompared() != nil {
		t.Errorf("applied as %v", e)
	}
}

func TestADigestIsForItsOwnRequestAndForAQuarterOfAnHour(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	digest := p.previewed(s, &emergencyv1.ApplyLockdownRequest{Duration: durationpb.New(time.Hour), Justification: "not yet"})
	for name, change := range map[string]func(*emergencyv1.ApplyLockdownRequest){
		"another length":           func(r *emergencyv1.ApplyLockdownRequest) { r.Duration = durationpb.New(2 * time.Hour) },
		"another whom it lets in":  func(r *emergencyv1.ApplyLockdownRequest) { r.BreakGlassUsers = []string{"second"} },
		"tokens that stay shut":    func(r *emergencyv1.ApplyLockdownRequest) { r.RevokeTokens = true },
		"a digest that is made up": func(r *emergencyv1.ApplyLockdownRequest) { r.Digest = "AQAA" },
	} {
		r := p.lockdown(0, time.Hour)
		r.Digest = digest
		change(r)
		_, err := s.ApplyLockdown(p.as("admin"), r)
		if !fault.Is(err, fault.PreviewDrifted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	freeze := p.freeze()
	freeze.Digest = digest
	_, err := s.ApplyFreeze(p.as("admin"), freeze)
	refused(t, err, fault.PreviewDrifted)

	p.clock.advance(15*time.Minute + time.Second)
	late := p.lockdown(0, time.Hour)
	late.Digest = digest
	_, err = s.ApplyLockdown(p.as("admin"), late)
	refused(t, err, fault.PreviewDrifted)
}

func TestARetryGetsItsFirstAnswerThoughTheLockdownHasEndedWhatItsPreviewCounted(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	broker := new(openSessions)
	s.sessions = broker
	broker.open.Store(40)
	r := p.lockdown(0, time.Hour)
	r.RequestId, r.Digest = "6ba7b810-9dad-11d1-80b4-00c04fd430c8", p.previewed(s, p.lockdown(0, time.Hour))
	first := must(s.ApplyLockdown(p.as("admin"), r))
	broker.open.Store(0)
	if again := must(s.ApplyLockdown(p.as("admin"), r)); again.GetId() != first.GetId() {
		t.Errorf("the retry was answered with %s, want %s", again.GetId(), first.GetId())
	}
}

func TestAPartThatCantBeAskedStandsInTheWayOfNoClosingAndIsMarked(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	broker := new(openSessions)
	s.sessions = broker
	broker.open.Store(40)
	r := p.lockdown(0, time.Hour)
	r.Digest = p.previewed(s, r)
	broker.open.Store(-1)
	e := must(s.ApplyLockdown(p.as("admin"), r))
	if diff := cmp.Diff([]string{"sessions"}, e.GetNotCompared()); diff != "" {
		t.Error(diff)
	}
}

func TestALockdownThatNoAdministratorCouldLiftIsRefused(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	must(s.ApplyLock(p.as("second"), &emergencyv1.ApplyLockRequest{
		User: "admin", StartTime: p.lockdown(30*time.Minute, 0).GetStartTime(), Justification: "leaves today", Grant: p.grant("second"),
	}))
	must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour))) // the second one could lift it

	s.identity = onlyAdmin{}
	must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, 20*time.Minute))) // it is over before the lock begins
	_, err := s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour))
	refused(t, err, fault.LastAdministrator)

	s.identity = silentIdentity{}
	must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour))) // who can't be asked stands in the way of no closing
}
