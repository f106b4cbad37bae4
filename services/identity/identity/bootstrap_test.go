package identity_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	"portcullis.dev/services/identity/identity"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/ports"
)

func TestTheConfiguredAdministratorIsTaken(t *testing.T) {
	w := newWorld(t, func(c *identity.Config) {
		c.AdminUser, c.AdminPassword, c.AdminTOTPSecret = "root.one", "a configured password", "jbsw y3dp ehpk 3pxp"
	})
	if !w.first.PasswordGiven || !w.first.SecretGiven {
		t.Errorf("announced as made up: %+v", w.first)
	}
	w.signIn("root.one", "a configured password", w.code("JBSWY3DPEHPK3PXP"), home)
	var out strings.Builder
	if err := identity.Print(&out)(w.first); err != nil || strings.Contains(out.String(), "a configured password") {
		t.Errorf("printed %q, %v", out.String(), err)
	}
}

func TestAConfigurationThatCanNotWorkIsRefused(t *testing.T) {
	for name, c := range map[string]identity.Config{
		"short password": {AdminUser: "admin", AdminPassword: "short"},
		"bad secret":     {AdminUser: "admin", AdminTOTPSecret: "not base32!"},
		"short secret":   {AdminUser: "admin", AdminTOTPSecret: "JBSWY3DP"},
		"bad name":       {AdminUser: "a/b"},
		"negative age":   {AdminUser: "admin", MFAMinAge: -1},
	} {
		w := emptyWorld(t)
		w.config = c
		if err := w.checked(); err == nil || strings.Contains(err.Error(), "not base32!") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (w *world) checked() error {
	w.t.Helper()
	_, err := identity.New(w.config, identity.Deps{Journal: w.connect(), View: w.nothing(), Roll: w.roll(), Acts: w.control.for_(nil, w.clock),
		Log: w.logger(), Now: w.clock.Now})
	return err
}

func TestAFirstStartThatWasCutShortGoesOnWithTheSame(t *testing.T) {
	w := emptyWorld(t)
	cut := errors.New("killed before it was shown")
	w.announce = func(b identity.Bootstrap) error { w.first = b; return cut }
	if err := w.startAndFail(); !errors.Is(err, cut) {
		t.Fatalf("got %v", err)
	}
	before := w.first
	w.announce = nil
	w.replica = w.start()
	if w.first != before || w.shown != 1 {
		t.Errorf("shown %d times: first %s, then %s", w.shown, before.Password, w.first.Password)
	}
	w.admin()
	w.stop()
	w.replica = w.start()
	if w.shown != 1 {
		t.Error("it was shown again")
	}
	if raw := w.everything(t, "IDENTITY_SECRET"); strings.Contains(raw, before.Password) {
		t.Error("the password stands in the journal")
	}
}

func TestReplicasThatStartTogetherMakeOneAdministratorAndOneKey(t *testing.T) {
	w := emptyWorld(t)
	started := make(chan *replica, 3)
	for range 3 {
		go func() { started <- w.start() }()
	}
	for range 3 {
		w.replica = <-started
	}
	ctx := w.admin()
	if names := w.names(ctx, ""); !slices.Equal(names, []string{"admin"}) {
		t.Errorf("users are %v", names)
	}
	if n := strings.Count(w.everything(t, "IDENTITY"), "identity.key."); n != 1 {
		t.Errorf("%d keys", n)
	}
}

func TestRecoveringAnAdministratorOnTheHost(t *testing.T) {
	w := newWorld(t)
	ctx := w.admin()
	w.administrator(ctx, "berta")
	old := w.signIn("admin", w.first.Password, w.next(w.first.Secret), home)
	w.stop()
	var acts []string
	r := identity.Recovery{Journal: w.connect(), Box: w.box, Texts: emergency.Texts{}, Now: w.clock.Now,
		Act: func(_ context.Context, kind, target string) error { acts = append(acts, kind+" "+target); return nil }}
	for _, name := range []string{"", "nobody"} {
		if _, err := identity.Recover(t.Context(), r, name); err == nil || !strings.Contains(err.Error(), "admin, berta") {
			t.Errorf("recovering %q: %v", name, err)
		}
	}
	b, err := identity.Recover(t.Context(), r, "admin")
	if err != nil || !slices.Equal(acts, []string{"user.recover admin"}) {
		t.Fatalf("%v, noted %q", err, acts)
	}
	w.replica = w.start()
	if w.verified(old) {
		t.Error("a sign-in from before works")
	}
	refused(t, w.try("admin", w.first.Password, w.next(w.first.Secret), home), fault.Unauthenticated)
	again := w.as(w.signIn("admin", b.Password, w.next(b.Secret), away), away)
	w.grant(again, b.Secret, "lockdown") // at once: whoever has the host has proven more
	if shown, err := w.GetUser(again, &identityv1.GetUserRequest{Name: "me"}); err != nil || shown.GetMfa() != identityv1.User_ACTIVE {
		t.Errorf("%v, %v", shown, err)
	}
	r.Act = func(context.Context, string, string) error { return errors.New("not noted") }
	if _, err := identity.Recover(t.Context(), r, "berta"); err == nil {
		t.Error("it was done without being noted")
	}
	if err := w.try("berta", password, "", away); !fault.Is(err, fault.CodeInvalid) {
		t.Errorf("berta was changed: %v", err)
	}
}

func TestAKeyThatHasGrownOldIsFollowedAtTheNextStartAndStillVerifies(t *testing.T) {
	w := newWorld(t, func(c *identity.Config) { c.TokenKeyAge = 10 * time.Minute })
	w.clock.advance(9 * time.Minute)
	before, text, id := w.admin(), password, "0b54ee96-7c69-4d5f-a9c7-8f5a3f6e8f10"
	made := &identityv1.CreateUserRequest{User: &identityv1.User{Name: "alice", Password: &text, RequestId: &id}}
	if _, err := w.CreateUser(before, made); err != nil {
		t.Fatal(err)
	}
	keys := func() int { return strings.Count(w.everything(t, "IDENTITY"), "identity.key.") }
	old := w.replica
	w.replica = w.start()
	if n := keys(); n != 1 {
		t.Errorf("%d keys, and the first is not old yet", n)
	}
	w.clock.advance(2 * time.Minute)
	for range 2 { // of which the second finds a young one
		w.replica = w.start()
	}
	if n := keys(); n != 2 {
		t.Errorf("%d keys, want the old one and its follower", n)
	}
	after := w.signIn(w.first.User, w.first.Password, w.next(w.first.Secret), home)
	if w.as(after, home); !w.verified(after) {
		t.Error("what the new key has signed does not verify")
	}
	text = password
	if _, err := w.CreateUser(w.as(after, home), made); err != nil {
		t.Errorf("the same request is another one to a replica with the new key: %v", err)
	}
	w.replica = old // it has not started since
	late := w.signIn(w.first.User, w.first.Password, w.next(w.first.Secret), home)
	w.replica = w.start()
	if !w.verified(late) || !w.verified(after) {
		t.Error("what one of the keys has signed verifies at one replica and not at another")
	}
}

func TestAJournalThatIsLostAtTheStartIsAwaited(t *testing.T) {
	free, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	w, address := emptyWorld(t), free[0]
	w.elsewhere = "nats://" + address
	folder := t.TempDir()
	serve := func() *local.Server {
		server, err := local.Start(local.Config{Dir: folder, Listen: address})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Shutdown)
		return server
	}
	server := serve()
	if err := journal.Create(t.Context(), w.connect(), journal.Streams(1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, running := w.watching(ctx, cancel)
	w.before = sync.OnceFunc(server.Shutdown) // what it keeps has been opened by then
	ended := make(chan error, 1)
	running.Go(func() { ended <- r.Run(ctx) })
	w.until("identity to say that it waits", func() bool { return strings.Contains(w.log.String(), "starting once it can") })
	serve()
	select {
	case <-r.Ready():
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	case <-time.After(within):
		t.Fatal("it does not start")
	}
}
