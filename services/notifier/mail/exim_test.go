package mail

import (
	"fmt"
	"strings"
	"testing"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/mailtest"
	"portcullis.dev/services/notifier/message"
)

// numbered is the n-th of many ids.
func numbered(n int) string {
	id := []byte("aaaaaaaaaaaaaaaaaaaaaaaa")
	for i := range 5 {
		id[i] = "abcdefghijklmnopqrstuvwxyz234567"[n>>(5*i)&31]
	}
	return string(id)
}

func note(n int, to string) *message.Message {
	m := testMessage()
	m.ID, m.To = numbered(n), to
	return m
}

// eximAccount is alice's, by STARTTLS.
func eximAccount(s *mailtest.Servers) Account {
	return Account{
		Settings: &notificationv1.SmtpAccount{
			Host: mailtest.Host, Port: uint32(s.SMTP), Sender: "Alice <alice@mail.test>", ReturnPath: mailtest.Bounces,
			SecureConnection: true, SecureConnectionType: notificationv1.SecureConnectionType_TLS,
			Authentication: true, Username: mailtest.Alice,
		},
		Password: mailtest.AlicePassword, Roots: s.Roots, Hello: "notifier.mail.test",
	}
}

func TestARealServerTakesMailByEachConnectionAndAuthentication(t *testing.T) {
	s := mailtest.Start(t)
	n := 0
	for _, secured := range []notificationv1.SecureConnectionType{0, notificationv1.SecureConnectionType_TLS, notificationv1.SecureConnectionType_SSL} {
		for _, method := range []notificationv1.SmtpAccount_AuthenticationMethod{
			0, notificationv1.SmtpAccount_PLAIN, notificationv1.SmtpAccount_LOGIN, notificationv1.SmtpAccount_CRAM_MD5,
		} {
			t.Run(fmt.Sprint(secured, method), func(t *testing.T) {
				a := eximAccount(s)
				a.Settings.SecureConnectionType, a.Settings.AuthenticationMethod = secured, method
				if secured == notificationv1.SecureConnectionType_SSL {
					a.Settings.Port = uint32(s.SMTPS)
				}
				c, err := Open(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				for range 3 {
					n++
					answer, err := c.Send(t.Context(), note(n, mailtest.Bob))
					if err != nil || !strings.HasPrefix(answer, "250 OK id=") {
						t.Fatalf("%q, %v", answer, err)
					}
				}
			})
		}
	}
}

func TestARefusedRecipientSpoilsNoOtherMailOfTheConnection(t *testing.T) {
	s := mailtest.Start(t)
	a := eximAccount(s)
	// Without authentication Exim takes mail for its own users only.
	a.Settings.Authentication = false
	c, err := Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Send(t.Context(), note(1, "eve@elsewhere.example"))
	f := message.FailureOf(err)
	if !f.Permanent || f.Server || !strings.Contains(f.Reason, "550 relay not permitted") {
		t.Fatalf("%+v", f)
	}
	if _, err := c.Send(t.Context(), note(2, mailtest.Bob)); err != nil {
		t.Fatal(err)
	}
}

func TestWrongCredentialsAreTheAccountsFaultAndNotTold(t *testing.T) {
	s := mailtest.Start(t)
	for _, method := range []notificationv1.SmtpAccount_AuthenticationMethod{
		0, notificationv1.SmtpAccount_PLAIN, notificationv1.SmtpAccount_LOGIN, notificationv1.SmtpAccount_CRAM_MD5,
	} {
		a := eximAccount(s)
		a.Password, a.Settings.AuthenticationMethod = "wrong-secret-4711", method
		_, err := Open(t.Context(), a)
		f := message.FailureOf(err)
		if f.Permanent || !f.Server || !strings.Contains(f.Reason, "535") || strings.Contains(err.Error(), a.Password) {
			t.Errorf("%v: %+v", method, f)
		}
	}
}

func TestACertificateIsCheckedUnlessThatIsWaived(t *testing.T) {
	s := mailtest.Start(t)
	for _, secured := range []notificationv1.SecureConnectionType{notificationv1.SecureConnectionType_TLS, notificationv1.SecureConnectionType_SSL} {
		a := eximAccount(s)
		a.Settings.SecureConnectionType, a.Roots = secured, nil
		if secured == notificationv1.SecureConnectionType_SSL {
			a.Settings.Port = uint32(s.SMTPS)
		}
		_, err := Open(t.Context(), a)
		f := message.FailureOf(err)
		if !f.Server || f.Permanent || !strings.Contains(f.Reason, "certificate is not trusted") {
			t.Errorf("%v: %+v", secured, f)
		}
		a.Settings.IgnoreCertificateErrors = true
		c, err := Open(t.Context(), a)
		if err != nil {
			t.Fatalf("%v: %v", secured, err)
		}
		c.Close()
	}
}
