package identity_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/who"
)

func (w *world) change(ctx context.Context, u *identityv1.User, fields ...string) error {
	_, err := w.UpdateUser(ctx, &identityv1.UpdateUserRequest{User: u, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}})
	return err
}

func (w *world) role(ctx context.Context, name string, permissions ...string) {
	w.t.Helper()
	if _, err := w.CreateRole(ctx, &identityv1.CreateRoleRequest{Role: &identityv1.Role{Name: name, Permissions: permissions}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestACustomRoleNeverHasThePanel(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	_, err := w.CreateRole(ctx, &identityv1.CreateRoleRequest{Role: &identityv1.Role{Name: "operator", Permissions: []string{who.Read, who.ControlEmergencies}}})
	refused(t, err, fault.InvalidArgument)
	for _, name := range []string{"Auditor", "auditor", emergency.Administrator} {
		_, err := w.CreateRole(ctx, &identityv1.CreateRoleRequest{Role: &identityv1.Role{Name: name, Permissions: []string{who.Read}}})
		refused(t, err, fault.AlreadyExists)
	}
	w.role(ctx, "operator", who.Read, who.ManageSessions)
	w.user(ctx, "alice", "operator")
	alice := w.as(w.signIn("alice", password, "", away), away)
	if c := who.FromContext(alice); !w.view.State().Who.Holds(c, who.ManageSessions) || w.view.State().Who.Holds(c, who.ControlEmergencies) {
		t.Error("alice holds something else than her role")
	}
	_, err = w.DeleteRole(ctx, &identityv1.DeleteRoleRequest{Name: "operator"})
	refused(t, err, "ROLE_IN_USE")
	if err := w.change(ctx, &identityv1.User{Name: "alice"}, "roles"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteRole(ctx, &identityv1.DeleteRoleRequest{Name: "operator"}); err != nil {
		t.Error(err)
	}
}

func TestGrantingSystemAdministratorTakesAGrant(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	u := &identityv1.User{Name: "alice", Roles: []string{emergency.Administrator}}
	refused(t, w.change(ctx, u, "roles"), fault.GrantRequired)
	other := w.grant(ctx, w.first.Secret, "lockdown")
	u.Grant = &other
	refused(t, w.change(ctx, u, "roles", "grant"), fault.GrantInvalid)
	grant := w.grant(ctx, w.first.Secret, "user")
	u.Grant = &grant
	refused(t, w.change(ctx, &identityv1.User{Name: "alice", Email: "not an address", Roles: u.GetRoles(), Grant: &grant}, "roles", "email"), fault.InvalidArgument)
	if err := w.change(ctx, u, "roles", "grant"); err != nil {
		t.Fatalf("a call refused for its arguments spent the grant: %v", err)
	}
	if want := []string{"user.grant-administrator alice"}; !slices.Equal(w.control.acts, want) {
		t.Errorf("noted %q", w.control.acts)
	}
	u.Name = "bruno"
	_, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: u})
	refused(t, err, fault.GrantUsed)
	if _, err := w.GetUser(ctx, &identityv1.GetUserRequest{Name: "bruno"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("something was written: %v", err)
	}
}

func TestNobodyRaisesThemselvesOrReachesBeyondWhatTheyHold(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.role(ctx, "helpdesk", who.Read, who.ManageUsers)
	w.role(ctx, "operator", who.ManageSessions)
	w.user(ctx, "hugo", "helpdesk")
	w.user(ctx, "olga", "operator")
	w.user(ctx, "alice")
	hugo := w.as(w.signIn("hugo", password, "", away), away)
	text := "another good password"
	for name, err := range map[string]error{
		"own roles":      w.change(hugo, &identityv1.User{Name: "hugo", Roles: []string{"helpdesk", "operator"}}, "roles"),
		"own disabled":   w.change(hugo, &identityv1.User{Name: "hugo", Disabled: true}, "disabled"),
		"beyond":         w.change(hugo, &identityv1.User{Name: "alice", Roles: []string{"operator"}}, "roles"),
		"administrator":  w.change(hugo, &identityv1.User{Name: "alice", Roles: []string{emergency.Administrator}}, "roles"),
		"their password": w.change(hugo, &identityv1.User{Name: "admin", Password: &text}, "password"),
		"their mail":     w.change(hugo, &identityv1.User{Name: "admin", Email: "mallory@example.com"}, "email"),
		"their disabled": w.change(hugo, &identityv1.User{Name: "admin", Disabled: true}, "disabled"),
		"more powerful":  w.change(hugo, &identityv1.User{Name: "olga", Password: &text}, "password"),
		"a key":          w.change(hugo, &identityv1.User{Name: "olga", SshPublicKeys: []string{newKey(t)}}, "ssh_public_keys"),
		"a new role": func() error {
			_, err := w.CreateRole(hugo, &identityv1.CreateRoleRequest{Role: &identityv1.Role{Name: "all", Permissions: []string{who.ManageDevices}}})
			return err
		}(),
		"their MFA": func() error {
			_, err := w.ResetMfa(hugo, &identityv1.ResetMfaRequest{Name: "admin"})
			return err
		}(),
		"deleting": func() error {
			_, err := w.DeleteUser(hugo, &identityv1.DeleteUserRequest{Name: "admin"})
			return err
		}(),
		"the other side": w.change(w.as(w.signIn("alice", password, "", away), away), &identityv1.User{Name: "olga", Email: "a@example.com"}, "email"),
	} {
		if !fault.Is(err, fault.PermissionDenied) && !fault.Is(err, fault.LastAdministrator) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.change(hugo, &identityv1.User{Name: "alice", Password: &text}, "password"); err != nil {
		t.Errorf("a plain user's password: %v", err)
	}
	if err := w.change(hugo, &identityv1.User{Name: "hugo", Email: "hugo@example.com"}, "email"); err != nil {
		t.Errorf("one's own mail: %v", err)
	}
}

func TestAnAdministratorsPasswordTakesAGrantFromAnother(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.administrator(ctx, "berta")
	text := "another good password"
	refused(t, w.change(ctx, &identityv1.User{Name: "berta", Password: &text}, "password"), fault.GrantRequired)
	refused(t, w.change(ctx, &identityv1.User{Name: "berta", SshPublicKeys: []string{newKey(t)}}, "ssh_public_keys"), fault.GrantRequired)
	if err := w.change(ctx, &identityv1.User{Name: "berta", Disabled: true}, "disabled"); err != nil {
		t.Errorf("taking away takes none: %v", err)
	}
	refused(t, w.change(ctx, &identityv1.User{Name: "berta"}, "disabled"), fault.GrantRequired)
	grant := w.grant(ctx, w.first.Secret, "user")
	if err := w.change(ctx, &identityv1.User{Name: "berta", Grant: &grant}, "disabled"); err != nil {
		t.Error(err)
	}
	grant = w.grant(ctx, w.first.Secret, "user")
	if err := w.change(ctx, &identityv1.User{Name: "berta", Password: &text, Grant: &grant}, "password", "grant"); err != nil {
		t.Error(err)
	}
}

func TestTakingAnAdministratorAwayTakesNoGrantAndIsNoted(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	for _, name := range []string{"berta", "carl", "dora", "emil"} {
		w.administrator(ctx, name)
	}
	w.user(ctx, "alice")
	w.control.acts = nil
	for name, err := range map[string]error{
		"a role":    w.change(ctx, &identityv1.User{Name: "berta"}, "roles"),
		"disabling": w.change(ctx, &identityv1.User{Name: "carl", Disabled: true}, "disabled"),
		"deleting":  second(w.DeleteUser(ctx, &identityv1.DeleteUserRequest{Name: "dora"})),
		"a user":    second(w.DeleteUser(ctx, &identityv1.DeleteUserRequest{Name: "alice"})),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	slices.Sort(w.control.acts)
	if want := []string{"user.delete-administrator dora", "user.disable-administrator carl", "user.take-administrator berta"}; !slices.Equal(w.control.acts, want) {
		t.Errorf("noted %q", w.control.acts)
	}
	text := "another good password"
	refused(t, w.change(ctx, &identityv1.User{Name: "emil", Password: &text}, "roles", "password"), fault.GrantRequired)

	w.control.away = true
	if err := w.change(ctx, &identityv1.User{Name: "emil"}, "roles"); err != nil || !strings.Contains(w.log.String(), "nobody is told") {
		t.Errorf("while it can't be noted: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestTheLastAdministratorWithAWorkingMFAStays(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	grant := w.grant(ctx, w.first.Secret, "user")
	text := password
	_, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "berta", Password: &text, Roles: []string{emergency.Administrator}, Grant: &grant}})
	if err != nil {
		t.Fatal(err)
	}
	berta := w.as(w.signIn("berta", password, "", away), away) // an administrator without an MFA
	refused(t, w.change(berta, &identityv1.User{Name: "admin", Disabled: true}, "disabled"), fault.LastAdministrator)
	refused(t, w.change(berta, &identityv1.User{Name: "admin"}, "roles"), fault.LastAdministrator)
	_, err = w.DeleteUser(berta, &identityv1.DeleteUserRequest{Name: "admin"})
	refused(t, err, fault.LastAdministrator)
	_, err = w.ResetMfa(berta, &identityv1.ResetMfaRequest{Name: "admin", Grant: "x"})
	refused(t, err, fault.LastAdministrator)
	w.enrol(berta)
	if err := w.change(berta, &identityv1.User{Name: "admin", Disabled: true}, "disabled"); err != nil {
		t.Errorf("with another one enrolled: %v", err)
	}
	if names, err := w.ListAdministrators(ctx, nil); err != nil || !slices.Equal(names.GetNames(), []string{"berta"}) {
		t.Errorf("administrators are %v, %v", names, err)
	}
}

func TestTwoAdministratorsCanNotRemoveEachOtherAtOnce(t *testing.T) {
	w := newWorld(t)
	other := w.start()
	ctx := w.admin()
	for round := range 5 {
		name := fmt.Sprintf("berta%d", round)
		w.administrator(ctx, name)
		theirs := w.as(w.signIn(name, password, w.next(w.lastSecret), away), away)
		for _, r := range []*replica{w.replica, other} {
			w.until("both to know both", func() bool {
				names, _ := r.ListAdministrators(ctx, nil)
				return len(names.GetNames()) == 2
			})
		}
		var errs [2]error
		var wg sync.WaitGroup
		wg.Go(func() { _, errs[0] = w.DeleteUser(ctx, &identityv1.DeleteUserRequest{Name: name}) })
		wg.Go(func() {
			_, errs[1] = other.UpdateUser(theirs, &identityv1.UpdateUserRequest{User: &identityv1.User{Name: "admin", Disabled: true}})
		})
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("both got through, or none: %v", errs)
		}
		names, err := w.ListAdministrators(ctx, nil)
		if err != nil || len(names.GetNames()) != 1 {
			t.Fatalf("administrators are %v", names)
		}
		if errs[1] == nil { // berta won; she lets admin back in
			refused(t, errs[0], fault.LastAdministrator)
			w.clock.advance(2 * time.Hour)
			theirs = w.as(w.signIn(name, password, w.next(w.lastSecret), away), away)
			grant := w.grant(theirs, w.lastSecret, "user")
			if err := w.change(theirs, &identityv1.User{Name: "admin", Grant: &grant}, "disabled"); err != nil {
				t.Fatal(err)
			}
			ctx = w.admin()
			if _, err := w.DeleteUser(ctx, &identityv1.DeleteUserRequest{Name: name}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		refused(t, errs[1], fault.LastAdministrator)
	}
}

func TestDisablingAUserEndsTheirSignInsForGood(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	token := w.signIn("alice", password, "", away)
	for _, disabled := range []bool{true, false} {
		if err := w.change(ctx, &identityv1.User{Name: "alice", Disabled: disabled}, "disabled"); err != nil {
			t.Fatal(err)
		}
		if w.verified(token) {
			t.Errorf("the sign-in lives on, disabled %v", disabled)
		}
	}
	if !w.verified(w.signIn("alice", password, "", away)) {
		t.Error("a new sign-in is over at once")
	}
}

func TestAPasswordEndsTheSignInsOfTheOneBefore(t *testing.T) {
	w := newWorld(t)
	w.user(w.admin(), "alice")
	token := w.signIn("alice", password, "", away)
	ctx := w.as(token, away)
	text, old, wrong := "another good password", password, "wrong password 1"
	refused(t, w.change(ctx, &identityv1.User{Name: "me", Password: &text}, "password"), fault.InvalidArgument)
	refused(t, w.change(ctx, &identityv1.User{Name: "me", Password: &text, CurrentPassword: &wrong}, "password", "current_password"), fault.PermissionDenied)
	if err := w.change(ctx, &identityv1.User{Name: "me", Password: &text, CurrentPassword: &old}, "password", "current_password"); err != nil {
		t.Fatal(err)
	}
	if w.verified(token) {
		t.Error("the sign-in lives on")
	}
	refused(t, w.try("alice", password, "", away), fault.Unauthenticated)
	if !w.verified(w.signIn("alice", text, "", away)) {
		t.Error("a new sign-in is over at once")
	}
}

func TestASignInOfADeletedUserIsNotOneOfTheNextOfThatName(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	token := w.signIn("alice", password, "", away)
	w.enrol(w.as(token, away))
	if _, err := w.DeleteUser(ctx, &identityv1.DeleteUserRequest{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	_, err := w.GetUser(ctx, &identityv1.GetUserRequest{Name: "alice"})
	refused(t, err, fault.NotFound)
	u, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "alice"}})
	if err != nil || u.GetMfa() != identityv1.User_NONE {
		t.Fatalf("made %v, %v", u, err)
	}
	if w.verified(token) {
		t.Error("the sign-in of the one before works")
	}
	refused(t, w.try("alice", password, "", away), fault.Unauthenticated)
}

func TestTheSameRequestTwiceIsOneEffect(t *testing.T) {
	w := newWorld(t)
	other := w.start()
	ctx := w.admin()
	id, text := "5f1c9d2e-0000-4000-8000-000000000001", password
	r := &identityv1.CreateUserRequest{User: &identityv1.User{Name: "alice", Password: &text, RequestId: &id}}
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() { _, errs[i] = []*replica{w.replica, other}[i%2].CreateUser(ctx, proto.CloneOf(r)) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Errorf("the same request again: %v", err)
		}
	}
	w.signIn("alice", password, "", away)
	another := "another good password"
	for name, u := range map[string]*identityv1.User{
		"another name":     {Name: "bruno", Password: &text, RequestId: &id},
		"another password": {Name: "alice", Password: &another, RequestId: &id},
		"another field":    {Name: "alice", Password: &text, RequestId: &id, Email: "a@example.com"},
	} {
		if _, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: u}); !fault.Is(err, fault.RequestIDReused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := "../../etc"
	_, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "bruno", RequestId: &bad}})
	refused(t, err, fault.InvalidArgument)
}

func TestBadInputIsRefusedAndNothingIsWritten(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	before, err := w.ListUsers(ctx, &identityv1.ListUsersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	short, long := "short", strings.Repeat("x", 1025)
	for field, u := range map[string]*identityv1.User{
		"name":     {Name: "a/b"},
		"name ":    {Name: "a..b"},
		"name  ":   {Name: "a\nb"},
		"name   ":  {Name: "me"},
		"name    ": {Name: "*"},
		"email":    {Name: "alice", Email: "a@example.com\r\nBcc: b@example.com"},
		"email ":   {Name: "alice", Email: "Alice <a@example.com>"},
		"email  ":  {Name: "alice", Email: "a@example.com, b@example.com"},
		"mobile":   {Name: "alice", Mobile: "11 98765-4321"},
		"language": {Name: "alice", Language: "xx"},
		"roles":    {Name: "alice", Roles: []string{"no such role"}},
		"password": {Name: "alice", Password: &short}, "password ": {Name: "alice", Password: &long},
		"sshPublicKeys":  {Name: "alice", SshPublicKeys: []string{"ssh-ed25519 not-a-key"}},
		"sshPublicKeys ": {Name: "alice", SshPublicKeys: []string{`command="id" ` + newKey(t)}},
		"displayName":    {Name: "alice", DisplayName: "two\nlines"},
	} {
		_, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: u})
		if f := refused(t, err, fault.InvalidArgument); f.Details["field"] != strings.TrimSpace(field) {
			t.Errorf("%s: refused for %q: %s", field, f.Details["field"], f.Message)
		}
	}
	refused(t, w.change(ctx, &identityv1.User{Name: "admin"}, "no_such_field"), fault.InvalidArgument)
	refused(t, w.change(ctx, &identityv1.User{Name: "nobody"}, "email"), fault.NotFound)
	after, err := w.ListUsers(ctx, &identityv1.ListUsersRequest{})
	if err != nil || !proto.Equal(before, after) {
		t.Errorf("users are %v, %v", after, err)
	}
}

func TestUsersAreListedByNameInPages(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	for i := range 7 {
		if _, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{Name: fmt.Sprintf("user.%d", i), Disabled: i%2 == 0}}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for token := ""; ; {
		page, err := w.ListUsers(ctx, &identityv1.ListUsersRequest{PageSize: 2, PageToken: token, Filter: "name:user. AND disabled=true"})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.GetUsers() {
			names = append(names, u.GetName())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if want := []string{"user.0", "user.2", "user.4", "user.6"}; !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
	for _, r := range []*identityv1.ListUsersRequest{{PageToken: "?"}, {PageSize: 1001}, {Filter: "colour=red"}} {
		_, err := w.ListUsers(ctx, r)
		refused(t, err, fault.InvalidArgument)
	}
	by, err := w.ListUsers(ctx, &identityv1.ListUsersRequest{Filter: "roles=" + emergency.Administrator})
	if err != nil || len(by.GetUsers()) != 1 {
		t.Errorf("administrators are %v, %v", by, err)
	}
}

func TestNoSecretIsAnsweredOrLogged(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	u := w.user(ctx, "alice")
	secret, codes := w.enrol(w.as(w.signIn("alice", password, "", away), away))
	listed, err := w.ListUsers(ctx, &identityv1.ListUsersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_ = w.try("alice", "a wrong password", "000000", away)
	seen := u.String() + listed.String() + w.log.String()
	for _, s := range []string{password, secret, codes[0], w.first.Password, w.first.Secret, "a wrong password", "argon2id"} {
		if strings.Contains(seen, s) {
			t.Errorf("%q was shown", s)
		}
	}
	if text := fmt.Sprintf("%v %+v %s", w.first, w.first, w.first); strings.Contains(text, w.first.Password) {
		t.Errorf("the first administrator prints as %s", text)
	}
}

// Killed between the deletion and the wiping, the secrets of somebody deleted are still there.
func TestSecretsThatWereLeftBehindBelongToNobody(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	w.enrol(w.as(w.signIn("alice", password, "", away), away))
	secrets, err := w.journal.Stream(t.Context(), "IDENTITY_SECRET")
	if err != nil {
		t.Fatal(err)
	}
	var left []journal.Message
	for _, subject := range []string{"secret.password.alice", "secret.factor.alice"} {
		e, err := secrets.Last(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, journal.Message{Subject: subject, Data: e.Data})
	}
	if _, err := w.DeleteUser(ctx, &identityv1.DeleteUserRequest{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.AppendBatch(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "alice"}}); err != nil {
		t.Fatal(err)
	}
	refused(t, w.try("alice", password, "", away), fault.Unauthenticated)
	text := "another good password"
	if err := w.change(ctx, &identityv1.User{Name: "alice", Password: &text}, "password"); err != nil {
		t.Fatal(err)
	}
	w.signIn("alice", text, "", away) // and no code of the old factor is asked for
}
