package identity_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/identity"
	"portcullis.dev/services/internal/who"
)

const issuer = "https://op.example.com"

// provided is a configuration with a provider.
func provided(c *identity.Config) {
	c.OIDCIssuer, c.OIDCClientID, c.OIDCPublicURL = issuer, "portcullis", "https://portcullis.example.com"
}

// arrival is a person as the provider has them.
func (w *world) arrival(subject, name string, roles ...string) *identityv1.ProviderArrival {
	return &identityv1.ProviderArrival{Issuer: issuer, Subject: subject, Session: "session of " + subject, Name: name, Roles: roles, Time: timestamppb.New(w.clock.Now())}
}

func (w *world) arrive(a *identityv1.ProviderArrival) *identityv1.SignIn {
	w.t.Helper()
	in, err := w.Arrive(from(away), a)
	if err != nil {
		w.t.Fatalf("%s arriving: %v", a.GetName(), err)
	}
	return in
}

func refusedBy(t *testing.T, err error, reason, rule string) {
	t.Helper()
	if f := refused(t, err, reason); f.Details["rule"] != rule {
		t.Errorf("the rule is %q, want %q", f.Details["rule"], rule)
	}
}

func (w *world) holds(name string) []string { return w.shownTo(name).GetRoles() }

func (w *world) shownTo(name string) *identityv1.User {
	w.t.Helper()
	u, err := w.GetUser(w.admin(), &identityv1.GetUserRequest{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func TestWhoArrivesFirstBecomesAUserWithTheRolesOfTheirGroups(t *testing.T) {
	w := newWorld(t, provided)
	a := w.arrival("s-1", "ana", who.Auditor, "no.such.role")
	a.DisplayName, a.Email = "Ana", "ana@example.com"
	in := w.arrive(a)
	if in.GetBy() != "oidc" || in.GetUser().GetEmail() != "ana@example.com" {
		t.Errorf("%v", in)
	}
	want := &identityv1.UserProvider{Issuer: issuer, Subject: "s-1", Roles: []string{who.Auditor}}
	u := w.shownTo("ana")
	if diff := cmp.Diff([]string{who.Auditor}, u.GetRoles()); diff != "" || u.GetProvider().String() != want.String() {
		t.Errorf("%s %v", diff, u)
	}
	c := who.FromContext(w.as(in.GetToken(), away))
	if c.Entry.By != who.ByProvider {
		t.Errorf("came in by %q", c.Entry.By)
	}
	fresh, err := w.RefreshSignIn(w.as(in.GetToken(), away), &identityv1.RefreshSignInRequest{})
	if err != nil || fresh.GetBy() != "oidc" || who.FromContext(w.as(fresh.GetToken(), away)).Entry != c.Entry {
		t.Errorf("%v, %v", fresh, err)
	}
}

func TestSomebodyIsKnownByIssuerAndSubjectWhateverTheyAreCalledNow(t *testing.T) {
	w := newWorld(t, provided)
	w.arrive(w.arrival("s-1", "ana"))
	if in := w.arrive(w.arrival("s-1", "ana.silva")); in.GetUser().GetName() != "ana" {
		t.Errorf("became %s", in.GetUser().GetName())
	}
	_, err := w.Arrive(from(away), w.arrival("s-2", "ana"))
	refusedBy(t, err, fault.AlreadyExists, "providerNameTaken")
}

func TestALocalUserIsNotTakenOverByNameNorByEmail(t *testing.T) {
	w := newWorld(t, provided)
	w.user(w.admin(), "alice")
	a := w.arrival("s-1", "alice")
	a.Email = "alice@example.com"
	_, err := w.Arrive(from(away), a)
	refusedBy(t, err, fault.AlreadyExists, "providerNameTaken")
	_, err = w.Arrive(from(away), w.arrival("s-1", "admin", emergency.Administrator))
	refusedBy(t, err, fault.AlreadyExists, "providerNameTaken")
	_, err = w.Arrive(from(away), w.arrival("s-1", "no name"))
	refusedBy(t, err, fault.PermissionDenied, "providerName")
}

func TestWithoutMakingUsersOnlyWhoIsLinkedGetsIn(t *testing.T) {
	w := newWorld(t, provided, func(c *identity.Config) { c.OIDCCreateUsers = false })
	_, err := w.Arrive(from(away), w.arrival("s-1", "ana"))
	refusedBy(t, err, fault.PermissionDenied, "providerUnknown")
	link := &identityv1.UserProvider{Issuer: issuer, Subject: "s-1"}
	admin := w.admin()
	if _, err := w.CreateUser(admin, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "ana", Provider: link}}); err != nil {
		t.Fatal(err)
	}
	w.user(admin, "bruno")
	_, err = w.UpdateUser(admin, update("bruno", &identityv1.User{Provider: link}, "provider"))
	refused(t, err, fault.AlreadyExists)
	w.arrive(w.arrival("s-1", "whatever", who.Auditor))
	if got := w.holds("ana"); !slices.Equal(got, []string{who.Auditor}) {
		t.Errorf("ana holds %v", got)
	}
}

func update(name string, u *identityv1.User, fields ...string) *identityv1.UpdateUserRequest {
	u.Name = name
	return &identityv1.UpdateUserRequest{User: u, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}}
}

func TestWhoIsLinkedHasNoPasswordUntilMadeLocal(t *testing.T) {
	w := newWorld(t, provided)
	admin := w.admin()
	w.user(admin, "alice")
	before := w.signIn("alice", password, "", away)
	link := &identityv1.UserProvider{Issuer: issuer, Subject: "s-1"}
	_, err := w.UpdateUser(w.as(before, away), update("me", &identityv1.User{Provider: link}, "provider"))
	refused(t, err, fault.PermissionDenied)
	if _, err := w.UpdateUser(admin, update("alice", &identityv1.User{Provider: link}, "provider")); err != nil {
		t.Fatal(err)
	}
	if w.verified(before) {
		t.Error("the sign-in by password goes on")
	}
	_, err = w.CreateSignIn(from(away), &identityv1.CreateSignInRequest{Username: "alice", Password: password})
	refused(t, err, fault.Unauthenticated)
	other := "another password 1"
	_, err = w.UpdateUser(admin, update("alice", &identityv1.User{Password: &other}, "password"))
	refusedBy(t, err, fault.InvalidArgument, "provider")
	_, err = w.CreateUser(admin, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "bruno", Password: &other, Provider: &identityv1.UserProvider{Issuer: issuer, Subject: "s-2"}}})
	refusedBy(t, err, fault.InvalidArgument, "provider")
	in := w.arrive(w.arrival("s-1", "alice"))
	if _, err := w.UpdateUser(admin, update("alice", &identityv1.User{}, "provider")); err != nil {
		t.Fatal(err)
	}
	if w.verified(in.GetToken()) {
		t.Error("the sign-in by the provider goes on")
	}
	_, err = w.CreateSignIn(from(away), &identityv1.CreateSignInRequest{Username: "alice", Password: password})
	refused(t, err, fault.Unauthenticated) // the old one is gone
	if _, err := w.UpdateUser(admin, update("alice", &identityv1.User{Password: &other}, "password")); err != nil {
		t.Fatal(err)
	}
	w.signIn("alice", other, "", away)
	_, err = w.Arrive(from(away), w.arrival("s-1", "alice"))
	refusedBy(t, err, fault.AlreadyExists, "providerNameTaken")
}

func TestLinkingAnAdministratorTakesAGrant(t *testing.T) {
	w := newWorld(t, provided)
	admin := w.admin()
	w.administrator(admin, "rui")
	link := &identityv1.UserProvider{Issuer: issuer, Subject: "s-1"}
	_, err := w.UpdateUser(admin, update("rui", &identityv1.User{Provider: link}, "provider"))
	refused(t, err, fault.GrantRequired)
	grant := w.grant(admin, w.first.Secret, "user")
	if _, err := w.UpdateUser(admin, update("rui", &identityv1.User{Provider: link, Grant: &grant}, "provider")); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(w.control.acts, "user.link rui") {
		t.Errorf("noted: %v", w.control.acts)
	}
}

func TestRolesFollowTheGroupsAtEachSignInAndThoseGivenByHandStay(t *testing.T) {
	w := newWorld(t, provided)
	admin := w.admin()
	if _, err := w.CreateRole(admin, &identityv1.CreateRoleRequest{Role: &identityv1.Role{Name: "operator", Permissions: []string{who.Read}}}); err != nil {
		t.Fatal(err)
	}
	w.arrive(w.arrival("s-1", "ana", who.Auditor))
	if _, err := w.UpdateUser(admin, update("ana", &identityv1.User{Roles: []string{who.Auditor, "operator"}}, "roles")); err != nil {
		t.Fatal(err)
	}
	w.arrive(w.arrival("s-1", "ana"))
	if got := w.holds("ana"); !slices.Equal(got, []string{"operator"}) {
		t.Errorf("out of the group: %v", got)
	}
	w.arrive(w.arrival("s-1", "ana", who.Auditor, "operator"))
	if u := w.shownTo("ana"); !slices.Equal(u.GetRoles(), []string{who.Auditor, "operator"}) || !slices.Equal(u.GetProvider().GetRoles(), []string{who.Auditor}) {
		t.Errorf("in both groups: %v", u)
	}
	w.arrive(w.arrival("s-1", "ana"))
	if got := w.holds("ana"); !slices.Equal(got, []string{"operator"}) {
		t.Errorf("out of both: %v", got)
	}
}

func TestGroupsThatMakeAnAdministratorAreNotedAndNeverTakeTheLastOneAway(t *testing.T) {
	w := newWorld(t, provided)
	in := w.arrive(w.arrival("s-1", "chief", emergency.Administrator))
	if !slices.Contains(w.control.acts, "by groups chief") {
		t.Errorf("noted: %v", w.control.acts)
	}
	w.arrive(w.arrival("s-1", "chief", emergency.Administrator))
	if len(w.control.acts) != 1 {
		t.Errorf("noted again: %v", w.control.acts)
	}
	secret, _ := w.enrol(w.as(in.GetToken(), away))
	_, err := w.CreateGrant(w.as(in.GetToken(), away), &identityv1.CreateGrantRequest{Code: w.next(secret)})
	refused(t, err, fault.MFATooNew) // A6 holds for them too
	w.clock.advance(time.Hour)
	a := w.arrival("s-1", "chief", emergency.Administrator)
	a.Mfa = true
	chief := w.as(w.arrive(a).GetToken(), away)
	w.clock.advance(time.Minute)
	if _, err := w.UpdateUser(chief, update("admin", &identityv1.User{Disabled: true}, "disabled")); err != nil {
		t.Fatal(err)
	}
	a = w.arrival("s-1", "chief")
	a.Mfa = true
	if in := w.arrive(a); !slices.Contains(in.GetUser().GetRoles(), emergency.Administrator) {
		t.Error("the last administrator is none any more")
	}
	grant := w.grant(w.as(w.arrive(a).GetToken(), away), secret, "user")
	if _, err := w.UpdateUser(w.as(w.arrive(a).GetToken(), away), update("admin", &identityv1.User{Grant: &grant}, "disabled")); err == nil {
		t.Error("a grant of another sign-in was taken")
	}
}

func TestTheCodeOfPortcullisFollowsUnlessTheProviderHasCheckedOne(t *testing.T) {
	w := newWorld(t, provided)
	secret, recovery := w.enrol(w.as(w.arrive(w.arrival("s-1", "ana")).GetToken(), away))
	a := w.arrival("s-1", "ana")
	if in := w.arrive(a); !in.GetCodeRequired() || in.GetToken() != "" {
		t.Fatalf("%v", in)
	}
	_, err := w.Confirm(from(away), a, w.wrong(secret))
	refused(t, err, fault.CodeInvalid)
	_, err = w.Confirm(from(away), a, "")
	refused(t, err, fault.CodeInvalid)
	code := w.next(secret)
	in, err := w.Confirm(from(away), a, code)
	if err != nil || in.GetBy() != "oidc" {
		t.Fatalf("%v, %v", in, err)
	}
	_, err = w.Confirm(from(away), a, code)
	refused(t, err, fault.CodeUsed)
	if _, err := w.Confirm(from(away), a, recovery[0]); err != nil {
		t.Error(err)
	}
	a = w.arrival("s-1", "ana")
	a.Mfa = true
	if in := w.arrive(a); in.GetCodeRequired() {
		t.Error("a code is asked for though the provider has checked one")
	}
}

func TestWhoIsDisabledStaysOutBeforeAndAfterTheCode(t *testing.T) {
	w := newWorld(t, provided)
	w.enrol(w.as(w.arrive(w.arrival("s-1", "ana")).GetToken(), away))
	a := w.arrival("s-1", "ana")
	w.arrive(a)
	if _, err := w.UpdateUser(w.admin(), update("ana", &identityv1.User{Disabled: true}, "disabled")); err != nil {
		t.Fatal(err)
	}
	_, err := w.Confirm(from(away), a, "123456")
	refusedBy(t, err, fault.PermissionDenied, "providerDisabled")
	_, err = w.Arrive(from(away), w.arrival("s-1", "ana"))
	refusedBy(t, err, fault.PermissionDenied, "providerDisabled")
}

func TestInALockdownOnlyAdministratorsArriveAndNothingElseIsSaid(t *testing.T) {
	w := newWorld(t, provided)
	w.arrive(w.arrival("s-1", "ana"))
	w.arrive(w.arrival("s-2", "chief", emergency.Administrator))
	secret, _ := w.enrol(w.as(w.arrive(w.arrival("s-3", "rui")).GetToken(), away))
	waiting := w.arrival("s-3", "rui")
	w.arrive(waiting)
	w.user(w.admin(), "alice")
	w.lockdown("L-0001")
	for _, a := range []*identityv1.ProviderArrival{
		w.arrival("s-1", "ana"), w.arrival("s-1", "ana", emergency.Administrator), w.arrival("s-9", "newcomer"), w.arrival("s-9", "alice"), w.arrival("s-9", "no name"),
		w.arrival("s-9", "admin", emergency.Administrator), w.arrival("s-2", "chief"), // who is none any more
	} {
		_, err := w.Arrive(from(away), a)
		refused(t, err, fault.Lockdown)
	}
	_, err := w.Confirm(from(away), waiting, w.next(secret))
	refused(t, err, fault.Lockdown)
	if w.rollHas("newcomer") {
		t.Error("a user was made in a lockdown")
	}
	w.signIn("admin", w.first.Password, w.next(w.first.Secret), home)
}

func (w *world) rollHas(name string) bool {
	_, err := w.GetUser(w.admin(), &identityv1.GetUserRequest{Name: name})
	return err == nil
}

func TestAnAdministratorArrivesInALockdown(t *testing.T) {
	w := newWorld(t, provided)
	w.arrive(w.arrival("s-2", "chief", emergency.Administrator))
	w.lockdown("L-0001")
	if in := w.arrive(w.arrival("s-2", "chief", emergency.Administrator)); in.GetToken() == "" {
		t.Errorf("%v", in)
	}
}

func TestWhatTheProviderEndsIsOverInEveryReplicaAndStaysSo(t *testing.T) {
	w := newWorld(t, provided)
	other := w.start()
	one := w.arrive(w.arrival("s-1", "ana"))
	second := w.arrival("s-1", "ana")
	second.Session = "another session"
	two, bruno := w.arrive(second), w.arrive(w.arrival("s-2", "bruno"))
	if err := w.Depart(t.Context(), "jti-1", who.ProviderSession(issuer, "session of s-1")); err != nil {
		t.Fatal(err)
	}
	if w.verified(one.GetToken()) || !w.verified(two.GetToken()) || !w.verified(bruno.GetToken()) {
		t.Error("one session of the provider ended something else")
	}
	again := w.arrive(w.arrival("s-1", "ana"))
	if !w.verified(again.GetToken()) {
		t.Error("who signs in again at once is out")
	}
	refused(t, other.Depart(t.Context(), "jti-1", who.ProviderSession(issuer, "session of s-1")), fault.InvalidArgument)
	if !w.verified(again.GetToken()) {
		t.Error("a replayed logout token ended a later sign-in")
	}
	if err := other.Depart(t.Context(), "jti-2", who.ProviderSubject(issuer, "s-1")); err != nil {
		t.Fatal(err)
	}
	w.until("the end to be known", func() bool { return !w.verified(two.GetToken()) && !w.verified(again.GetToken()) })
	if !w.verified(bruno.GetToken()) {
		t.Error("somebody else was signed out")
	}
	_, err := w.RefreshSignIn(who.NewContext(context.Background(), who.Caller{}), &identityv1.RefreshSignInRequest{})
	if err == nil {
		t.Error("nobody was refreshed")
	}
}

func TestWhoWaitsForTheCodeWhenTheProviderEndsItBeginsAgain(t *testing.T) {
	w := newWorld(t, provided)
	secret, _ := w.enrol(w.as(w.arrive(w.arrival("s-1", "ana")).GetToken(), away))
	a := w.arrival("s-1", "ana")
	w.arrive(a)
	if err := w.Depart(t.Context(), "jti-1", who.ProviderSubject(issuer, "s-1")); err != nil {
		t.Fatal(err)
	}
	_, err := w.Confirm(from(away), a, w.next(secret))
	refusedBy(t, err, fault.Unauthenticated, "providerFlow")
}

func TestWhoIsDeletedAndArrivesAgainIsAnotherPerson(t *testing.T) {
	w := newWorld(t, provided)
	w.enrol(w.as(w.arrive(w.arrival("s-1", "ana")).GetToken(), away))
	a := w.arrival("s-1", "ana")
	w.arrive(a)
	if _, err := w.DeleteUser(w.admin(), &identityv1.DeleteUserRequest{Name: "ana"}); err != nil {
		t.Fatal(err)
	}
	if in := w.arrive(w.arrival("s-1", "ana")); in.GetCodeRequired() {
		t.Error("the factor of who was deleted counts")
	}
	_, err := w.Confirm(from(away), a, "123456")
	refusedBy(t, err, fault.Unauthenticated, "providerFlow")
}

func (f fakeActs) RecordGroupAct(_ context.Context, r *emergencyv1.RecordGroupActRequest, _ ...grpc.CallOption) (*emergencyv1.RecordActResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acts, f.hands = append(f.acts, "by groups "+r.GetTarget()), append(f.hands, fmt.Sprint(r.GetHands()))
	return &emergencyv1.RecordActResponse{Revision: f.view.State().Emergency.Revision().String()}, nil
}
