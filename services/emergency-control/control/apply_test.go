package control

import (
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

func TestAnAnswerToApplyMeansThatItIsOnRecordAndVerifies(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	f := must(s.ApplyFreeze(p.as("admin"), p.freeze()))
	if f.GetId() != "F-0002" || f.GetStatus() != emergencyv1.Emergency_ONGOING || f.GetCreatedBy() != "admin" {
		t.Fatalf("applied %v", f)
	}
	if f.GetRevision() != f.GetCutoffRevision() || !strings.HasSuffix(f.GetRevision(), "-2") {
		t.Fatalf("revision %q, cutoff %q", f.GetRevision(), f.GetCutoffRevision())
	}
	last := p.entries()[1]
	if last.GetChange() != emergencyv1.Entry_STARTED || last.GetGrantId() == "" || last.GetAddress() != "127.0.0.1" {
		t.Fatalf("on record: %v", last)
	}
}

func TestAGrantWorksOnceEvenAtTwoReplicasAtTheSameTime(t *testing.T) {
	p := newPlatform(t)
	replicas := []*Service{p.replica(), p.replica()}
	grant := p.grant("admin")
	var mu sync.Mutex
	var accepted, used int
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			r := p.freeze()
			r.Grant = grant
			_, err := replicas[i%2].ApplyFreeze(p.as("admin"), r)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				accepted++
			case fault.Is(err, fault.GrantUsed):
				used++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if accepted != 1 || used != 19 {
		t.Fatalf("accepted %d, refused as used %d", accepted, used)
	}
}

func TestTheSameRequestIDIsOneEffectAndItsFirstAnswer(t *testing.T) {
	p := newPlatform(t)
	replicas := []*Service{p.replica(), p.replica()}
	r := p.freeze()
	r.RequestId = "7d0cf3a2-4bb1-4d0c-8a07-1c1e37b6a001"
	ids := map[string]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			f, err := replicas[i%2].ApplyFreeze(p.as("admin"), r)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			ids[f.GetId()] = true
		})
	}
	all.Wait()
	if len(ids) != 1 || len(p.entries()) != 2 {
		t.Fatalf("answers %v, %d entries", ids, len(p.entries()))
	}
	other := p.freeze()
	other.RequestId, other.Justification = r.GetRequestId(), "something else"
	_, err := replicas[0].ApplyFreeze(p.as("admin"), other)
	refused(t, err, fault.RequestIDReused)
	_, err = replicas[0].ApplyFreeze(p.as("second"), r)
	refused(t, err, fault.RequestIDReused)
}

func TestACallRefusedForItsArgumentsDoesNotSpendTheGrant(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	r := p.freeze()
	r.Duration = durationpb.New(time.Second)
	_, err := s.ApplyFreeze(p.as("admin"), r)
	refused(t, err, fault.DurationOutOfRange)
	r.Duration = durationpb.New(time.Minute)
	if _, err := s.ApplyFreeze(p.as("admin"), r); err != nil {
		t.Fatal(err)
	}
}

func TestGrantsOfOthersOrForOtherPurposesOrExpiredAreRefused(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	for name, c := range map[string]struct {
		grant, reason string
	}{
		"none":            {"", fault.GrantRequired},
		"forged":          {"not.a.grant", fault.GrantInvalid},
		"another's":       {p.grant("second"), fault.GrantInvalid},
		"another purpose": {p.grantFor("admin", "cancel", time.Minute), fault.GrantInvalid},
		"expired":         {p.grantFor("admin", "", -time.Second), fault.GrantExpired},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.freeze()
			r.Grant = c.grant
			_, err := s.ApplyFreeze(p.as("admin"), r)
			refused(t, err, c.reason)
		})
	}
	if n := len(p.entries()); n != 1 {
		t.Fatalf("%d entries after refusals alone", n)
	}
}

func TestWindowsAreBounded(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(p.clock.now().Add(d)) }
	for name, c := range map[string]struct {
		start    *timestamppb.Timestamp
		duration time.Duration
		text     string
		reason   string
	}{
		"zero":           {nil, 0, "x", fault.DurationOutOfRange},
		"negative":       {nil, -time.Hour, "x", fault.DurationOutOfRange},
		"too short":      {nil, time.Minute - 1, "x", fault.DurationOutOfRange},
		"too long":       {nil, 30*24*time.Hour + 1, "x", fault.DurationOutOfRange},
		"past":           {at(-61 * time.Second), time.Hour, "x", fault.StartInPast},
		"far":            {at(366 * 24 * time.Hour), time.Hour, "x", fault.InvalidArgument},
		"no reason":      {nil, time.Hour, " \n", fault.JustificationRequired},
		"unseen reason":  {nil, time.Hour, "\u200b\u00a0", fault.JustificationRequired},
		"control bytes":  {nil, time.Hour, "x\x1b[2J", fault.InvalidArgument},
		"endless reason": {nil, time.Hour, strings.Repeat("é", 2001), fault.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.freeze()
			r.StartTime, r.Duration, r.Justification = c.start, durationpb.New(c.duration), c.text
			_, err := s.ApplyFreeze(p.as("admin"), r)
			refused(t, err, c.reason)
		})
	}
	for _, ok := range []time.Duration{time.Minute, 30 * 24 * time.Hour} {
		r := p.freeze()
		r.StartTime, r.Duration, r.Justification = at(-59*time.Second), durationpb.New(ok), strings.Repeat("é", 2000)
		if _, err := s.ApplyFreeze(p.as("admin"), r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnEmptySelectorIsAnErrorNeverEveryone(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	for name, c := range map[string]struct {
		selector *emergencyv1.Selector
		reason   string
	}{
		"none":         {nil, fault.SelectorEmpty},
		"empty":        {&emergencyv1.Selector{}, fault.SelectorEmpty},
		"both":         {&emergencyv1.Selector{All: true, Users: []string{"admin"}}, fault.InvalidArgument},
		"unknown user": {&emergencyv1.Selector{Users: []string{"nobody"}}, fault.NotFound},
		"bad protocol": {&emergencyv1.Selector{Protocols: []string{"ssh"}}, fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.ApplyTermination(p.as("admin"), &emergencyv1.ApplyTerminationRequest{Selector: c.selector, Justification: "x", Grant: p.grant("admin")})
			refused(t, err, c.reason)
		})
	}
	e := must(s.ApplyTermination(p.as("admin"), &emergencyv1.ApplyTerminationRequest{Selector: &emergencyv1.Selector{Users: []string{"second"}}, Justification: "x", Grant: p.grant("admin")}))
	if e.GetId() != "T-0002" || e.GetOpen() != 0 || e.Ended == nil {
		t.Fatalf("applied %v", e)
	}
}

func TestThePolicyMayRequireATicketOrAPatternOfIt(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	set := func(g emergencyv1.Policy_Governance, pattern string) {
		t.Helper()
		_, err := s.UpdatePolicy(p.as("admin"), &emergencyv1.UpdatePolicyRequest{Policy: &emergencyv1.Policy{GovernanceCode: g, GovernancePattern: pattern, Grant: new(p.grant("admin"))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	apply := func(ticket string) error {
		r := p.freeze()
		r.GovernanceCode = ticket
		_, err := s.ApplyFreeze(p.as("admin"), r)
		return err
	}
	if err := apply(""); err != nil {
		t.Fatalf("by default the ticket is optional: %v", err)
	}
	set(emergencyv1.Policy_REQUIRED, "")
	refused(t, apply(" "), fault.GovernanceCodeRequired)
	set(emergencyv1.Policy_PATTERN, `INC[0-9]{7}|CHG[0-9]+`)
	refused(t, apply("INC00482139"), fault.GovernanceCodeRefused)
	refused(t, apply("xCHG1"), fault.GovernanceCodeRefused)
	if err := apply("CHG1"); err != nil {
		t.Fatal(err)
	}
	_, err := s.UpdatePolicy(p.as("admin"), &emergencyv1.UpdatePolicyRequest{Policy: &emergencyv1.Policy{GovernanceCode: emergencyv1.Policy_OPTIONAL}})
	refused(t, err, fault.GrantRequired)
}

func TestOnlyThePanelLetsMoreThroughALockdown(t *testing.T) {
	p := newPlatform(t)
	p.put("IDENTITY", "identity.role.clerk", &identityv1.RoleRecord{Role: &identityv1.Role{Name: "clerk", Permissions: []string{who.ManagePolicy}}})
	p.put("IDENTITY", "identity.user.carla", &identityv1.UserRecord{User: &identityv1.User{Name: "carla", Roles: []string{"clerk"}}})
	s := p.replica()
	name := func(by string, users ...string) error {
		_, err := s.UpdatePolicy(p.as(by), &emergencyv1.UpdatePolicyRequest{UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"break_glass_users"}},
			Policy: &emergencyv1.Policy{BreakGlassUsers: users, Grant: new(p.grant(by))}})
		return err
	}
	refused(t, name("carla", "carla"), fault.PermissionDenied)
	if err := name("admin", "carla", "second"); err != nil {
		t.Fatal(err)
	}
	if err := name("carla", "second"); err != nil {
		t.Fatalf("to shorten the list is to tighten: %v", err)
	}
}

func TestOnlyALockdownThatStartsAtOnceSparesTheSignInThatProvedItself(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	now := must(s.ApplyLockdown(p.as("admin"), p.lockdown(0, time.Hour)))
	later := must(s.ApplyLockdown(p.as("admin"), p.lockdown(time.Hour, time.Hour)))
	if now.GetSparedSignIn() != "signin-admin" || later.GetSparedSignIn() != "" {
		t.Fatalf("spared %q and %q", now.GetSparedSignIn(), later.GetSparedSignIn())
	}
}

func TestAPreviewHitsWhatTheRequestWouldAndChangesNothing(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	r := p.lockdown(0, time.Hour)
	r.Grant = ""
	got := must(s.Preview(p.as("admin"), &emergencyv1.PreviewRequest{Emergency: &emergencyv1.PreviewRequest_Lockdown{Lockdown: r}}))
	if got.GetSessions() != 2 || len(got.GetAdministrators()) != 2 || got.GetSignIns() != 1 {
		t.Fatalf("previewed %v", got)
	}
	if got.GetSignInUsers()[0] != "bruno" {
		t.Fatalf("a lockdown that starts at once spares the one who applies it: %v", got.GetSignInUsers())
	}
	later := &emergencyv1.PreviewRequest_Lockdown{Lockdown: p.lockdown(time.Hour, time.Hour)}
	if got := must(s.Preview(p.as("admin"), &emergencyv1.PreviewRequest{Emergency: later})); got.GetSignIns() != 2 {
		t.Fatalf("a lockdown that starts later spares nobody: %v", got.GetSignInUsers())
	}
	freeze := &emergencyv1.PreviewRequest_Freeze{Freeze: p.freeze()}
	if got := must(s.Preview(p.as("admin"), &emergencyv1.PreviewRequest{Emergency: freeze})); got.GetSignIns() != 0 {
		t.Fatalf("a freeze signs nobody out: %v", got.GetSignInUsers())
	}
	if len(p.entries()) != 1 {
		t.Fatal("a preview wrote to the record")
	}
	_, err := s.Preview(p.as("admin"), &emergencyv1.PreviewRequest{})
	refused(t, err, fault.InvalidArgument)
}

func TestAnActElsewhereIsRecordedOnceAndSpendsItsGrant(t *testing.T) {
	p := newPlatform(t)
	s := p.replica()
	r := &emergencyv1.RecordActRequest{Kind: "user.grant-administrator", Target: "bruno", Grant: p.grantFor("admin", "user", time.Minute), RequestId: "a-1"}
	first := must(s.RecordAct(p.as("admin"), r))
	again := must(s.RecordAct(p.as("admin"), r))
	if first.GetRevision() != again.GetRevision() || len(p.entries()) != 2 {
		t.Fatalf("recorded %v, then %v", first, again)
	}
	r.RequestId = "a-2"
	_, err := s.RecordAct(p.as("admin"), r)
	refused(t, err, fault.GrantUsed)
	if got := p.entries()[1].GetAct(); got.GetTarget() != "bruno" {
		t.Fatalf("on record: %v", got)
	}
	for kind, free := range map[string]bool{
		"user.take-administrator": true, "user.disable-administrator": true, "user.delete-administrator": true,
		"user.enable-administrator": false, "user.reset-mfa": false, "token.rearm": false, "user.take": false, "": false,
	} {
		before := len(p.entries())
		_, err := s.RecordAct(p.as("admin"), &emergencyv1.RecordActRequest{Kind: kind, Target: "bruno", RequestId: "b-" + kind})
		if noted := len(p.entries()) > before; noted != free || (err == nil) != free {
			t.Errorf("%q without a grant: noted %v, %v", kind, noted, err)
		}
	}
}
