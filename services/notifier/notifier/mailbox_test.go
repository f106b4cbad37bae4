package notifier

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"portcullis.dev/pkg/fault"
	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/settings"
)

func boxNamed(name string) *notificationv1.Mailbox {
	return &notificationv1.Mailbox{Name: name, Enabled: true, KeepCopyOnServer: true, AutomaticCheck: true, Address: "imap.example.com", SecureConnection: true, Username: "brake", Password: proto.String("box-pw")}
}

func (o *office) mailbox(d *opened, m *notificationv1.Mailbox) *notificationv1.Mailbox {
	o.t.Helper()
	return must(d.CreateMailbox(o.admin(), &notificationv1.CreateMailboxRequest{Mailbox: m}))
}

func TestAMailboxHasThePortOfItsProtocolAndSecurity(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	const ssl, tls = notificationv1.SecureConnectionType_SSL, notificationv1.SecureConnectionType_TLS
	for i, c := range []struct {
		protocol notificationv1.Mailbox_Protocol
		secure   bool
		as       notificationv1.SecureConnectionType
		want     uint32
	}{
		{notificationv1.Mailbox_IMAP, true, ssl, 993},
		{notificationv1.Mailbox_IMAP, true, tls, 143},
		{notificationv1.Mailbox_IMAP, false, 0, 143},
		{notificationv1.Mailbox_POP3, true, ssl, 995},
		{notificationv1.Mailbox_POP3, true, 0, 110},
		{0, true, 0, 143},
	} {
		m := boxNamed(fmt.Sprint("box-", i))
		m.Protocol, m.SecureConnection, m.SecureConnectionType = c.protocol, c.secure, c.as
		if got := o.mailbox(d, m); got.GetPort() != c.want || got.GetProtocol() == 0 {
			t.Errorf("%+v became %v at port %d", c, got.GetProtocol(), got.GetPort())
		}
	}
}

func TestAMailboxShowsHowReadingItWentAndNoPassword(t *testing.T) {
	o := newOffice(t)
	d := o.desk()
	at := time.Now()
	d.Reading = func(string) reading {
		return reading{checked: at, lastError: "The server refused the password", read: 7, matched: 3}
	}
	m := o.mailbox(d, boxNamed("box"))
	if m.GetLastError() == "" || m.GetReadMails() != 7 || m.GetMatchedMails() != 3 || !m.GetLastCheckTime().AsTime().Equal(at) || m.Password != nil || !m.GetCredentialSet() {
		t.Errorf("shown %v", m)
	}
	if bytes.Contains(o.stored(), []byte("box-pw")) || bytes.Contains(o.stored(), []byte("refused the password")) {
		t.Error("the journal has what doesn't belong there")
	}
	for path, change := range map[string]*notificationv1.Mailbox{
		"address":                {Address: "evil.example.com"},
		"protocol":               {Protocol: notificationv1.Mailbox_POP3},
		"skip_certificate_check": {SkipCertificateCheck: true},
	} {
		m := o.mailbox(d, boxNamed("of "+path))
		change.Id = m.GetId()
		got := must(d.UpdateMailbox(o.admin(), &notificationv1.UpdateMailboxRequest{Mailbox: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}}}))
		if got.GetCredentialSet() || o.secrets(d, settings.Mailboxes, m.GetId()).GetPassword() != "" || len(got.GetWarnings()) != 1 {
			t.Errorf("after %s changed: %v", path, got)
		}
	}
	if all := must(d.ListMailboxes(o.admin(), &notificationv1.ListMailboxesRequest{})).GetMailboxes(); len(all) != 4 || all[0].GetReadMails() != 7 {
		t.Errorf("listed %v", all)
	}
	must(d.DeleteMailbox(o.admin(), &notificationv1.DeleteMailboxRequest{Id: m.GetId()}))
	_, err := d.GetMailbox(o.admin(), &notificationv1.GetMailboxRequest{Id: m.GetId()})
	wantRefused(t, err, fault.NotFound, "")
	_, err = d.DeleteMailbox(o.admin(), &notificationv1.DeleteMailboxRequest{Id: m.GetId()})
	wantRefused(t, err, fault.NotFound, "")
	bad := boxNamed("bad")
	bad.Address = "imap example"
	_, err = d.CreateMailbox(o.admin(), &notificationv1.CreateMailboxRequest{Mailbox: bad})
	wantRefused(t, err, fault.InvalidArgument, "address")
}
