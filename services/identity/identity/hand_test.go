package identity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

// clerks are people who may make and change users, and are no administrators. Their passwords are of whoever made them.
func (w *world) clerks(ctx context.Context, names ...string) (all []context.Context) {
	w.t.Helper()
	if _, err := w.CreateRole(ctx, &identityv1.CreateRoleRequest{Role: &identityv1.Role{Name: "clerk", Permissions: []string{who.ManageUsers, who.ManageTokens}}}); err != nil {
		w.t.Fatal(err)
	}
	for _, name := range names {
		w.user(ctx, name, "clerk")
		all = append(all, w.as(w.signIn(name, password, "", away), away))
	}
	return all
}

// promote makes an administrator of somebody.
func (w *world) promote(ctx context.Context, name string) error {
	w.t.Helper()
	grant := w.grant(ctx, w.first.Secret, "user")
	_, err := w.UpdateUser(ctx, update(name, &identityv1.User{Roles: []string{emergency.Administrator}, Grant: &grant}, "roles"))
	return err
}

func (w *world) must(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestWhoGaveSomebodyTheMeansToActBeforeTheyBecameAnAdministratorIsNamedWithTheAct(t *testing.T) {
	w := newWorld(t, provided)
	admin := w.admin()
	c := w.clerks(admin, "anna", "bert")
	anna, bert := c[0], c[1]
	owned := w.token(anna, &identityv1.Token{Name: "sync", Channel: identityv1.Token_API, Permissions: []string{who.ManageUsers}})
	other := "another good password"
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0d0ff0ZpqwAqEDiNQ6nSYPbLuRDzKpJmWZ0kBBBQ0r"
	for name, made := range map[string]struct {
		so   func(name string)
		want string
	}{
		"by nobody": {func(name string) {
			w.must(w.CreateUser(anna, &identityv1.CreateUserRequest{User: &identityv1.User{Name: name}}))
		}, ""},
		"made with a password": {func(name string) { w.user(anna, name) }, "anna admin"},
		"given another password, twice": {func(name string) {
			w.user(anna, name)
			w.must(w.UpdateUser(bert, update(name, &identityv1.User{Password: &other}, "password")))
			w.must(w.UpdateUser(bert, update(name, &identityv1.User{Password: proto.String(password)}, "password")))
		}, "anna admin bert"},
		"changed by themselves": {func(name string) {
			w.user(anna, name)
			own := w.as(w.signIn(name, password, "", away), away)
			w.must(w.UpdateUser(own, update(name, &identityv1.User{Password: &other, CurrentPassword: proto.String(password)}, "password")))
		}, "anna admin"},
		"given a key": {func(name string) {
			w.must(w.CreateUser(anna, &identityv1.CreateUserRequest{User: &identityv1.User{Name: name}}))
			w.must(w.UpdateUser(bert, update(name, &identityv1.User{SshPublicKeys: []string{key}}, "ssh_public_keys")))
		}, "bert admin"},
		"given a provider": {func(name string) {
			w.must(w.CreateUser(anna, &identityv1.CreateUserRequest{User: &identityv1.User{Name: name, Provider: &identityv1.UserProvider{Issuer: issuer, Subject: name}}}))
		}, "anna admin"},
		"made by somebody's token": {func(name string) {
			program := w.as(owned.GetToken(), away)
			w.must(w.CreateUser(program, &identityv1.CreateUserRequest{User: &identityv1.User{Name: name, Password: &other}}))
		}, "anna admin"},
		"imported": {func(name string) {
			if errs := w.stage(bert, name, &identityv1.User{Name: name, Password: &other}); len(errs) > 0 {
				t.Fatal(errs)
			}
			w.must(w.CommitUsers(t.Context(), &identityv1.CommitUsersRequest{ImportId: name}))
		}, "bert admin"},
		"deleted, and made anew": {func(name string) {
			w.user(anna, name)
			w.must(w.DeleteUser(anna, &identityv1.DeleteUserRequest{Name: name}))
			w.user(bert, name)
		}, "bert admin"},
		"made by somebody whom another had made, who is gone": {func(name string) {
			w.user(anna, "carl", "clerk")
			w.user(w.as(w.signIn("carl", password, "", away), away), name)
			w.must(w.DeleteUser(anna, &identityv1.DeleteUserRequest{Name: "carl"}))
		}, "carl anna admin"},
		"only renamed": {func(name string) {
			w.user(anna, name)
			w.must(w.UpdateUser(bert, update(name, &identityv1.User{DisplayName: "Rui"}, "display_name")))
		}, "anna admin"},
	} {
		t.Run(name, func(t *testing.T) {
			whom := strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(name)
			made.so(whom)
			w.must(nil, w.promote(admin, whom))
			if got := w.control.hands[len(w.control.hands)-1]; got != "["+made.want+"]" {
				t.Errorf("with the act stand %q, want %q", got, made.want)
			}
		})
	}
	// Groups may make an administrator of whom somebody has linked.
	w.must(w.CreateUser(anna, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "rui", Provider: &identityv1.UserProvider{Issuer: issuer, Subject: "s-1"}}}))
	w.arrive(w.arrival("s-1", "rui", emergency.Administrator))
	w.arrive(w.arrival("s-2", "eva", emergency.Administrator))
	if got := w.control.hands[len(w.control.hands)-2:]; got[0] != "[anna admin]" || got[1] != "[]" {
		t.Errorf("with the acts of groups stand %q", got)
	}
}

func TestWhoGivesSomebodyTheMeansToActWhileTheyBecomeAnAdministratorIsNamedOrNobodyBecomesOne(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	anna := w.clerks(admin, "anna")[0]
	other, aborted := "another good password", 0
	for n := range 5 {
		whom := fmt.Sprintf("rui%d", n)
		w.must(w.CreateUser(admin, &identityv1.CreateUserRequest{User: &identityv1.User{Name: whom}}))
		grant := w.grant(admin, w.first.Secret, "user")
		gave := fmt.Errorf("never came")
		w.clock.meanwhile(n+1, func() {
			_, gave = w.UpdateUser(anna, update(whom, &identityv1.User{Password: &other}, "password"))
		})
		_, err := w.UpdateUser(admin, update(whom, &identityv1.User{Roles: []string{emergency.Administrator}, Grant: &grant}, "roles"))
		w.clock.meanwhile(0, nil)
		got := w.control.hands[len(w.control.hands)-1]
		switch {
		case fault.Is(err, fault.Aborted):
			aborted++
		case err != nil:
			t.Errorf("%s: %v", whom, err)
		case gave == nil && got != "[anna admin]":
			t.Errorf("%s is an administrator, and has a password of anna's; with the act stands %q", whom, got)
		}
	}
	if aborted == 0 {
		t.Error("nothing came in between")
	}
}
