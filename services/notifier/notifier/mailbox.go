package notifier

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/settings"
)

func mailboxes() kind[*notificationv1.Mailbox] {
	return kind[*notificationv1.Mailbox]{
		collection: settings.Mailboxes, noun: "mailbox", path: "mailboxes",
		of: (*notificationv1.SettingRecord).GetMailbox,
		record: func(m *notificationv1.Mailbox) *notificationv1.SettingRecord {
			return &notificationv1.SettingRecord{Setting: &notificationv1.SettingRecord_Mailbox{Mailbox: m}}
		},
	}
}

// CreateMailbox makes a mailbox.
func (d *desk) CreateMailbox(ctx context.Context, r *notificationv1.CreateMailboxRequest) (*notificationv1.Mailbox, error) {
	id, err := mailboxes().create(ctx, d, r, r.GetMailbox().GetRequestId(), r.GetMailbox(), saveMailbox)
	if err != nil {
		return nil, err
	}
	return d.mailbox(id)
}

// GetMailbox answers a mailbox, with how reading it has gone.
func (d *desk) GetMailbox(_ context.Context, r *notificationv1.GetMailboxRequest) (*notificationv1.Mailbox, error) {
	return d.mailbox(r.GetId())
}

func (d *desk) mailbox(id string) (*notificationv1.Mailbox, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	m, err := mailboxes().get(s, id)
	if err != nil {
		return nil, err
	}
	return d.shownMailbox(m), nil
}

func (d *desk) shownMailbox(m *notificationv1.Mailbox) *notificationv1.Mailbox {
	how := d.Reading(m.GetId())
	m.LastError, m.ReadMails, m.MatchedMails = how.lastError, how.read, how.matched
	if !how.checked.IsZero() {
		m.LastCheckTime = timestamppb.New(how.checked)
	}
	if !m.GetCredentialSet() {
		m.Warnings = append(m.Warnings, noPassword("the address, the protocol, the port, the user name or the security"))
	}
	return m
}

// ListMailboxes lists mailboxes by name.
func (d *desk) ListMailboxes(_ context.Context, r *notificationv1.ListMailboxesRequest) (*notificationv1.ListMailboxesResponse, error) {
	s, err := d.Book.Opened()
	if err != nil {
		return nil, err
	}
	page, next, err := mailboxes().page(s, r.GetPageSize(), r.GetPageToken(), nil)
	for _, m := range page {
		d.shownMailbox(m)
	}
	return &notificationv1.ListMailboxesResponse{Mailboxes: page, NextPageToken: next}, err
}

// UpdateMailbox changes a mailbox. Where it may lead elsewhere, or be overheard, it forgets a password that
// doesn't come along.
func (d *desk) UpdateMailbox(ctx context.Context, r *notificationv1.UpdateMailboxRequest) (*notificationv1.Mailbox, error) {
	in := r.GetMailbox()
	if err := mailboxes().update(ctx, d, r, in.GetRequestId(), in, r.GetUpdateMask(), saveMailbox); err != nil {
		return nil, err
	}
	return d.mailbox(in.GetId())
}

// DeleteMailbox forgets a mailbox.
func (d *desk) DeleteMailbox(ctx context.Context, r *notificationv1.DeleteMailboxRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, mailboxes().remove(ctx, d, r.GetId(), nil)
}

func saveMailbox(w *draft[*notificationv1.Mailbox]) error {
	if err := checkMailbox(w.after); err != nil {
		return err
	}
	if boxElsewhere(w.before, w.after) && !w.given["password"] {
		w.secrets.Password = ""
	}
	w.after.CredentialSet = w.secrets.GetPassword() != ""
	return nil
}

// boxElsewhere reports whether a kept password could come to somebody else's eyes after a change.
func boxElsewhere(before, after *notificationv1.Mailbox) bool {
	return before != nil && (before.GetAddress() != after.GetAddress() || before.GetPort() != after.GetPort() || before.GetUsername() != after.GetUsername() ||
		before.GetProtocol() != after.GetProtocol() ||
		before.GetSecureConnection() != after.GetSecureConnection() || before.GetSecureConnectionType() != after.GetSecureConnectionType() ||
		!before.GetSkipCertificateCheck() && after.GetSkipCertificateCheck())
}

// checkMailbox refuses what can't be a mailbox, and brings it to its one form.
func checkMailbox(m *notificationv1.Mailbox) error {
	if err := host("address", m.GetAddress()); err != nil {
		return err
	}
	if m.GetProtocol() == notificationv1.Mailbox_PROTOCOL_UNSPECIFIED {
		m.Protocol = notificationv1.Mailbox_IMAP
	}
	secure(m.GetSecureConnection(), &m.SecureConnectionType)
	if m.GetPort() == 0 {
		m.Port = mailboxPort(m)
	}
	if err := line("username", m.GetUsername(), 320); err != nil {
		return err
	}
	if m.GetUsername() == "" {
		return bad("username", "say as whom to sign in")
	}
	return nil
}

func mailboxPort(m *notificationv1.Mailbox) uint32 {
	ssl, imap := m.GetSecureConnectionType() == notificationv1.SecureConnectionType_SSL, m.GetProtocol() == notificationv1.Mailbox_IMAP
	switch {
	case ssl && imap:
		return 993
	case ssl:
		return 995
	case imap:
		return 143
	}
	return 110
}
