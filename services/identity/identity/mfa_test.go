package identity_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"image/png"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

func newKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " somebody@somewhere"
}

func TestEnrollingGivesAQRAndCountsAfterItsFirstCode(t *testing.T) {
	w := newWorld(t)
	w.user(w.admin(), "alice")
	token := w.signIn("alice", password, "", away)
	ctx := w.as(token, away)
	e, err := w.EnrollMfa(ctx, &identityv1.EnrollMfaRequest{Name: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(e.GetUri(), "otpauth://totp/Portcullis:alice?") {
		t.Errorf("the URI is %s", e.GetUri())
	}
	if _, err := png.Decode(bytes.NewReader(e.GetQrPng())); err != nil {
		t.Errorf("the QR code: %v", err)
	}
	w.signIn("alice", password, "", away) // not yet
	secret := secretOf(e.GetUri())
	_, err = w.ActivateMfa(ctx, &identityv1.ActivateMfaRequest{Name: "me", Code: w.wrong(secret)})
	refused(t, err, fault.CodeInvalid)
	a, err := w.ActivateMfa(ctx, &identityv1.ActivateMfaRequest{Name: "me", Code: w.code(secret)})
	if err != nil {
		t.Fatal(err)
	}
	if a.GetUser().GetMfa() != identityv1.User_ACTIVE || len(a.GetRecoveryCodes()) != 10 {
		t.Errorf("activated %v", a)
	}
	if !w.verified(token) {
		t.Error("enrolling for the first time ended the sign-in that did it")
	}
	refused(t, w.try("alice", password, "", away), fault.CodeInvalid)
	refused(t, w.try("alice", password, w.code(secret), away), fault.CodeUsed)
	w.signIn("alice", password, w.next(secret), away)
	_, err = w.ActivateMfa(ctx, &identityv1.ActivateMfaRequest{Name: "me", Code: w.next(secret)})
	refused(t, err, fault.MFANotEnrolled)
}

func TestNobodyEnrolsForSomebodyElse(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	_, err := w.EnrollMfa(ctx, &identityv1.EnrollMfaRequest{Name: "alice"})
	refused(t, err, fault.PermissionDenied)
}

func TestReplacingAWorkingFactorTakesProofOfIt(t *testing.T) {
	w := newWorld(t)
	w.user(w.admin(), "alice")
	first := w.signIn("alice", password, "", away)
	secret, codes := w.enrol(w.as(first, away))
	ctx := w.as(first, away)
	_, err := w.EnrollMfa(ctx, &identityv1.EnrollMfaRequest{Name: "me"})
	refused(t, err, fault.GrantRequired)
	_, err = w.EnrollMfa(ctx, &identityv1.EnrollMfaRequest{Name: "me", Code: w.wrong(secret)})
	refused(t, err, fault.CodeInvalid)
	e, err := w.EnrollMfa(ctx, &identityv1.EnrollMfaRequest{Name: "me", Code: codes[0]}) // the phone is lost
	if err != nil {
		t.Fatal(err)
	}
	w.signIn("alice", password, w.next(secret), away) // the old one works until the new one does
	fresh := secretOf(e.GetUri())
	if _, err := w.ActivateMfa(ctx, &identityv1.ActivateMfaRequest{Name: "me", Code: w.next(fresh)}); err != nil {
		t.Fatal(err)
	}
	if w.verified(first) {
		t.Error("a sign-in made with the old factor lives on")
	}
	w.clock.advance(time.Minute)
	refused(t, w.try("alice", password, w.code(secret), away), fault.CodeInvalid)
	refused(t, w.try("alice", password, codes[1], away), fault.CodeInvalid)
	w.signIn("alice", password, w.next(fresh), away)
}

func TestAFactorThatIsTooNewMakesNoGrantAndSpendsNoCode(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.grant(ctx, w.first.Secret, "lockdown") // the first administrator's is exempt
	secret := w.administrator(ctx, "berta")
	berta := w.as(w.signIn("berta", password, w.next(secret), away), away)
	code := w.next(secret)
	f := refused(t, func() error {
		_, err := w.CreateGrant(berta, &identityv1.CreateGrantRequest{Code: code})
		return err
	}(), fault.MFATooNew)
	usable, err := time.Parse(time.RFC3339, f.Details["usableTime"])
	if left := usable.Sub(w.clock.Now()); err != nil || left > time.Hour || left < 50*time.Minute {
		t.Errorf("usable from %q", f.Details["usableTime"])
	}
	w.signIn("berta", password, code, away)
	w.clock.advance(time.Hour)
	berta = w.as(w.signIn("berta", password, w.next(secret), away), away)
	w.grant(berta, secret, "lockdown")
}

func TestAGrantTakesAnMFAThePermissionAndAKnownPurpose(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.role(ctx, "helpdesk", who.Read, who.ManageUsers)
	w.user(ctx, "hugo", "helpdesk")
	token := w.signIn("hugo", password, "", away)
	try := func(purpose, code string) error {
		_, err := w.CreateGrant(w.as(token, away), &identityv1.CreateGrantRequest{Code: code, Purpose: purpose})
		return err
	}
	f := refused(t, try("user", "123456"), fault.MFANotEnrolled)
	if !strings.Contains(f.Message, "mfa:enroll") {
		t.Errorf("it does not say how to enrol: %s", f.Message)
	}
	secret, _ := w.enrol(w.as(token, away))
	w.clock.advance(time.Hour)
	token = w.signIn("hugo", password, w.next(secret), away)
	for _, purpose := range []string{"", "lockdown", "terminate", "cancel", "policy"} {
		refused(t, try(purpose, w.next(secret)), fault.PermissionDenied)
	}
	refused(t, try("make tea", w.next(secret)), fault.InvalidArgument)
	refused(t, try("user", w.wrong(secret)), fault.CodeInvalid)
	if err := try("user", w.next(secret)); err != nil {
		t.Error(err)
	}
	refused(t, try("user", w.code(secret)), fault.CodeUsed)
}

func TestAGrantIsBoundToUserSignInAndPurpose(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	g := w.grant(ctx, w.first.Secret, "freeze")
	view, c, now := w.view.State().Who, who.FromContext(ctx), w.clock.Now()
	if _, err := view.Grant(g, c, "freeze", now); err != nil {
		t.Fatal(err)
	}
	_, err := view.Grant(g, c, "lockdown", now)
	refused(t, err, fault.GrantInvalid)
	_, err = view.Grant(g, who.FromContext(w.admin()), "freeze", now)
	refused(t, err, fault.GrantInvalid)
	_, err = view.Grant(g, c, "freeze", now.Add(5*time.Minute))
	refused(t, err, fault.GrantExpired)
	if w.verified(g) {
		t.Error("a grant works as a sign-in")
	}
	token := w.signIn("admin", w.first.Password, w.next(w.first.Secret), home)
	_, err = view.Grant(token, c, "freeze", now)
	refused(t, err, fault.GrantInvalid)
}

func TestResettingAnothersMFATakesAGrantAndEndsTheirSignIns(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	w.enrol(w.as(w.signIn("alice", password, "", away), away))
	_, err := w.ResetMfa(ctx, &identityv1.ResetMfaRequest{Name: "alice"})
	refused(t, err, fault.GrantRequired)
	_, err = w.ResetMfa(ctx, &identityv1.ResetMfaRequest{Name: "admin", Grant: "x"})
	refused(t, err, fault.PermissionDenied)
	r := &identityv1.ResetMfaRequest{Name: "alice", Grant: w.grant(ctx, w.first.Secret, "user"), RequestId: "reset-1", Justification: "lost phone"}
	u, err := w.ResetMfa(ctx, r)
	if err != nil || u.GetMfa() != identityv1.User_NONE {
		t.Fatalf("%v, %v", u, err)
	}
	token := w.signIn("alice", password, "", away)
	secret, _ := w.enrol(w.as(token, away))
	if u, err = w.ResetMfa(ctx, r); err != nil || u.GetMfa() != identityv1.User_ACTIVE {
		t.Errorf("the same request again undid what came after it: %v, %v", u, err)
	}
	w.signIn("alice", password, w.next(secret), away)
	if !w.verified(token) {
		t.Error("the same request again ended a sign-in")
	}
}

func TestASpentGrantResetsNothingAgain(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	w.enrol(w.as(w.signIn("alice", password, "", away), away))
	r := &identityv1.ResetMfaRequest{Name: "alice", Grant: w.grant(ctx, w.first.Secret, "user"), RequestId: "reset-1"}
	w.control.lost = true
	_, err := w.ResetMfa(ctx, r)
	refused(t, err, fault.Unavailable)
	if u, err := w.ResetMfa(ctx, r); err != nil || u.GetMfa() != identityv1.User_NONE {
		t.Fatalf("the same request on the same state, after its grant was spent: %v, %v", u, err)
	}
	w.enrol(w.as(w.signIn("alice", password, "", away), away))
	for i := range 9 { // more than a record remembers of its requests
		id, email := fmt.Sprintf("edit-%d", i), fmt.Sprintf("a%d@example.com", i)
		if _, err := w.UpdateUser(ctx, &identityv1.UpdateUserRequest{User: &identityv1.User{Name: "alice", Email: email, RequestId: &id}}); err != nil {
			t.Fatal(err)
		}
	}
	again := w.start() // it remembers no more than the records do
	r.Grant = "forged"
	_, err = again.ResetMfa(ctx, r)
	refused(t, err, fault.RequestIDReused)
}

func TestMFASecretsAreSealedAtRest(t *testing.T) {
	w := newWorld(t)
	w.user(w.admin(), "alice")
	secret, codes := w.enrol(w.as(w.signIn("alice", password, "", away), away))
	raw := w.everything(t, "IDENTITY", "IDENTITY_SECRET")
	for _, s := range []string{secret, codes[0], strings.ReplaceAll(codes[0], "-", ""), w.first.Secret, w.first.Password, password} {
		if strings.Contains(raw, s) {
			t.Errorf("%q stands in the journal", s)
		}
	}
	for _, s := range []string{w.first.Secret, secret} {
		if bytes.Contains([]byte(raw), decodeBase32(t, s)) {
			t.Error("a raw MFA secret stands in the journal")
		}
	}
	if public := w.everything(t, "IDENTITY"); strings.Contains(public, "argon2id") {
		t.Error("a password hash stands in IDENTITY")
	}
}
