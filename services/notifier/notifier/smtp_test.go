package notifier

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/settings"
)

func accountNamed(name string) *notificationv1.SmtpAccount {
	return &notificationv1.SmtpAccount{
		Name: name, Enabled: true, Sender: "Portcullis <brake@example.com>", Host: "mail.example.com",
		SecureConnection: true, Authentication: true, Username: "brake", Password: proto.String("pw-" + name),
	}
}

func (o *office) account(d *opened, name string) *notificationv1.SmtpAccount {
	o.t.Helper()
	return must(d.CreateSmtpAccount(o.admin(), &notificationv1.CreateSmtpAccountRequest{SmtpAccount: accountNamed(name)}))
}

func (o *office) changeAccount(d *opened, a *notificationv1.SmtpAccount, paths ...string) (*notificationv1.SmtpAccount, error) {
	return d.UpdateSmtpAccount(o.admin(), &notificationv1.UpdateSmtpAccountRequest{SmtpAccount: a, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
}

// defaults are the names of the default accounts, as lists show them.
func (o *office) defaults(d *opened) []string {
	o.t.Helper()
	var names []string
	for _, a := range must(d.ListSmtpAccounts(o.admin(), &notificationv1.ListSmtpAccountsRequest{})).GetSmtpAccounts() {
		if a.GetDefaultAccount() {
			names = append(names, a.GetName())
		}
	}
	return names
}

func TestTheFirstAccountBecomesTheDefaultAndAnotherTakesItOver(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	first, second := o.account(d, "first"), o.account(d, "second")
	if !first.GetDefaultAccount() || second.GetDefaultAccount() {
		t.Fatalf("defaults %v, %v", first, second)
	}
	if _, err := o.changeAccount(d, &notificationv1.SmtpAccount{Id: second.GetId(), DefaultAccount: true}, "default_account"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"second"}, o.defaults(d)); diff != "" {
		t.Error(diff)
	}
	third := accountNamed("third")
	third.DefaultAccount = true
	must(d.CreateSmtpAccount(o.admin(), &notificationv1.CreateSmtpAccountRequest{SmtpAccount: third}))
	if diff := cmp.Diff([]string{"third"}, o.defaults(d)); diff != "" {
		t.Error(diff)
	}
	if kept := o.secrets(d, settings.SmtpAccounts, first.GetId()); kept.GetPassword() != "pw-first" {
		t.Errorf("who lost the default lost the password too: %v", kept)
	}
}

func TestTheDefaultAccountStaysOneThatWorksWhileThereAreOthers(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	first := o.account(d, "first")
	if _, err := o.changeAccount(d, &notificationv1.SmtpAccount{Id: first.GetId()}, "enabled"); err != nil {
		t.Errorf("the only account can't be disabled: %v", err)
	}
	must(o.changeAccount(d, &notificationv1.SmtpAccount{Id: first.GetId(), Enabled: true}, "enabled"))
	second := o.account(d, "second")
	_, err := o.changeAccount(d, &notificationv1.SmtpAccount{Id: first.GetId()}, "enabled")
	wantRefused(t, err, fault.DefaultAccountRequired, "enabled")
	_, err = o.changeAccount(d, &notificationv1.SmtpAccount{Id: first.GetId()}, "default_account")
	wantRefused(t, err, fault.DefaultAccountRequired, "defaultAccount")
	_, err = d.DeleteSmtpAccount(o.admin(), &notificationv1.DeleteSmtpAccountRequest{Id: first.GetId()})
	wantRefused(t, err, fault.DefaultAccountRequired, "id")
	must(o.changeAccount(d, &notificationv1.SmtpAccount{Id: second.GetId()}, "enabled"))
	_, err = o.changeAccount(d, &notificationv1.SmtpAccount{Id: second.GetId(), DefaultAccount: true}, "default_account")
	wantRefused(t, err, fault.DefaultAccountRequired, "enabled")
	must(d.DeleteSmtpAccount(o.admin(), &notificationv1.DeleteSmtpAccountRequest{Id: second.GetId()}))
	must(d.DeleteSmtpAccount(o.admin(), &notificationv1.DeleteSmtpAccountRequest{Id: first.GetId()}))
	if again := o.account(d, "first"); !again.GetDefaultAccount() || again.GetId() == first.GetId() {
		t.Errorf("after the last was deleted, the next is %v", again)
	}
}

func TestFiftyAtOnceWhoSetTheDefaultAccountLeaveExactlyOne(t *testing.T) {
	o := newOffice(t)
	desks := []*opened{o.desk(), o.desk()} // two replicas
	var ids []string
	for i := range 10 {
		ids = append(ids, o.account(desks[i%2], fmt.Sprint("account-", i)).GetId())
	}
	watched, stop := desks[0].Book.Subscribe()
	defer stop()
	done := make(chan struct{})
	var looking, editing sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-watched:
			case <-done:
				return
			}
			s, n := desks[0].Book.Snapshot(), 0
			for _, a := range s.SmtpAccounts() {
				if a.GetDefaultAccount() {
					n++
				}
			}
			if n != 1 || s.DefaultAccount() == nil {
				t.Errorf("at one moment there were %d default accounts", n)
			}
		}
	})
	for i := range 50 {
		editing.Go(func() {
			a := &notificationv1.SmtpAccount{Id: ids[i%len(ids)], DefaultAccount: true, Footnote: i%3 == 0}
			if _, err := o.changeAccount(desks[i%2], a, "default_account", "footnote"); err != nil {
				t.Error(err)
			}
		})
	}
	editing.Wait()
	close(done)
	looking.Wait()
	for _, d := range []*opened{desks[0], desks[1], o.desk()} {
		if got := o.defaults(d); len(got) != 1 {
			t.Errorf("the defaults are %v", got)
		}
	}
}

func TestAPortFollowsTheTypeOfTheSecureConnection(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	for i, c := range []struct {
		secure bool
		as     notificationv1.SecureConnectionType
		port   uint32
		want   uint32
		shown  notificationv1.SecureConnectionType
	}{
		{true, notificationv1.SecureConnectionType_TLS, 0, 587, notificationv1.SecureConnectionType_TLS},
		{true, notificationv1.SecureConnectionType_SSL, 0, 465, notificationv1.SecureConnectionType_SSL},
		{true, 0, 0, 587, notificationv1.SecureConnectionType_TLS},
		{false, notificationv1.SecureConnectionType_SSL, 0, 25, 0},
		{false, 0, 2525, 2525, 0},
	} {
		a := accountNamed(fmt.Sprint("account-", i))
		a.SecureConnection, a.SecureConnectionType, a.Port = c.secure, c.as, c.port
		got := must(d.CreateSmtpAccount(o.admin(), &notificationv1.CreateSmtpAccountRequest{SmtpAccount: a}))
		if got.GetPort() != c.want || got.GetSecureConnectionType() != c.shown {
			t.Errorf("%+v became port %d, %v", c, got.GetPort(), got.GetSecureConnectionType())
		}
	}
}

func TestAPasswordIsSealedAndNeverAnswered(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	in := accountNamed("first")
	in.Password = proto.String("correct-horse-battery")
	in.RequestId = proto.String(uuid.NewString())
	a := must(d.CreateSmtpAccount(o.admin(), &notificationv1.CreateSmtpAccountRequest{SmtpAccount: in}))
	listed := must(d.ListSmtpAccounts(o.admin(), &notificationv1.ListSmtpAccountsRequest{})).GetSmtpAccounts()
	for _, shown := range append(listed, a, must(d.GetSmtpAccount(o.admin(), &notificationv1.GetSmtpAccountRequest{Id: a.GetId()}))) {
		if shown.Password != nil || !shown.GetCredentialSet() || shown.RequestId != nil {
			t.Errorf("answered %v", shown)
		}
	}
	if bytes.Contains(o.stored(), []byte("correct-horse")) {
		t.Error("the journal has the password in clear")
	}
	if kept := o.secrets(d, settings.SmtpAccounts, a.GetId()); kept.GetPassword() != "correct-horse-battery" {
		t.Errorf("kept %v", kept)
	}
	if cleared := must(o.changeAccount(d, &notificationv1.SmtpAccount{Id: a.GetId()}, "password")); cleared.GetCredentialSet() || len(cleared.GetWarnings()) == 0 {
		t.Errorf("a cleared password: %v", cleared)
	}
}

func TestAChangeThatLeadsElsewhereForgetsThePassword(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	for path, change := range map[string]*notificationv1.SmtpAccount{
		"host":                      {Host: "evil.example.com"},
		"port":                      {Port: 2525},
		"username":                  {Username: "mallory"},
		"secure_connection":         {},
		"secure_connection_type":    {SecureConnectionType: notificationv1.SecureConnectionType_SSL},
		"ignore_certificate_errors": {IgnoreCertificateErrors: true},
		"authentication_method":     {AuthenticationMethod: notificationv1.SmtpAccount_LOGIN},
	} {
		a := o.account(d, "of-"+path)
		change.Id = a.GetId()
		got := must(o.changeAccount(d, change, path))
		if kept := o.secrets(d, settings.SmtpAccounts, a.GetId()); got.GetCredentialSet() || kept.GetPassword() != "" {
			t.Errorf("after %s changed, %v was kept", path, kept)
		}
		if len(got.GetWarnings()) == 0 || !strings.Contains(got.GetWarnings()[0], "password") {
			t.Errorf("after %s changed, it says %q", path, got.GetWarnings())
		}
		change.Host, change.Password = "another.example.com", proto.String("new")
		got = must(o.changeAccount(d, change, "host", "password"))
		if kept := o.secrets(d, settings.SmtpAccounts, a.GetId()); !got.GetCredentialSet() || kept.GetPassword() != "new" {
			t.Errorf("the password that came along with %s: %v", path, kept)
		}
		got = must(o.changeAccount(d, &notificationv1.SmtpAccount{Id: a.GetId(), Footnote: true, ReplyTo: "desk@example.com"}, "footnote", "reply_to"))
		if kept := o.secrets(d, settings.SmtpAccounts, a.GetId()); !got.GetCredentialSet() || kept.GetPassword() != "new" {
			t.Error("a harmless change forgot the password")
		}
	}
}

func TestTheSameRequestHasOneEffectAndAnotherWithItsIdIsRefused(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	in := accountNamed("first")
	in.RequestId = proto.String(uuid.NewString())
	request := &notificationv1.CreateSmtpAccountRequest{SmtpAccount: in}
	first := must(d.CreateSmtpAccount(o.admin(), request))
	d.crash()
	d = o.desk()
	again := must(d.CreateSmtpAccount(o.admin(), request))
	if diff := cmp.Diff(first.String(), again.String()); diff != "" {
		t.Error(diff)
	}
	other := proto.CloneOf(request)
	other.SmtpAccount.Password = proto.String("another")
	_, err := d.CreateSmtpAccount(o.admin(), other)
	if !fault.Is(err, fault.RequestIDReused) {
		t.Errorf("another password with the same id: %v", err)
	}
	if _, err := d.CreateSmtpAccount(o.as("eve"), request); !fault.Is(err, fault.RequestIDReused) {
		t.Errorf("somebody else with the same request: %v", err)
	}
	change := &notificationv1.UpdateSmtpAccountRequest{SmtpAccount: &notificationv1.SmtpAccount{Id: first.GetId(), Footnote: true, RequestId: proto.String(uuid.NewString())}}
	must(d.UpdateSmtpAccount(o.admin(), change))
	must(o.changeAccount(d, &notificationv1.SmtpAccount{Id: first.GetId()}, "footnote"))
	if got := must(d.UpdateSmtpAccount(o.admin(), change)); got.GetFootnote() {
		t.Error("a repeated request undid what came after it")
	}
	if all := must(d.ListSmtpAccounts(o.admin(), &notificationv1.ListSmtpAccountsRequest{})).GetSmtpAccounts(); len(all) != 1 {
		t.Errorf("there are %d accounts", len(all))
	}
}

func TestANameIsUsedOnce(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	o.account(d, "Main")
	other := o.account(d, "Other")
	_, err := d.CreateSmtpAccount(o.admin(), &notificationv1.CreateSmtpAccountRequest{SmtpAccount: accountNamed("main")})
	wantRefused(t, err, fault.AlreadyExists, "name")
	_, err = o.changeAccount(d, &notificationv1.SmtpAccount{Id: other.GetId(), Name: "MAIN"}, "name")
	wantRefused(t, err, fault.AlreadyExists, "name")
	if _, err := o.changeAccount(d, &notificationv1.SmtpAccount{Id: other.GetId(), Name: "OTHER"}, "name"); err != nil {
		t.Errorf("its own name in capitals: %v", err)
	}
}

func TestAFormThatCannotBeAnAccountIsRefusedAtItsField(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	for field, change := range map[string]func(*notificationv1.SmtpAccount){
		"name":                func(a *notificationv1.SmtpAccount) { a.Name = " " },
		"sender":              func(a *notificationv1.SmtpAccount) { a.Sender = "brake@example.com\r\nBcc: x@example.com" },
		"replyTo":             func(a *notificationv1.SmtpAccount) { a.ReplyTo = "a@example.com, b@example.com" },
		"returnPath":          func(a *notificationv1.SmtpAccount) { a.ReturnPath = "Bounces <b@example.com>" },
		"confirmationAddress": func(a *notificationv1.SmtpAccount) { a.ConfirmationAddress = "nobody" },
		"host":                func(a *notificationv1.SmtpAccount) { a.Host = "mail.example.com:25" },
		"username":            func(a *notificationv1.SmtpAccount) { a.Username = "" },
	} {
		a := accountNamed("account")
		change(a)
		_, err := d.CreateSmtpAccount(o.admin(), &notificationv1.CreateSmtpAccountRequest{SmtpAccount: a})
		wantRefused(t, err, fault.InvalidArgument, field)
	}
	_, err := o.changeAccount(d, &notificationv1.SmtpAccount{Id: o.account(d, "there").GetId()}, "colour")
	wantRefused(t, err, fault.InvalidArgument, "updateMask")
	_, err = o.changeAccount(d, &notificationv1.SmtpAccount{Id: "nowhere", Footnote: true}, "footnote")
	wantRefused(t, err, fault.NotFound, "")
}

func TestARestartKeepsAllAndListsComeInPagesByName(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	for i := range 25 {
		a := accountNamed(strings.Repeat("é", 100) + fmt.Sprint(24-i))
		must(d.CreateSmtpAccount(o.admin(), &notificationv1.CreateSmtpAccountRequest{SmtpAccount: a}))
	}
	before := must(d.ListSmtpAccounts(o.admin(), &notificationv1.ListSmtpAccountsRequest{}))
	d.crash()
	d = o.desk()
	after := must(d.ListSmtpAccounts(o.admin(), &notificationv1.ListSmtpAccountsRequest{}))
	if diff := cmp.Diff(before.String(), after.String()); diff != "" {
		t.Error(diff)
	}
	var paged []*notificationv1.SmtpAccount
	for token := ""; ; {
		page := must(d.ListSmtpAccounts(o.admin(), &notificationv1.ListSmtpAccountsRequest{PageSize: 10, PageToken: token}))
		paged = append(paged, page.GetSmtpAccounts()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
		if len(token) > 256 || len(page.GetSmtpAccounts()) != 10 {
			t.Errorf("a page of %d, a token of %d", len(page.GetSmtpAccounts()), len(token))
		}
	}
	if diff := cmp.Diff(fmt.Sprint(after.GetSmtpAccounts()), fmt.Sprint(paged)); diff != "" {
		t.Error(diff)
	}
	_, err := d.ListSmtpAccounts(o.admin(), &notificationv1.ListSmtpAccountsRequest{PageToken: "!"})
	wantRefused(t, err, fault.InvalidArgument, "pageToken")
}

func TestAnAccountSaysWhyItsServerWasNotReached(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	at := time.Now()
	a := o.account(d, "first")
	d.Status = func(lane string) (string, time.Time) {
		if lane == a.GetId() {
			return "The server refused the password", at
		}
		return "", time.Time{}
	}
	for _, a := range append(must(d.ListSmtpAccounts(o.admin(), &notificationv1.ListSmtpAccountsRequest{})).GetSmtpAccounts(), must(d.GetSmtpAccount(o.admin(), &notificationv1.GetSmtpAccountRequest{Id: a.GetId()}))) {
		if a.GetLastError() != "The server refused the password" || !a.GetLastErrorTime().AsTime().Equal(at) {
			t.Errorf("shown %v", a)
		}
	}
	if other := o.account(d, "second"); other.GetLastError() != "" || other.GetLastErrorTime() != nil {
		t.Errorf("shown %v", other)
	}
}
