package notifier

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/emptypb"

	"portcullis.dev/pkg/fault"
	identityv1 "portcullis.dev/proto/portcullis/identity/v1"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/internal/listing"
	"portcullis.dev/services/notifier/mail"
	"portcullis.dev/services/notifier/settings"
	"portcullis.dev/services/notifier/sms"
	"portcullis.dev/services/notifier/text"
)

// contactsAtOnce is how many contacts identity is asked for at a time.
const contactsAtOnce = 1000

func notifications() kind[*notificationv1.Notification] {
	return kind[*notificationv1.Notification]{
		collection: settings.Notifications, noun: "notification", path: "notifications",
		of: (*notificationv1.SettingRecord).GetNotification,
		record: func(n *notificationv1.Notification) *notificationv1.SettingRecord {
			return &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_Notification{Notification: n}}
		},
	}
}

// CreateNotification makes a notification, of a name and methods at least.
func (d *desk) CreateNotification(ctx context.Context, r *notificationv1.CreateNotificationRequest) (*notificationv1.Notification, error) {
	in := r.GetNotification()
	id, err := notifications().create(ctx, d, r, in.GetRequestId(), in, d.saveNotification(ctx))
	if err != nil {
		return nil, err
	}
	return d.notification(ctx, id)
}

// GetNotification answers a notification, with what keeps it from reaching anybody.
func (d *desk) GetNotification(ctx context.Context, r *notificationv1.GetNotificationRequest) (*notificationv1.Notification, error) {
	return d.notification(ctx, r.GetId())
}

func (d *desk) notification(ctx context.Context, id string) (*notificationv1.Notification, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	n, err := notifications().get(s, id)
	if err != nil {
		return nil, err
	}
	n.Warnings = warnings(s, n)
	// Where identity can't be asked, nothing is said of contacts.
	if known, err := d.people(ctx, n.GetContacts()); err == nil {
		n.Warnings = append(n.Warnings, contactWarnings(n, known)...)
	}
	return n, nil
}

// ListNotifications lists notifications by name. What it warns of does not look at contacts.
func (d *desk) ListNotifications(_ context.Context, r *notificationv1.ListNotificationsRequest) (*notificationv1.ListNotificationsResponse, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	keep, err := notificationFilter(r.GetFilter())
	if err != nil {
		return nil, err
	}
	page, next, err := notifications().page(s, r.GetPageSize(), r.GetPageToken(), keep)
	for _, n := range page {
		n.Warnings = warnings(s, n)
	}
	return &notificationv1.ListNotificationsResponse{Notifications: page, NextPageToken: next}, err
}

func notificationFilter(filter string) (func(*notificationv1.Notification) bool, error) {
	f, err := listing.Filter(filter, "name", "enabled", "method", "type", "contact")
	if err != nil {
		return nil, err
	}
	enabled, method := f["enabled"], notificationv1.Method_value[f["method"]]
	if enabled != "" && enabled != "true" && enabled != "false" {
		return nil, bad("filter", "enabled is true or false, not %.100q", enabled)
	}
	if f["method"] != "" && method == 0 {
		return nil, bad("filter", "there is no method %.100q. Use EMAIL, SCREEN, SMS, SLACK, TEAMS, PAGERDUTY or WEBHOOK", f["method"])
	}
	return func(n *notificationv1.Notification) bool {
		return (f["name"] == "" || listing.Matches(f["name"], n.GetName())) &&
			(enabled == "" || n.GetEnabled() == (enabled == "true")) &&
			(method == 0 || slices.Contains(n.GetMethods(), notificationv1.Method(method))) &&
			(f["type"] == "" || slices.Contains(n.GetTypes(), f["type"])) &&
			(f["contact"] == "" || slices.Contains(n.GetContacts(), f["contact"]))
	}, nil
}

// UpdateNotification changes the fields that the mask names; lists are replaced.
func (d *desk) UpdateNotification(ctx context.Context, r *notificationv1.UpdateNotificationRequest) (*notificationv1.Notification, error) {
	in := r.GetNotification()
	if err := notifications().update(ctx, d, r, in.GetRequestId(), in, r.GetUpdateMask(), d.saveNotification(ctx)); err != nil {
		return nil, err
	}
	return d.notification(ctx, in.GetId())
}

// DeleteNotification forgets a notification.
func (d *desk) DeleteNotification(ctx context.Context, r *notificationv1.DeleteNotificationRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, notifications().remove(ctx, d, r.GetId(), nil)
}

// saveNotification refuses what can't be a notification: of what stood in it before, only what somebody
// wants otherwise is looked at again, for users and webhooks come and go.
func (d *desk) saveNotification(ctx context.Context) func(*draft[*notificationv1.Notification]) error {
	asked := map[string]*identityv1.Contact{}
	return func(w *draft[*notificationv1.Notification]) error {
		n := w.after
		n.Methods, n.Types, n.Contacts, n.Webhooks = distinct(n.GetMethods()), distinct(n.GetTypes()), distinct(n.GetContacts()), distinct(n.GetWebhooks())
		if len(n.GetMethods()) == 0 {
			return bad("methods", "choose one at least of EMAIL, SCREEN, SMS, SLACK, TEAMS, PAGERDUTY and WEBHOOK")
		}
		if err := checkAddresses(n.GetReplyTo(), n.GetReturnPath(), n.GetConfirmationAddress()); err != nil {
			return err
		}
		if err := checkNamed(w); err != nil {
			return err
		}
		return d.checkContacts(ctx, w, asked)
	}
}

func distinct[T comparable](all []T) []T {
	seen := make(map[T]bool, len(all))
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool {
		again := seen[one]
		seen[one] = true
		return again
	})
}

// added are those that weren't there before.
func added[T comparable](all, before []T) []T {
	was := make(map[T]bool, len(before))
	for _, one := range before {
		was[one] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool { return was[one] })
}

// checkNamed refuses types, webhooks and an account that don't exist, by name.
func checkNamed(w *draft[*notificationv1.Notification]) error {
	known := func(name string) bool { _, ok := text.TypeNamed(name); return ok }
	if err := unknown("types", "notification type", added(w.after.GetTypes(), w.before.GetTypes()), known); err != nil {
		return err
	}
	known = func(id string) bool { return w.Webhook(id) != nil }
	if err := unknown("webhooks", "webhook", added(w.after.GetWebhooks(), w.before.GetWebhooks()), known); err != nil {
		return err
	}
	if id := w.after.GetSmtpAccount(); id != "" && id != w.before.GetSmtpAccount() {
		return unknown("smtpAccount", "SMTP account", []string{id}, func(id string) bool { return w.SmtpAccount(id) != nil })
	}
	return nil
}

// unknown refuses what doesn't exist, by name.
func unknown(field, noun string, names []string, known func(string) bool) error {
	names = slices.DeleteFunc(names, known)
	if len(names) == 0 {
		return nil
	}
	return fault.New(fault.NotFound, "%s: there is no %s %s. Create it first, or leave it out", field, noun, few(names)).
		With("field", field).With("names", few(names))
}

// checkContacts refuses contacts who don't exist, or can't be reached as the notification wants, by name.
func (d *desk) checkContacts(ctx context.Context, w *draft[*notificationv1.Notification], asked map[string]*identityv1.Contact) error {
	fresh := added(w.after.GetContacts(), w.before.GetContacts())
	byEmail, bySms := affected(w, notificationv1.Method_EMAIL, fresh), affected(w, notificationv1.Method_SMS, fresh)
	missing := slices.DeleteFunc(distinct(slices.Concat(fresh, byEmail, bySms)), func(name string) bool { _, ok := asked[name]; return ok })
	answer, err := d.people(ctx, missing)
	if err != nil {
		return err
	}
	for _, name := range missing {
		asked[name] = answer[name] // nil: there is nobody of that name
	}
	if err := unknown("contacts", "user", fresh, func(name string) bool { return asked[name] != nil }); err != nil {
		return err
	}
	if without := unreached(byEmail, asked, reachedByEmail); len(without) > 0 {
		return fault.New(fault.ContactWithoutEmail, "These contacts have no valid e-mail address: %s. Give them one, leave them out, or take another method",
			few(without)).With("field", "contacts").With("names", few(without))
	}
	if without := unreached(bySms, asked, reachedBySms); len(without) > 0 {
		return fault.New(fault.ContactWithoutMobile, "These contacts have no valid mobile number: %s. Give them one, leave them out, or take another method",
			few(without)).With("field", "contacts").With("names", few(without))
	}
	return nil
}

// affected are the contacts who are told by a method now and weren't before.
func affected(w *draft[*notificationv1.Notification], by notificationv1.Method, fresh []string) []string {
	switch {
	case !slices.Contains(w.after.GetMethods(), by):
		return nil
	case slices.Contains(w.before.GetMethods(), by):
		return fresh
	}
	return w.after.GetContacts()
}

// unreached are those of the named who exist and can't be reached.
func unreached(names []string, known map[string]*identityv1.Contact, reached func(*identityv1.Contact) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return known[name] == nil || reached(known[name]) })
}

func reachedByEmail(c *identityv1.Contact) bool {
	return c.GetEmail() != "" && mail.CheckAddress(c.GetEmail()) == nil
}

// reachedBySms needs no default region: identity takes numbers with their country only.
func reachedBySms(c *identityv1.Contact) bool {
	_, err := sms.Number(c.GetMobile(), "")
	return c.GetMobile() != "" && err == nil
}

// people asks identity for contacts. Whoever doesn't exist is not in the answer.
func (d *desk) people(ctx context.Context, names []string) (map[string]*identityv1.Contact, error) {
	known := make(map[string]*identityv1.Contact, len(names))
	for chunk := range slices.Chunk(names, contactsAtOnce) {
		answer, err := d.Contacts.ListContacts(ctx, &identityv1.ListContactsRequest{Names: chunk})
		if err != nil {
			return nil, fmt.Errorf("asking identity for contacts: %w", err)
		}
		for _, c := range answer.GetContacts() {
			known[c.GetName()] = c
		}
	}
	return known, nil
}

// warnings say why a notification fires on nothing or reaches nobody, as the settings stand.
func warnings(s *settings.Snapshot, n *notificationv1.Notification) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if !n.GetEnabled() {
		warn("It is disabled: nobody is told.")
	}
	if len(n.GetTypes()) == 0 {
		warn("It fires on nothing: choose what it fires on.")
	}
	personal := slices.ContainsFunc(n.GetMethods(), func(m notificationv1.Method) bool { return !byWebhook(m) })
	if personal && len(n.GetContacts()) == 0 {
		warn("It has no contacts: nobody is told by e-mail, on the screen or by SMS.")
	}
	for _, m := range n.GetMethods() {
		if problem := methodWarning(s, n, m); problem != "" {
			warn("%s", problem)
		}
		if types := typesWithout(n, m); len(types) > 0 {
			warn("%s can't go by %s.", few(types), m)
		}
	}
	return append(all, webhookWarnings(s, n)...)
}

func methodWarning(s *settings.Snapshot, n *notificationv1.Notification, m notificationv1.Method) string {
	switch m {
	case notificationv1.Method_EMAIL:
		return emailWarning(s, n)
	case notificationv1.Method_SMS:
		if !s.Sms().GetEnabled() {
			return "SMS is not set up, or disabled: no SMS goes out."
		}
	case notificationv1.Method_SLACK, notificationv1.Method_TEAMS, notificationv1.Method_PAGERDUTY, notificationv1.Method_WEBHOOK:
		if !slices.ContainsFunc(n.GetWebhooks(), func(id string) bool { return s.Webhook(id).GetMethod() == m && s.Webhook(id).GetEnabled() }) {
			return fmt.Sprintf("It has no enabled webhook for %s: nothing goes out by it.", m)
		}
	}
	return ""
}

func emailWarning(s *settings.Snapshot, n *notificationv1.Notification) string {
	account := s.AccountOf(n)
	switch {
	case account == nil:
		return "There is no SMTP account: no e-mail goes out."
	case !account.GetEnabled():
		return fmt.Sprintf("The SMTP account %s that its e-mail goes out by is disabled: its e-mail waits.", account.GetName())
	case n.GetSmtpAccount() != "" && account.GetId() != n.GetSmtpAccount():
		return fmt.Sprintf("Its SMTP account is gone: its e-mail goes out by the default account, %s.", account.GetName())
	}
	return ""
}

// typesWithout are the types that can't go by a method.
func typesWithout(n *notificationv1.Notification, m notificationv1.Method) []string {
	return slices.DeleteFunc(slices.Clone(n.GetTypes()), func(name string) bool {
		t, ok := text.TypeNamed(name)
		return ok && slices.Contains(t.Methods(), m)
	})
}

// webhookWarnings are about webhooks that it names in vain.
func webhookWarnings(s *settings.Snapshot, n *notificationv1.Notification) []string {
	var all []string
	for _, id := range n.GetWebhooks() {
		switch w := s.Webhook(id); {
		case w == nil:
			all = append(all, fmt.Sprintf("The webhook %s is gone: take it out.", id))
		case !slices.Contains(n.GetMethods(), w.GetMethod()):
			all = append(all, fmt.Sprintf("The webhook %s is for %s, which is not among its methods.", w.GetName(), w.GetMethod()))
		case !w.GetEnabled():
			all = append(all, fmt.Sprintf("The webhook %s is disabled.", w.GetName()))
		}
	}
	return all
}

// contactWarnings are about contacts who aren't reached any more.
func contactWarnings(n *notificationv1.Notification, known map[string]*identityv1.Contact) []string {
	var all []string
	warn := func(format string, names []string) {
		if len(names) > 0 {
			all = append(all, fmt.Sprintf(format, few(names)))
		}
	}
	names := n.GetContacts()
	warn("These contacts are gone: %s.", slices.DeleteFunc(slices.Clone(names), func(name string) bool { return known[name] != nil }))
	warn("These contacts are disabled: %s.", unreached(names, known, func(c *identityv1.Contact) bool { return !c.GetDisabled() }))
	if slices.Contains(n.GetMethods(), notificationv1.Method_EMAIL) {
		warn("These contacts have no valid e-mail address any more: %s.", unreached(names, known, reachedByEmail))
	}
	if slices.Contains(n.GetMethods(), notificationv1.Method_SMS) {
		warn("These contacts have no valid mobile number any more: %s.", unreached(names, known, reachedBySms))
	}
	return all
}
