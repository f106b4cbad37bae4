package notifier

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/mail"
	"portcullis.dev/services/notifier/settings"
)

func smtpAccounts() kind[*notificationv1.SmtpAccount] {
	return kind[*notificationv1.SmtpAccount]{
		collection: settings.SmtpAccounts, noun: "SMTP account", path: "smtp-accounts",
		of: (*notificationv1.SettingRecord).GetSmtpAccount,
		record: func(a *notificationv1.SmtpAccount) *notificationv1.SettingRecord {
			return &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_SmtpAccount{SmtpAccount: a}}
		},
	}
}

// CreateSmtpAccount makes an account. The first one becomes the default.
func (d *desk) CreateSmtpAccount(ctx context.Context, r *notificationv1.CreateSmtpAccountRequest) (*notificationv1.SmtpAccount, error) {
	in := r.GetSmtpAccount()
	id, err := smtpAccounts().create(ctx, d, r, in.GetRequestId(), in, d.saveAccount)
	if err != nil {
		return nil, err
	}
	return d.account(id)
}

// GetSmtpAccount answers an account, with how reaching its server went last.
func (d *desk) GetSmtpAccount(_ context.Context, r *notificationv1.GetSmtpAccountRequest) (*notificationv1.SmtpAccount, error) {
	return d.account(r.GetId())
}

func (d *desk) account(id string) (*notificationv1.SmtpAccount, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	a, err := smtpAccounts().get(s, id)
	if err != nil {
		return nil, err
	}
	return d.shownAccount(a), nil
}

func (d *desk) shownAccount(a *notificationv1.SmtpAccount) *notificationv1.SmtpAccount {
	lastError, at := d.Status(a.GetId())
	if a.LastError = lastError; lastError != "" {
		a.LastErrorTime = timestamppb.New(at)
	}
	if a.GetAuthentication() && !a.GetCredentialSet() {
		a.Warnings = append(a.Warnings, noPassword("the host, the port, the user name or the security"))
	}
	if a.GetDefaultAccount() && !a.GetEnabled() {
		a.Warnings = append(a.Warnings, "It is the default account, and disabled: e-mail that goes out by it waits.")
	}
	return a
}

func noPassword(when string) string {
	return "It has no password: enter one. One that is kept is forgotten when " + when + " changes."
}

// ListSmtpAccounts lists accounts by name.
func (d *desk) ListSmtpAccounts(_ context.Context, r *notificationv1.ListSmtpAccountsRequest) (*notificationv1.ListSmtpAccountsResponse, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	page, next, err := smtpAccounts().page(s, r.GetPageSize(), r.GetPageToken(), nil)
	for _, a := range page {
		d.shownAccount(a)
	}
	return &notificationv1.ListSmtpAccountsResponse{SmtpAccounts: page, NextPageToken: next}, err
}

// UpdateSmtpAccount changes an account. Where it may lead elsewhere, or be overheard, it forgets a password
// that doesn't come along.
func (d *desk) UpdateSmtpAccount(ctx context.Context, r *notificationv1.UpdateSmtpAccountRequest) (*notificationv1.SmtpAccount, error) {
	in := r.GetSmtpAccount()
	if err := smtpAccounts().update(ctx, d, r, in.GetRequestId(), in, r.GetUpdateMask(), d.saveAccount); err != nil {
		return nil, err
	}
	return d.account(in.GetId())
}

// DeleteSmtpAccount forgets an account, but not the default one while there are others.
func (d *desk) DeleteSmtpAccount(ctx context.Context, r *notificationv1.DeleteSmtpAccountRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, smtpAccounts().remove(ctx, d, r.GetId(), func(e *settings.Edit, a *notificationv1.SmtpAccount) error {
		if a.GetDefaultAccount() && len(e.SmtpAccounts()) > 1 {
			return defaultRequired("id", "%s is the default account. Make another one the default first", a.GetName())
		}
		return nil
	})
}

func defaultRequired(field, format string, args ...any) error {
	return fault.New(fault.DefaultAccountRequired, format, args...).With("field", field)
}

func (d *desk) saveAccount(w *draft[*notificationv1.SmtpAccount]) error {
	a := w.after
	if err := checkAccount(a); err != nil {
		return err
	}
	if leadsElsewhere(w.before, a) && !w.given["password"] {
		w.secrets.Password = ""
	}
	a.CredentialSet = w.secrets.GetPassword() != ""
	return keepOneDefault(w)
}

// leadsElsewhere reports whether a kept password could come to somebody else's eyes after a change.
func leadsElsewhere(before, after *notificationv1.SmtpAccount) bool {
	return before != nil && (before.GetHost() != after.GetHost() || before.GetPort() != after.GetPort() || before.GetUsername() != after.GetUsername() ||
		before.GetSecureConnection() != after.GetSecureConnection() || before.GetSecureConnectionType() != after.GetSecureConnectionType() ||
		!before.GetIgnoreCertificateErrors() && after.GetIgnoreCertificateErrors() ||
		before.GetAuthenticationMethod() != after.GetAuthenticationMethod())
}

// keepOneDefault makes the first account the default, lets another take over, and refuses what would leave
// none, or a disabled one while there are others.
func keepOneDefault(w *draft[*notificationv1.SmtpAccount]) error {
	a, now := w.after, w.DefaultAccount()
	switch {
	case now == nil:
		a.DefaultAccount = true
		return nil
	case now.GetId() == a.GetId() && !a.GetDefaultAccount():
		return defaultRequired("defaultAccount", "%s is the default account, and there has to be one. Make another one the default in its place", a.GetName())
	case now.GetId() == a.GetId():
		if now.GetEnabled() && !a.GetEnabled() && len(w.SmtpAccounts()) > 1 {
			return defaultRequired("enabled", "%s is the default account. Make another one the default before you disable it", a.GetName())
		}
		return nil
	case !a.GetDefaultAccount():
		return nil
	case !a.GetEnabled():
		return defaultRequired("enabled", "%s is disabled, so that it can't be the default account. Enable it with the same change", a.GetName())
	}
	// The new one comes first in the stream: at no moment there is none.
	return w.takeOver(now)
}

func (w *draft[T]) takeOver(from *notificationv1.SmtpAccount) error {
	former := proto.CloneOf(w.Record(settings.SmtpAccounts, from.GetId()))
	former.GetSmtpAccount().DefaultAccount = false
	w.behind = append(w.behind, func() error { return w.Put(settings.SmtpAccounts, from.GetId(), former, nil) })
	return nil
}

// checkAccount refuses what can't be an account, and brings it to its one form.
func checkAccount(a *notificationv1.SmtpAccount) error {
	if a.GetSender() == "" {
		return bad("sender", `say who mails are from: an address, or a name with one, as Portcullis <brake@example.com>`)
	}
	if err := mail.CheckSender(a.GetSender()); err != nil {
		return because("sender", err)
	}
	if err := checkAddresses(a.GetReplyTo(), a.GetReturnPath(), a.GetConfirmationAddress()); err != nil {
		return err
	}
	if err := host("host", a.GetHost()); err != nil {
		return err
	}
	secure(a.GetSecureConnection(), &a.SecureConnectionType)
	if a.GetPort() == 0 {
		a.Port = smtpPort(a)
	}
	if err := line("username", a.GetUsername(), 320); err != nil {
		return err
	}
	if a.GetAuthentication() && a.GetUsername() == "" {
		return bad("username", "say as whom to sign in, or turn authentication off")
	}
	return nil
}

// checkAddresses are the ones that an account and a notification have alike.
func checkAddresses(replyTo, returnPath, confirmation string) error {
	for _, one := range []struct{ field, address string }{
		{"replyTo", replyTo}, {"returnPath", returnPath}, {"confirmationAddress", confirmation},
	} {
		if one.address == "" {
			continue
		}
		if err := mail.CheckAddress(one.address); err != nil {
			return because(one.field, err)
		}
	}
	return nil
}

// secure names the usual type of a secure connection; one that isn't has none.
func secure(on bool, as *notificationv1.SecureConnectionType) {
	switch {
	case !on:
		*as = notificationv1.SecureConnectionType_SECURE_CONNECTION_TYPE_UNSPECIFIED
	case *as == notificationv1.SecureConnectionType_SECURE_CONNECTION_TYPE_UNSPECIFIED:
		*as = notificationv1.SecureConnectionType_TLS
	}
}

func smtpPort(a *notificationv1.SmtpAccount) uint32 {
	switch a.GetSecureConnectionType() {
	case notificationv1.SecureConnectionType_TLS:
		return 587
	case notificationv1.SecureConnectionType_SSL:
		return 465
	}
	return 25
}
