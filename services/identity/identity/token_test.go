package identity_test

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

// everything is all that streams hold, as text.
func (w *world) everything(t *testing.T, streams ...string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range streams {
		stream, err := w.journal.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Replay(t.Context(), 1, func(e journal.Entry) error { all.WriteString(e.Subject); all.Write(e.Data); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func decodeBase32(t *testing.T, s string) []byte {
	t.Helper()
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (w *world) token(ctx context.Context, in *identityv1.Token) *identityv1.Token {
	w.t.Helper()
	made, err := w.CreateToken(ctx, &identityv1.CreateTokenRequest{Token: in})
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

func TestATokenIsShownOnceAndOnlyItsHashIsKept(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	id := "token-request-1"
	in := &identityv1.Token{Name: "backup job", Channel: identityv1.Token_API, RequestId: &id}
	made := w.token(ctx, in)
	if !slices.Equal(slices.Sorted(slices.Values(made.GetPermissions())), []string{who.ReadAudit, who.Read}) {
		t.Errorf("by default it may %v, want to read all and change nothing", made.GetPermissions())
	}
	c := who.FromContext(w.as(made.GetToken(), away))
	if c.Token != made.GetId() || c.Channel != emergency.API {
		t.Errorf("the caller is %+v", c)
	}
	raw := w.everything(t, "IDENTITY", "IDENTITY_SECRET")
	sum := sha256.Sum256([]byte(made.GetToken()))
	if strings.Contains(raw, made.GetToken()) || !strings.Contains(raw, string(sum[:])) {
		t.Error("the journal has the token, or not its hash")
	}
	again := w.token(ctx, in)
	got, err := w.GetToken(ctx, &identityv1.GetTokenRequest{Id: made.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := w.ListTokens(ctx, &identityv1.ListTokensRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if again.GetId() != made.GetId() || again.Token != nil || got.Token != nil || len(listed.GetTokens()) != 1 || listed.GetTokens()[0].Token != nil {
		t.Errorf("again %v, read %v, listed %v", again, got, listed)
	}
	_, err = w.CreateToken(ctx, &identityv1.CreateTokenRequest{Token: &identityv1.Token{Name: "another", Channel: identityv1.Token_API, RequestId: &id}})
	refused(t, err, fault.RequestIDReused)
}

func TestTokensAreListedByNameAPageAtATime(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	for name, channel := range map[string]identityv1.Token_Channel{"web": identityv1.Token_API, "agent": identityv1.Token_AGENT, "backup": identityv1.Token_API} {
		if _, err := w.CreateToken(ctx, &identityv1.CreateTokenRequest{Token: &identityv1.Token{Name: name, Channel: channel}}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for next, more := "", true; more; more = next != "" {
		page, err := w.ListTokens(ctx, &identityv1.ListTokensRequest{PageSize: 1, PageToken: next, Filter: "channel=API"})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.GetTokens() {
			names = append(names, one.GetName())
		}
		next = page.GetNextPageToken()
	}
	if strings.Join(names, " ") != "backup web" {
		t.Error(names)
	}
}

func TestATokenNeverHasMoreThanItsMakerNorThePanel(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.role(ctx, "keys", who.Read, who.ManageTokens)
	w.user(ctx, "karl", "keys")
	karl := w.as(w.signIn("karl", password, "", away), away)
	api := identityv1.Token_API
	for name, c := range map[string]struct {
		ctx    context.Context
		token  *identityv1.Token
		reason string
	}{
		"the panel":            {ctx, &identityv1.Token{Name: "x", Channel: api, Permissions: []string{who.ControlEmergencies}}, fault.InvalidArgument},
		"not held":             {karl, &identityv1.Token{Name: "x", Channel: api, Permissions: []string{who.ManageUsers}}, fault.PermissionDenied},
		"no such permission":   {ctx, &identityv1.Token{Name: "x", Channel: api, Permissions: []string{"System.Everything"}}, fault.InvalidArgument},
		"no channel":           {ctx, &identityv1.Token{Name: "x"}, fault.InvalidArgument},
		"unknown channel":      {ctx, &identityv1.Token{Name: "x", Channel: 9}, fault.InvalidArgument},
		"no name":              {ctx, &identityv1.Token{Channel: api}, fault.InvalidArgument},
		"a name of two lines":  {ctx, &identityv1.Token{Name: "a\nb", Channel: api}, fault.InvalidArgument},
		"a mighty enforcer":    {ctx, &identityv1.Token{Name: "x", Channel: identityv1.Token_ENFORCER, Permissions: []string{who.ManageUsers}}, fault.InvalidArgument},
		"without any right to": {w.asNobody(ctx), &identityv1.Token{Name: "x", Channel: api}, fault.PermissionDenied},
	} {
		if _, err := w.CreateToken(c.ctx, &identityv1.CreateTokenRequest{Token: c.token}); !fault.Is(err, c.reason) {
			t.Errorf("%s: %v, want %s", name, err, c.reason)
		}
	}
	if made := w.token(karl, &identityv1.Token{Name: "mine", Channel: identityv1.Token_AGENT}); made.GetCreatedBy() != "karl" {
		t.Errorf("made by %q", made.GetCreatedBy())
	}
}

func (w *world) asNobody(ctx context.Context) context.Context {
	w.t.Helper()
	w.user(ctx, "plain")
	return w.as(w.signIn("plain", password, "", away), away)
}

func TestADisabledOrDeletedTokenIsRefused(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	made := w.token(ctx, &identityv1.Token{Name: "x", Channel: identityv1.Token_API})
	set := func(disabled bool) {
		t.Helper()
		u, err := w.UpdateToken(ctx, &identityv1.UpdateTokenRequest{Token: &identityv1.Token{Id: made.GetId(), Disabled: disabled},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"disabled"}}})
		if err != nil || u.GetDisabled() != disabled || u.GetName() != "x" {
			t.Fatalf("%v, %v", u, err)
		}
	}
	set(true)
	if w.verified(made.GetToken()) {
		t.Error("a disabled token works")
	}
	set(false)
	if !w.verified(made.GetToken()) {
		t.Error("an enabled token does not work")
	}
	if w.verified(made.GetToken() + "x") {
		t.Error("another secret works")
	}
	if _, err := w.DeleteToken(ctx, &identityv1.DeleteTokenRequest{Id: made.GetId()}); err != nil {
		t.Fatal(err)
	}
	if w.verified(made.GetToken()) {
		t.Error("a deleted token works")
	}
	for _, id := range []string{made.GetId(), "../x", "a.b", "*", ""} {
		_, err := w.DeleteToken(ctx, &identityv1.DeleteTokenRequest{Id: id})
		refused(t, err, fault.NotFound)
	}
}

func TestAnAdministratorArmsARevokedTokenAgain(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	made := w.token(ctx, &identityv1.Token{Name: "x", Channel: identityv1.Token_API})
	revoked := func() bool {
		armed := who.FromContext(w.as(made.GetToken(), away)).Admission
		_, is := w.view.State().Emergency.TokenRevoked(made.GetId(), armed, w.clock.Now())
		return is
	}
	if revoked() {
		t.Fatal("revoked before anything happened")
	}
	w.lockdown("L-0001", func(e *emergencyv1.Emergency) { e.RevokeTokens = proto.Bool(true) })
	if !revoked() {
		t.Fatal("the lockdown has not revoked it")
	}
	ctx = w.admin()
	_, err := w.RearmToken(ctx, &identityv1.RearmTokenRequest{Id: made.GetId()})
	refused(t, err, fault.GrantRequired)
	r := &identityv1.RearmTokenRequest{Id: made.GetId(), Grant: w.grant(ctx, w.first.Secret, "token"), RequestId: "rearm-1"}
	for range 2 {
		if _, err := w.RearmToken(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if revoked() {
		t.Error("it is still revoked")
	}
	if again := w.token(ctx, &identityv1.Token{Name: "y", Channel: identityv1.Token_API}); again.GetArmedRevision() != "1-1" {
		t.Errorf("a new token is armed under %q", again.GetArmedRevision())
	}
}

func TestAProgramWithThePermissionManagesUsersButNoAdministrators(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	made := w.token(ctx, &identityv1.Token{Name: "directory sync", Channel: identityv1.Token_API, Permissions: []string{who.ManageUsers}})
	program := w.as(made.GetToken(), away)
	w.user(program, "alice")
	_, err := w.CreateUser(program, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "boss", Roles: []string{emergency.Administrator}}})
	refused(t, err, fault.PermissionDenied)
	_, err = w.CreateGrant(program, &identityv1.CreateGrantRequest{Code: "123456", Purpose: "user"})
	refused(t, err, fault.PermissionDenied)
	_, err = w.EnrollMfa(program, &identityv1.EnrollMfaRequest{Name: "me"})
	refused(t, err, fault.PermissionDenied)
}

func TestATokenMadeWhileARevokingLockdownIsPendingIsShutByItToo(t *testing.T) {
	w := newWorld(t)
	w.admin()
	w.lockdown("L-0001", func(e *emergencyv1.Emergency) { e.RevokeTokens = proto.Bool(true) })
	w.lockdown("L-0002", func(e *emergencyv1.Emergency) {
		e.RevokeTokens = proto.Bool(true)
		e.StartTime.Seconds += 600
		e.EndTime.Seconds += 600
	})
	ctx := w.admin()
	made := w.token(ctx, &identityv1.Token{Name: "x", Channel: identityv1.Token_API})
	revoked := func() bool {
		armed := who.FromContext(w.as(made.GetToken(), away)).Admission
		_, is := w.view.State().Emergency.TokenRevoked(made.GetId(), armed, w.clock.Now())
		return is
	}
	if revoked() {
		t.Error("it is shut before the start")
	}
	w.clock.advance(11 * time.Minute)
	if !revoked() {
		t.Error("it is not shut at the start")
	}
}

func TestATokenThatIsArmedAgainIsShutByALockdownThatWasScheduledBefore(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	made := w.token(ctx, &identityv1.Token{Name: "x", Channel: identityv1.Token_API})
	revoking := func(e *emergencyv1.Emergency) { e.RevokeTokens = proto.Bool(true) }
	w.lockdown("L-0001", func(e *emergencyv1.Emergency) {
		revoking(e)
		e.StartTime.Seconds += 7200
		e.EndTime.Seconds += 7200
	})
	w.lockdown("L-0002", revoking)
	by := func() string {
		t.Helper()
		shown, err := w.GetToken(w.admin(), &identityv1.GetTokenRequest{Id: made.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		c := who.FromContext(w.as(made.GetToken(), away))
		if cut, _ := w.view.State().Emergency.TokenRevoked(made.GetId(), c.Admission, w.clock.Now()); cut.Emergency != shown.GetRevokedBy() {
			t.Errorf("it is shown as shut by %q, and shut by %q", shown.GetRevokedBy(), cut.Emergency)
		}
		return shown.GetRevokedBy()
	}
	if got := by(); got != "L-0002" {
		t.Fatalf("shut by %q", got)
	}
	ctx = w.admin()
	if _, err := w.RearmToken(ctx, &identityv1.RearmTokenRequest{Id: made.GetId(), Grant: w.grant(ctx, w.first.Secret, "token"), RequestId: "rearm-1"}); err != nil {
		t.Fatal(err)
	}
	if got := by(); got != "" {
		t.Fatalf("armed again, it is shut by %q", got)
	}
	w.clock.advance(3 * time.Hour)
	if got := by(); got != "L-0001" {
		t.Errorf("at its start L-0001 has shut nothing: %q", got)
	}
}

func TestDisablingEnablingAndRenamingArmsNoTokenAgain(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	made := w.token(ctx, &identityv1.Token{Name: "x", Channel: identityv1.Token_API})
	door := w.token(ctx, &identityv1.Token{Name: "door", Channel: identityv1.Token_ENFORCER})
	w.lockdown("L-0001", func(e *emergencyv1.Emergency) { e.RevokeTokens = proto.Bool(true) })
	ctx = w.admin()
	for _, change := range []*identityv1.Token{{Name: "y"}, {Disabled: true}, {Disabled: false}} {
		change.Id = made.GetId()
		fields := &fieldmaskpb.FieldMask{Paths: []string{"disabled"}}
		if change.GetName() != "" {
			fields.Paths = []string{"name"}
		}
		got, err := w.UpdateToken(ctx, &identityv1.UpdateTokenRequest{Token: change, UpdateMask: fields})
		if err != nil || got.GetRevokedBy() != "L-0001" {
			t.Errorf("%v: %v %v", change, got, err)
		}
	}
	all, err := w.ListTokens(ctx, &identityv1.ListTokensRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all.GetTokens() {
		if shut := one.GetRevokedBy() != ""; shut != (one.GetId() != door.GetId()) {
			t.Errorf("%v", one)
		}
	}
}
