package identity_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

func (r *replica) try(user, password, code, address string) error {
	_, err := r.CreateSignIn(from(address), &identityv1.CreateSignInRequest{Username: user, Password: password, Code: code})
	return err
}

func TestTheFirstAdministratorIsMadeOnceAndSignsIn(t *testing.T) {
	w := newWorld(t)
	if w.shown != 1 || w.first.Password == "" || w.first.Secret == "" || w.first.User != "admin" {
		t.Fatalf("announced %d times: %v", w.shown, w.first)
	}
	in, err := w.CreateSignIn(from(home), &identityv1.CreateSignInRequest{Username: "admin", Password: w.first.Password, Code: w.code(w.first.Secret)})
	if err != nil {
		t.Fatal(err)
	}
	if life := in.GetExpireTime().AsTime().Sub(w.clock.Now()); life > 15*time.Minute || life < 14*time.Minute {
		t.Errorf("the token works for %s, want 15 minutes", life)
	}
	if u := in.GetUser(); u.GetMfa() != identityv1.User_ACTIVE || len(u.GetPermissions()) != len(who.Permissions()) {
		t.Errorf("the administrator is %v", u)
	}
	w.stop()
	before := w.first
	w.replica = w.start()
	if w.shown != 1 || w.first != before {
		t.Error("a later start announced it again")
	}
	w.admin()
}

func TestAWrongPasswordAnUnknownUserAndADisabledOneGetTheSameAnswer(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	w.user(ctx, "gone")
	if _, err := w.UpdateUser(ctx, &identityv1.UpdateUserRequest{User: &identityv1.User{Name: "gone", Disabled: true}}); err != nil {
		t.Fatal(err)
	}
	var answers []string
	for i, c := range []struct{ user, password string }{
		{"alice", "wrong password 1"}, {"nobody", password}, {"gone", password}, {"no one.*>\n", password}, {"", password},
	} {
		err := w.try(c.user, c.password, "", fmt.Sprintf("203.0.113.%d:1", i))
		answers = append(answers, refused(t, err, fault.Unauthenticated).Error())
		if answers[i] != answers[0] {
			t.Errorf("%q got %q, a wrong password %q", c.user, answers[i], answers[0])
		}
	}
}

func TestACodeWorksOnce(t *testing.T) {
	w := newWorld(t)
	code := w.code(w.first.Secret)
	if err := w.try("admin", w.first.Password, code, home); err != nil {
		t.Fatal(err)
	}
	used := refused(t, w.try("admin", w.first.Password, code, home), fault.CodeUsed)
	if at, err := time.Parse(time.RFC3339, used.Details["retryTime"]); err != nil || at.Sub(w.clock.Now()) > 30*time.Second {
		t.Errorf("retryTime is %q", used.Details["retryTime"])
	}
}

func TestTheCodesOfTheStepBeforeNowAndAfterAreTakenEachOnce(t *testing.T) {
	w := newWorld(t)
	const step = 30 * time.Second
	now := w.clock.Now()
	w.clock.advance(now.Truncate(step).Add(step).Sub(now)) // so that none begins meanwhile
	for _, d := range []time.Duration{-30, 30, 0} {
		w.clock.advance(d * time.Second)
		code := w.code(w.first.Secret)
		w.clock.advance(-d * time.Second)
		if err := w.try("admin", w.first.Password, code, home); err != nil {
			t.Errorf("the code of %d s from now: %v", d, err)
		}
	}
	w.clock.advance(-90 * time.Second)
	old := w.code(w.first.Secret)
	w.clock.advance(90 * time.Second)
	refused(t, w.try("admin", w.first.Password, old, home), fault.CodeInvalid)
}

func TestOfTwoReplicasOnlyOneTakesACode(t *testing.T) {
	w := newWorld(t)
	other := w.start()
	for range 5 {
		code := w.next(w.first.Secret)
		var wg sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			r := []*replica{w.replica, other}[i%2]
			wg.Go(func() { errs[i] = r.try("admin", w.first.Password, code, home) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				refused(t, err, fault.CodeUsed)
			}
		}
		if won != 1 {
			t.Fatalf("%d sign-ins took the same code: %v", won, errs)
		}
	}
}

func TestACodeIsAskedForOnceThePasswordWasRight(t *testing.T) {
	w := newWorld(t)
	asked := refused(t, w.try("admin", w.first.Password, "", home), fault.CodeInvalid)
	if asked.Details["codeRequired"] != "true" {
		t.Errorf("details are %v", asked.Details)
	}
	refused(t, w.try("admin", "wrong password 1", "", home), fault.Unauthenticated)
}

func TestASignInOfTwoStepsAsksForTheCodeWithoutARefusal(t *testing.T) {
	w := newWorld(t)
	enter := func(password, code string) (*identityv1.SignIn, error) {
		return w.CreateSignIn(from(home), &identityv1.CreateSignInRequest{Username: "admin", Password: password, Code: code, InTwoSteps: true})
	}
	if in, err := enter(w.first.Password, ""); err != nil || !in.GetCodeRequired() || in.GetToken() != "" || in.GetUser() != nil {
		t.Errorf("without a code: %v, %v", in, err)
	}
	_, err := enter("wrong password 1", "")
	refused(t, err, fault.Unauthenticated)
	_, err = enter(w.first.Password, "000000")
	refused(t, err, fault.CodeInvalid)
	if in, err := enter(w.first.Password, w.next(w.first.Secret)); err != nil || in.GetCodeRequired() || in.GetToken() == "" {
		t.Errorf("with the code: %v, %v", in, err)
	}
}

func TestWrongPasswordsAreLimitedThenLockedForMinutes(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		refused(t, w.try("admin", "wrong password 1", "", away), fault.Unauthenticated)
	}
	locked := refused(t, w.try("admin", w.first.Password, w.code(w.first.Secret), away), fault.LockedOut)
	until, err := time.Parse(time.RFC3339, locked.Details["retryTime"])
	if left := until.Sub(w.clock.Now()); err != nil || left > 5*time.Minute || left < 4*time.Minute {
		t.Errorf("locked until %q", locked.Details["retryTime"])
	}
	w.clock.advance(6 * time.Minute)
	if err := w.try("admin", w.first.Password, w.next(w.first.Secret), away); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

func TestAnAddressThatTriesManyUsersIsLocked(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		refused(t, w.try(fmt.Sprintf("guess%d", i), "wrong password 1", "", away), fault.Unauthenticated)
	}
	refused(t, w.try("guess99", "wrong password 1", "", away), fault.LockedOut)
	refused(t, w.try("guess99", "wrong password 1", "", "198.51.100.8:1"), fault.Unauthenticated)
}

func TestAStrangerCanNotLockTheAdministratorOut(t *testing.T) {
	w := newWorld(t)
	w.admin() // which makes home known
	var flood sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		flood.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					_ = w.try("admin", "wrong password 1", "", fmt.Sprintf("203.0.113.%d:%d", i*50+n%50, 1000+n))
				}
			}
		})
	}
	defer flood.Wait()
	defer close(stop)
	w.until("the flood to lock strangers out", func() bool {
		return fault.Is(w.try("admin", w.first.Password, "", "203.0.113.250:1"), fault.LockedOut)
	})
	for range 5 {
		started := time.Now()
		if err := w.try("admin", w.first.Password, w.next(w.first.Secret), home); err != nil {
			t.Fatalf("the administrator at a known address: %v", err)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("signing in took %s", took)
		}
	}
}

func TestAThiefOfThePasswordCanNotUseUpTheAdministratorsCodes(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	for range 5 {
		refused(t, w.try("admin", w.first.Password, w.wrong(w.first.Secret), away), fault.CodeInvalid)
	}
	refused(t, w.try("admin", w.first.Password, w.wrong(w.first.Secret), away), fault.LockedOut)
	refused(t, w.try("admin", w.first.Password, w.next(w.first.Secret), away), fault.LockedOut)
	if err := w.try("admin", w.first.Password, w.next(w.first.Secret), home); err != nil {
		t.Errorf("from a known address: %v", err)
	}
	w.grant(ctx, w.first.Secret, "lockdown")
	c := who.FromContext(ctx)
	c.Address = "203.0.113.77:1" // signed in, and has moved on to where nobody knows
	w.grant(who.NewContext(t.Context(), c), w.first.Secret, "lockdown")
	for range 5 { // behind the same proxy, or on the same host
		refused(t, w.try("admin", w.first.Password, w.wrong(w.first.Secret), home), fault.CodeInvalid)
	}
	refused(t, w.try("admin", w.first.Password, w.next(w.first.Secret), home), fault.LockedOut)
	w.grant(ctx, w.first.Secret, "lockdown")
}

func TestWrongCodesLockAcrossReplicas(t *testing.T) {
	w := newWorld(t)
	other := w.start()
	for i := range 5 {
		refused(t, []*replica{w.replica, other}[i%2].try("admin", w.first.Password, w.wrong(w.first.Secret), away), fault.CodeInvalid)
	}
	for _, r := range []*replica{w.replica, other} {
		refused(t, r.try("admin", w.first.Password, w.next(w.first.Secret), away), fault.LockedOut)
	}
}

func TestARecoveryCodeSignsInOnceAndMakesNoGrant(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	secret, codes := func() (string, []string) {
		w.user(ctx, "alice")
		return w.enrol(w.as(w.signIn("alice", password, "", away), away))
	}()
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	token := w.signIn("alice", password, codes[3], away)
	refused(t, w.try("alice", password, codes[3], away), fault.CodeInvalid)
	u, err := w.GetUser(w.as(token, away), &identityv1.GetUserRequest{Name: "me"})
	if err != nil || u.GetRecoveryCodesLeft() != 9 {
		t.Errorf("%d codes are left, %v", u.GetRecoveryCodesLeft(), err)
	}
	w.signIn("alice", password, w.next(secret), away)

	e, err := w.EnrollMfa(ctx, &identityv1.EnrollMfaRequest{Name: "me", Code: w.next(w.first.Secret)})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.advance(30 * time.Second)
	a, err := w.ActivateMfa(ctx, &identityv1.ActivateMfaRequest{Name: "me", Code: w.code(secretOf(e.GetUri()))})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * time.Hour)
	again := w.as(w.signIn("admin", w.first.Password, w.next(secretOf(e.GetUri())), home), home)
	_, err = w.CreateGrant(again, &identityv1.CreateGrantRequest{Code: a.GetRecoveryCodes()[0]})
	refused(t, err, fault.CodeInvalid)
}

func TestARefreshKeepsTheSignInAndItsAdmission(t *testing.T) {
	w := newWorld(t)
	old := w.signIn("admin", w.first.Password, w.code(w.first.Secret), home)
	before := who.FromContext(w.as(old, home))
	w.lockdown("L-0001", func(e *emergencyv1.Emergency) { e.SparedSignIn = before.SignIn })
	w.clock.advance(10 * time.Minute)
	in, err := w.RefreshSignIn(w.as(old, home), &identityv1.RefreshSignInRequest{})
	if err != nil {
		t.Fatal(err)
	}
	after := who.FromContext(w.as(in.GetToken(), home))
	if after.SignIn != before.SignIn || after.Admission != before.Admission || !after.Issued.Equal(before.Issued) {
		t.Errorf("refreshed %+v to %+v", before, after)
	}
	if !after.Admission.Revision.Less(w.view.State().Emergency.Revision()) {
		t.Error("the refreshed admission is fresher")
	}
	w.clock.advance(10 * time.Minute)
	if w.verified(old) || !w.verified(in.GetToken()) {
		t.Error("a token does not work for 15 minutes from its own making")
	}
}

func TestASignInThatWasSignedOutIsOver(t *testing.T) {
	w := newWorld(t)
	token := w.signIn("admin", w.first.Password, w.code(w.first.Secret), home)
	other := w.signIn("admin", w.first.Password, w.next(w.first.Secret), home)
	ctx := w.as(token, home)
	for range 2 {
		if _, err := w.DeleteSignIn(ctx, &identityv1.DeleteSignInRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if w.verified(token) || !w.verified(other) {
		t.Error("signing out ends one sign-in, no more and no less")
	}
	late := w.start() // another replica may refresh it before it has heard: the id stays revoked
	in, err := late.RefreshSignIn(ctx, &identityv1.RefreshSignInRequest{})
	if err == nil && w.verified(in.GetToken()) {
		t.Error("a refresh brought it back")
	}
	w.clock.advance(11 * time.Hour)
	in, err = w.RefreshSignIn(ctx, &identityv1.RefreshSignInRequest{})
	if err == nil && w.verified(in.GetToken()) {
		t.Error("a refresh brought it back after hours")
	}
}

func TestALockdownThatLandsDuringASignInEndsIt(t *testing.T) {
	for n := 1; n <= 4; n++ {
		w := newWorld(t)
		w.user(w.admin(), "alice")
		w.signIn("alice", password, "", away)
		w.clock.meanwhile(n, func() { w.lockdown("L-0001") })
		in, err := w.CreateSignIn(from(away), &identityv1.CreateSignInRequest{Username: "alice", Password: password})
		if err != nil {
			refused(t, err, fault.Lockdown)
			continue
		}
		if w.clock.meanwhile(0, nil); w.entries == 0 {
			continue // it was over before that
		}
		if _, err := w.RefreshSignIn(w.as(in.GetToken(), away), &identityv1.RefreshSignInRequest{}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("the lockdown came at question %d, and the sign-in outlives it: %v", n, err)
		}
	}
}

func TestARefreshIsRefusedOnceTheSignInIsOver(t *testing.T) {
	w := newWorld(t)
	w.user(w.admin(), "alice")
	alice := w.as(w.signIn("alice", password, "", away), away)
	if _, err := w.RefreshSignIn(alice, &identityv1.RefreshSignInRequest{}); err != nil {
		t.Fatal(err)
	}
	w.lockdown("L-0001")
	_, err := w.RefreshSignIn(alice, &identityv1.RefreshSignInRequest{})
	refused(t, err, fault.Unauthenticated)
	admin := w.admin()
	w.clock.advance(12 * time.Hour)
	_, err = w.RefreshSignIn(admin, &identityv1.RefreshSignInRequest{})
	refused(t, err, fault.Unauthenticated)
}

func TestInALockdownTheRightPasswordOfANonAdministratorGetsTheLockdown(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	w.user(ctx, "glass")
	w.lockdown("L-0001", func(e *emergencyv1.Emergency) { e.BreakGlassUsers = []string{"glass"} })
	f := refused(t, w.try("alice", password, "", away), fault.Lockdown)
	if f.Details["until"] == "" || f.Message == "" {
		t.Errorf("the refusal says %q, %v", f.Message, f.Details)
	}
	refused(t, w.try("alice", "wrong password 1", "", away), fault.Unauthenticated)
	refused(t, w.try("nobody", "wrong password 1", "", away), fault.Unauthenticated)
	if err := w.try("glass", password, "", away); err != nil {
		t.Errorf("the break-glass user: %v", err)
	}
	if err := w.try("admin", w.first.Password, w.next(w.first.Secret), home); err != nil {
		t.Errorf("the administrator: %v", err)
	}
}

func TestARightPasswordOfALockedUserGetsTheLock(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	second := w.administrator(ctx, "second")
	alice := w.signIn("alice", password, "", away)
	lock := func(id, user string, change func(*emergencyv1.Emergency)) {
		w.lockdown(id, func(e *emergencyv1.Emergency) {
			e.Kind, e.Selector = emergencyv1.Emergency_LOCK, &emergencyv1.Selector{Users: []string{user}}
			if change != nil {
				change(e)
			}
		})
	}
	lock("K-0001", "alice", nil)
	f := refused(t, w.try("alice", password, "", away), fault.Locked)
	if f.Details["until"] == "" || f.Details["emergency"] != "K-0001" || f.Message == "" {
		t.Errorf("the refusal says %q, %v", f.Message, f.Details)
	}
	refused(t, w.try("alice", "wrong password 1", "", away), fault.Unauthenticated)
	_, err := w.RefreshSignIn(w.as(alice, away), &identityv1.RefreshSignInRequest{})
	refused(t, err, fault.Unauthenticated)
	if err := w.try("second", password, w.next(second), home); err != nil {
		t.Errorf("another: %v", err)
	}
	var hers *emergencyv1.Emergency
	lock("K-0002", "second", func(e *emergencyv1.Emergency) { hers, e.EndTime = e, nil })
	refused(t, w.try("second", password, w.next(second), home), fault.Locked)
	// Who is locked is no administrator that remains.
	grant, text := w.grant(ctx, w.first.Secret, "user"), password
	if _, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "berta", Password: &text, Roles: []string{emergency.Administrator}, Grant: &grant}}); err != nil {
		t.Fatal(err)
	}
	berta := w.as(w.signIn("berta", password, "", away), away) // without an MFA
	refused(t, w.change(berta, &identityv1.User{Name: "admin", Disabled: true}, "disabled"), fault.LastAdministrator)
	lifted := proto.CloneOf(hers)
	lifted.CancelTime, lifted.EndTime, lifted.Started = lifted.GetStartTime(), lifted.GetStartTime(), true
	w.declare(lifted)
	if err := w.change(berta, &identityv1.User{Name: "admin", Disabled: true}, "disabled"); err != nil {
		t.Errorf("with another who is not locked: %v", err)
	}
}

func TestASignInIsStampedWithWhatIdentityKnows(t *testing.T) {
	w := newWorld(t)
	w.lockdown("L-0001", func(e *emergencyv1.Emergency) {
		e.StartTime.Seconds += 600
		e.EndTime.Seconds += 600
	})
	c := who.FromContext(w.admin())
	if c.Admission.Revision != (emergency.Revision{Epoch: 1, Sequence: 1}) || c.Admission.PendingCut.IsZero() {
		t.Errorf("admitted under %+v", c.Admission)
	}
}

func TestAStrictIdentityWithAnOldViewSignsInAdministratorsOnly(t *testing.T) {
	w := newWorld(t)
	w.user(w.admin(), "alice")
	w.stale.Store(true)
	e := refused(t, w.try("alice", password, "", home), fault.Stale)
	if e.RetryAfter <= 0 {
		t.Error("nobody says when to try again")
	}
	refused(t, w.try("alice", "wrong password 1", "", home), fault.Unauthenticated)
	if err := w.try("admin", w.first.Password, w.next(w.first.Secret), home); err != nil {
		t.Error(err)
	}
	w.lockdown("L-0001")
	refused(t, w.try("alice", password, "", home), fault.Lockdown) // which is known to be on
}
