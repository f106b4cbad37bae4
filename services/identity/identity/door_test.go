package identity_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/internal/who"
)

func wire(t *testing.T, line string) []byte {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return key.Marshal()
}

func TestAnSSHKeyMustBeRegisteredForThatEnabledUser(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	key, other := newKey(t), newKey(t)
	w.user(ctx, "bruno")
	if _, err := w.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{Name: "alice", SshPublicKeys: []string{key}}}); err != nil {
		t.Fatal(err)
	}
	ask := func(user, line string) error {
		a, err := w.Authenticate(t.Context(), &identityv1.AuthenticateRequest{Username: user, Address: away,
			Proof: &identityv1.AuthenticateRequest_PublicKey{PublicKey: wire(t, line)}})
		if err == nil && a.GetUser() != user {
			t.Errorf("%s is taken for %s", user, a.GetUser())
		}
		return err
	}
	if err := ask("alice", key); err != nil {
		t.Error(err)
	}
	refused(t, ask("alice", other), fault.Unauthenticated)
	refused(t, ask("bruno", key), fault.Unauthenticated)
	refused(t, ask("nobody", key), fault.Unauthenticated)
	if err := w.change(ctx, &identityv1.User{Name: "alice", Disabled: true}, "disabled"); err != nil {
		t.Fatal(err)
	}
	refused(t, ask("alice", key), fault.Unauthenticated)
}

func TestADoorTakesThePasswordAndThenTheCode(t *testing.T) {
	w := newWorld(t)
	w.user(w.admin(), "alice")
	ask := func(user, password, code string) (*identityv1.AuthenticateResponse, error) {
		return w.Authenticate(t.Context(), &identityv1.AuthenticateRequest{Username: user, Address: away,
			Proof: &identityv1.AuthenticateRequest_Password{Password: &identityv1.PasswordProof{Password: password, Code: code}}})
	}
	if a, err := ask("alice", password, ""); err != nil || a.GetCodeRequired() {
		t.Errorf("without an MFA: %v, %v", a, err)
	}
	if a, err := ask("admin", w.first.Password, ""); err != nil || !a.GetCodeRequired() {
		t.Errorf("with one: %v, %v", a, err)
	}
	if a, err := ask("admin", w.first.Password, w.next(w.first.Secret)); err != nil || a.GetCodeRequired() || a.GetUser() != "admin" {
		t.Errorf("with the code: %v, %v", a, err)
	}
	_, err := ask("admin", w.first.Password, w.wrong(w.first.Secret))
	refused(t, err, fault.CodeInvalid)
	_, err = ask("alice", "wrong password 1", "")
	refused(t, err, fault.Unauthenticated)
	_, err = w.Authenticate(t.Context(), &identityv1.AuthenticateRequest{Username: "alice"})
	refused(t, err, fault.InvalidArgument)
}

func (w *world) stage(ctx context.Context, id string, users ...*identityv1.User) []*identityv1.RowError {
	w.t.Helper()
	a, err := w.StageUsers(ctx, &identityv1.StageUsersRequest{ImportId: id, Users: users})
	if err != nil {
		w.t.Fatal(err)
	}
	return a.GetErrors()
}

func (w *world) names(ctx context.Context, filter string) (names []string) {
	w.t.Helper()
	all, err := w.ListUsers(ctx, &identityv1.ListUsersRequest{Filter: filter, PageSize: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, u := range all.GetUsers() {
		names = append(names, u.GetName())
	}
	return names
}

func TestAnImportCountsAllAtOnceWhenItIsCommitted(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	token := w.signIn("alice", password, "", away)
	text := "imported password"
	users := []*identityv1.User{{Name: "alice", Email: "alice@example.com", Password: proto.String(password)}, {Name: "imported.with", Password: &text}}
	for i := range 1200 { // more than one batch
		users = append(users, &identityv1.User{Name: fmt.Sprintf("imported.%04d", i)})
	}
	if errs := w.stage(ctx, "import-1", users...); len(errs) > 0 {
		t.Fatal(errs)
	}
	if names := w.names(ctx, "name:imported"); len(names) > 0 {
		t.Fatalf("%d users count before the commit", len(names))
	}
	refused(t, w.try("imported.with", text, "", away), fault.Unauthenticated)
	w.stop()
	w.replica = w.start() // a staged import survives a restart as such
	if u, err := w.GetUser(ctx, &identityv1.GetUserRequest{Name: "alice"}); err != nil || u.GetEmail() != "" || !w.verified(token) {
		t.Fatalf("alice is %v, %v", u, err)
	}
	for range 2 {
		if _, err := w.CommitUsers(t.Context(), &identityv1.CommitUsersRequest{ImportId: "import-1"}); err != nil {
			t.Fatal(err)
		}
	}
	if names := w.names(ctx, "name:imported AND disabled=false"); len(names) != 1000 { // a page
		t.Errorf("%d users after the commit", len(names))
	}
	if u, err := w.GetUser(ctx, &identityv1.GetUserRequest{Name: "alice"}); err != nil || u.GetEmail() != "alice@example.com" {
		t.Errorf("alice is %v, %v", u, err)
	}
	w.signIn("alice", password, "", away)
	w.signIn("imported.with", text, "", away)
	if errs := w.stage(ctx, "import-2", users...); len(errs) > 0 {
		t.Errorf("the same document again: %v", errs)
	}
}

func TestAnImportIsRefusedWholeAndNamesEachRow(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	w.administrator(ctx, "berta")
	errs := w.stage(ctx, "import-1",
		&identityv1.User{Name: "good"},
		&identityv1.User{Name: "bad name"},
		&identityv1.User{Name: "boss", Roles: []string{emergency.Administrator}},
		&identityv1.User{Name: "berta", Roles: []string{who.Auditor}}, // another role than hers
		&identityv1.User{Name: "alice", Password: proto.String("another good password")},
		&identityv1.User{Name: "good"},
	)
	var rows []string
	for _, e := range errs {
		rows = append(rows, fmt.Sprint(e.GetRow(), " ", e.GetReason()))
	}
	want := fmt.Sprint([]string{"1 INVALID_ARGUMENT", "2 GRANT_REQUIRED", "3 GRANT_REQUIRED", "4 INVALID_ARGUMENT", "5 ALREADY_EXISTS"})
	if fmt.Sprint(rows) != want {
		t.Errorf("refused %v, want %v", rows, want)
	}
	if _, err := w.CommitUsers(t.Context(), &identityv1.CommitUsersRequest{ImportId: "import-1"}); err != nil {
		t.Fatal(err)
	}
	if names := w.names(ctx, "name:good"); len(names) > 0 {
		t.Error("a row of a refused import counts")
	}
	w.role(ctx, "helpdesk", who.Read)
	w.user(ctx, "hugo", "helpdesk")
	_, err := w.StageUsers(w.as(w.signIn("hugo", password, "", away), away), &identityv1.StageUsersRequest{ImportId: "import-3"})
	refused(t, err, fault.PermissionDenied)
	_, err = w.StageUsers(ctx, &identityv1.StageUsersRequest{ImportId: "a.b/c"})
	refused(t, err, fault.InvalidArgument)
}

func TestAnImportChangesOfAUserWhoIsThereWhatItsRowFillsInAlone(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	if err := w.change(ctx, &identityv1.User{Name: "alice", Email: "alice@mail.test", Disabled: true}, "email", "disabled"); err != nil {
		t.Fatal(err)
	}
	if errs := w.stage(ctx, "import-1", &identityv1.User{Name: "alice", DisplayName: "Alice Amaral"}); len(errs) > 0 {
		t.Fatal(errs)
	}
	if _, err := w.CommitUsers(t.Context(), &identityv1.CommitUsersRequest{ImportId: "import-1"}); err != nil {
		t.Fatal(err)
	}
	u, err := w.GetUser(ctx, &identityv1.GetUserRequest{Name: "alice"})
	if err != nil || u.GetDisplayName() != "Alice Amaral" || u.GetEmail() != "alice@mail.test" || !u.GetDisabled() {
		t.Errorf("alice is %v, %v", u, err)
	}
}

func TestAnEditAfterStagingWinsOverTheImport(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.user(ctx, "alice")
	if errs := w.stage(ctx, "import-1", &identityv1.User{Name: "alice", Disabled: true}); len(errs) > 0 {
		t.Fatal(errs)
	}
	grant := w.grant(ctx, w.first.Secret, "user")
	if err := w.change(ctx, &identityv1.User{Name: "alice", Roles: []string{emergency.Administrator}, Grant: &grant}, "roles"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CommitUsers(t.Context(), &identityv1.CommitUsersRequest{ImportId: "import-1"}); err != nil {
		t.Fatal(err)
	}
	u, err := w.GetUser(ctx, &identityv1.GetUserRequest{Name: "alice"})
	if err != nil || u.GetDisabled() || len(u.GetRoles()) != 1 {
		t.Errorf("alice is %v, %v", u, err)
	}
}

func TestContactsAreAnsweredInTheOrderAskedAndNobodyElse(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	for _, name := range []string{"alice", "bob", "carla"} {
		w.user(ctx, name)
	}
	if err := w.change(ctx, &identityv1.User{Name: "bob", DisplayName: "Bob", Email: "bob@mail.test", Mobile: "+5511987654321", Language: "pt-BR", Disabled: true},
		"display_name", "email", "mobile", "language", "disabled"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteUser(ctx, &identityv1.DeleteUserRequest{Name: "carla"}); err != nil {
		t.Fatal(err)
	}
	got, err := w.ListContacts(t.Context(), &identityv1.ListContactsRequest{Names: []string{"bob", "nobody", "carla", "alice", "bob", "a.b/c"}})
	if err != nil {
		t.Fatal(err)
	}
	bob := &identityv1.Contact{Name: "bob", DisplayName: "Bob", Email: "bob@mail.test", Mobile: "+5511987654321", Language: "pt-BR", Disabled: true}
	want := &identityv1.ListContactsResponse{Contacts: []*identityv1.Contact{bob, {Name: "alice", Language: "en"}, bob}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
