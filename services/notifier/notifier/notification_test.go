package notifier

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/text"
)

const (
	byEmail  = notificationv1.Method_EMAIL
	onScreen = notificationv1.Method_SCREEN
	bySMS    = notificationv1.Method_SMS
	toSlack  = notificationv1.Method_SLACK
)

func (o *office) notify(d *opened, n *notificationv1.Notification) (*notificationv1.Notification, error) {
	return d.CreateNotification(o.admin(), &notificationv1.CreateNotificationRequest{Notification: n})
}

func (o *office) changeNotification(d *opened, n *notificationv1.Notification, paths ...string) (*notificationv1.Notification, error) {
	return d.UpdateNotification(o.admin(), &notificationv1.UpdateNotificationRequest{Notification: n, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
}

// wantNamed wants a refusal that names these and no others.
func wantNamed(t *testing.T, err error, reason, names string) {
	t.Helper()
	if !fault.Is(err, reason) || fault.From(err).Details["names"] != names || !strings.Contains(fault.From(err).Message, names) {
		t.Errorf("got %v with %v, want %s that names %s", err, fault.From(err).Details, reason, names)
	}
}

func TestANotificationIsSavedWithNameAndMethodsAndSaysWhyItFiresOnNothing(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	n := must(o.notify(d, &notificationv1.Notification{Name: "lockdowns", Methods: []notificationv1.Method{byEmail, bySMS, toSlack}}))
	want := []string{
		"It is disabled: nobody is told.",
		"It fires on nothing: choose what it fires on.",
		"It has no contacts: nobody is told by e-mail, on the screen or by SMS.",
		"There is no SMTP account: no e-mail goes out.",
		"SMS is not set up, or disabled: no SMS goes out.",
		"It has no enabled webhook for SLACK: nothing goes out by it.",
	}
	if diff := cmp.Diff(want, n.GetWarnings()); diff != "" {
		t.Error(diff)
	}
	listed := must(d.ListNotifications(o.admin(), &notificationv1.ListNotificationsRequest{})).GetNotifications()
	if diff := cmp.Diff(want, listed[0].GetWarnings()); diff != "" {
		t.Error(diff)
	}
	o.account(d, "main")
	hook := o.webhook(d, slackHook())
	must(d.UpdateSmsSettings(o.admin(), &notificationv1.UpdateSmsSettingsRequest{SmsSettings: zenvia()}))
	n = must(o.changeNotification(d, &notificationv1.Notification{
		Id: n.GetId(), Enabled: true, Types: []string{"emergency.lockdown.started"}, Contacts: []string{"ana"}, Webhooks: []string{hook.GetId()},
	}, "enabled", "types", "contacts", "webhooks"))
	if len(n.GetWarnings()) > 0 || n.GetName() != "lockdowns" || n.GetCreatedBy() != "admin" || len(n.GetMethods()) != 3 {
		t.Errorf("as it should be, it says %q and is %v", n.GetWarnings(), n)
	}
	_, err := o.notify(d, &notificationv1.Notification{Name: "nothing"})
	wantRefused(t, err, fault.InvalidArgument, "methods")
}

func TestWhatWasTakenAwayUnderANotificationIsWarnedOf(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	o.account(d, "main")
	own, hook := o.account(d, "own"), o.webhook(d, slackHook())
	n := must(o.notify(d, &notificationv1.Notification{
		Name: "n", Enabled: true, Methods: []notificationv1.Method{byEmail, toSlack}, Types: []string{"emergency.lockdown.started"},
		Contacts: []string{"ana", "bruno"}, SmtpAccount: own.GetId(), Webhooks: []string{hook.GetId()},
	}))
	if len(n.GetWarnings()) > 0 {
		t.Fatal(n.GetWarnings())
	}
	must(d.DeleteSmtpAccount(o.admin(), &notificationv1.DeleteSmtpAccountRequest{Id: own.GetId()}))
	must(d.DeleteWebhook(o.admin(), &notificationv1.DeleteWebhookRequest{Id: hook.GetId()}))
	o.people.put(&identityv1.Contact{Name: "bruno", Disabled: true})
	want := []string{
		"Its SMTP account is gone: its e-mail goes out by the default account, main.",
		"It has no enabled webhook for SLACK: nothing goes out by it.",
		"The webhook " + hook.GetId() + " is gone: take it out.",
		"These contacts are disabled: bruno.",
		"These contacts have no valid e-mail address any more: bruno.",
	}
	got := must(d.GetNotification(o.admin(), &notificationv1.GetNotificationRequest{Id: n.GetId()}))
	if diff := cmp.Diff(want, got.GetWarnings()); diff != "" {
		t.Error(diff)
	}
	if _, err := o.changeNotification(d, &notificationv1.Notification{Id: n.GetId(), Name: "m"}, "name"); err != nil {
		t.Errorf("it can't be renamed any more: %v", err)
	}
	o.people.setDown(true)
	if _, err := o.changeNotification(d, &notificationv1.Notification{Id: n.GetId()}, "enabled"); err != nil {
		t.Errorf("it can't be disabled while identity is down: %v", err)
	}
}

func TestContactsWhoCannotBeReachedAreRefusedByName(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	_, err := o.notify(d, &notificationv1.Notification{Name: "n", Methods: []notificationv1.Method{byEmail, onScreen}, Contacts: []string{"ana", "carla", "davi"}})
	wantNamed(t, err, fault.ContactWithoutEmail, "carla, davi")
	_, err = o.notify(d, &notificationv1.Notification{Name: "n", Methods: []notificationv1.Method{bySMS}, Contacts: []string{"bruno", "ana"}})
	wantNamed(t, err, fault.ContactWithoutMobile, "bruno")
	n := must(o.notify(d, &notificationv1.Notification{Name: "n", Methods: []notificationv1.Method{onScreen}, Contacts: []string{"bruno", "carla", "bruno"}}))
	if diff := cmp.Diff([]string{"bruno", "carla"}, n.GetContacts()); diff != "" {
		t.Error(diff)
	}
	_, err = o.changeNotification(d, &notificationv1.Notification{Id: n.GetId(), Methods: []notificationv1.Method{onScreen, bySMS}}, "methods")
	wantNamed(t, err, fault.ContactWithoutMobile, "bruno")
	_, err = o.changeNotification(d, &notificationv1.Notification{Id: n.GetId(), Methods: []notificationv1.Method{byEmail}}, "methods")
	wantNamed(t, err, fault.ContactWithoutEmail, "carla")
}

func TestUnknownContactsTypesWebhooksAndAccountsAreRefusedByName(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	for field, n := range map[string]*notificationv1.Notification{
		"contacts":    {Contacts: []string{"ana", "nobody"}},
		"types":       {Types: []string{"emergency.lockdown.started", "nobody"}},
		"webhooks":    {Webhooks: []string{"nobody"}},
		"smtpAccount": {SmtpAccount: "nobody"},
	} {
		n.Name, n.Methods = "n", []notificationv1.Method{byEmail}
		_, err := o.notify(d, n)
		wantNamed(t, err, fault.NotFound, "nobody")
		wantRefused(t, err, fault.NotFound, field)
	}
	o.people.setDown(true)
	_, err := o.notify(d, &notificationv1.Notification{Name: "n", Methods: []notificationv1.Method{byEmail}, Contacts: []string{"ana"}})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("with identity down: %v", err)
	}
}

func TestTwentyThousandContactsAreAskedForAThousandAtATime(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	var names []string
	for i := range 20_000 {
		name := fmt.Sprintf("user-%05d.of.the.company", i)
		names = append(names, name)
		o.people.put(&identityv1.Contact{Name: name, Email: "u@mail.test"})
	}
	n := must(o.notify(d, &notificationv1.Notification{Name: "all", Methods: []notificationv1.Method{byEmail}, Contacts: names}))
	if len(n.GetContacts()) != 20_000 {
		t.Errorf("it has %d contacts", len(n.GetContacts()))
	}
	for _, asked := range o.people.asked {
		if asked > 1000 {
			t.Errorf("identity was asked for %d contacts at a time", asked)
		}
	}
	o.people.asked = nil
	must(o.changeNotification(d, &notificationv1.Notification{Id: n.GetId(), Contacts: append(names, "ana")[1:]}, "contacts"))
	if o.people.asked[0] != 1 {
		t.Errorf("adding one contact asks identity for %v", o.people.asked)
	}
	long := make([]string, 20_000)
	for i := range long {
		long[i] = fmt.Sprintf("%s%05d", strings.Repeat("x", 100), i)
		o.people.put(&identityv1.Contact{Name: long[i], Email: "u@mail.test"})
	}
	_, err := o.notify(d, &notificationv1.Notification{Name: "too long", Methods: []notificationv1.Method{byEmail}, Contacts: long})
	wantRefused(t, err, fault.InvalidArgument, "")
}

func TestNotificationsAreFoundByWhatTheyAre(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	for _, n := range []*notificationv1.Notification{
		{Name: "lock all", Enabled: true, Methods: []notificationv1.Method{onScreen, bySMS}, Types: []string{"emergency.lockdown.started"}, Contacts: []string{"ana"}},
		{Name: "lock some", Methods: []notificationv1.Method{onScreen}, Types: []string{"emergency.freeze.started"}, Contacts: []string{"bruno"}},
		{Name: "Freeze", Enabled: true, Methods: []notificationv1.Method{byEmail}, Types: []string{"emergency.freeze.started"}, Contacts: []string{"ana"}},
	} {
		must(o.notify(d, n))
	}
	for filter, want := range map[string][]string{
		"":                                     {"Freeze", "lock all", "lock some"},
		"name=lock*":                           {"lock all", "lock some"},
		"name=lock all":                        {"lock all"},
		"enabled=true":                         {"Freeze", "lock all"},
		"enabled=false":                        {"lock some"},
		"method=SMS":                           {"lock all"},
		"type=emergency.freeze.started":        {"Freeze", "lock some"},
		"contact=ana AND method=EMAIL":         {"Freeze"},
		`contact="ana" AND name=lock*`:         {"lock all"},
		"contact=bruno AND enabled=true":       nil,
		"type=emergency.freeze.cancelled":      nil,
		"enabled=true AND name=lo* AND type=x": nil,
	} {
		var got []string
		for _, n := range must(d.ListNotifications(o.admin(), &notificationv1.ListNotificationsRequest{Filter: filter})).GetNotifications() {
			got = append(got, n.GetName())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", filter, diff)
		}
	}
	for _, filter := range []string{"enabled=yes", "method=PIGEON", "colour=red", "name"} {
		_, err := d.ListNotifications(o.admin(), &notificationv1.ListNotificationsRequest{Filter: filter})
		wantRefused(t, err, fault.InvalidArgument, "filter")
	}
}

func TestTypesThatCannotGoByAMethodAreWarnedOf(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	var request string
	for _, of := range text.Types() {
		if len(of.Methods()) == 2 {
			request = of.Name
		}
	}
	n := must(o.notify(d, &notificationv1.Notification{
		Name: "n", Enabled: true, Methods: []notificationv1.Method{onScreen, bySMS}, Types: []string{request, "emergency.lockdown.started"}, Contacts: []string{"ana"},
	}))
	want := []string{"SMS is not set up, or disabled: no SMS goes out.", request + " can't go by SMS."}
	if diff := cmp.Diff(want, n.GetWarnings()); diff != "" {
		t.Error(diff)
	}
}
