package mail

import (
	"crypto/tls"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/mailtest"
	"portcullis.dev/services/notifier/message"
)

func TestUnreachableServersAreTheServersFaultAndSayWhatToDo(t *testing.T) {
	expired := mailtest.NewAuthority(t)
	sslConfig := expired.Config(t, time.Now().Add(-time.Minute), mailtest.Host)
	o := (&odd{}).start(t, func(s *smtp.Server) { s.TLSConfig = sslConfig })
	plain := (&odd{}).start(t, nil)
	ssl := raw(t, func(c net.Conn) { tls.Server(c, sslConfig).Handshake() })
	for name, c := range map[string]struct {
		change func(*Account)
		port   uint32
		want   string
	}{
		"unknown host":        {func(a *Account) { a.Settings.Host = "no-such-host.invalid" }, 25, "the host isn't known"},
		"nobody listens":      {func(*Account) {}, 1, "connection refused"},
		"expired by STARTTLS": {secure(notificationv1.SecureConnectionType_TLS, expired), uint32(o.port), "expired"},
		"expired by SSL":      {secure(notificationv1.SecureConnectionType_SSL, expired), ssl.Settings.Port, "expired"},
		"no STARTTLS":         {secure(notificationv1.SecureConnectionType_TLS, expired), uint32(plain.port), "choose SSL"},
		"no TLS":              {secure(notificationv1.SecureConnectionType_SSL, expired), uint32(plain.port), "choose TLS (STARTTLS)"},
		"no authentication": {func(a *Account) {
			a.Settings.Authentication, a.Settings.Username, a.Password = true, "u", "p"
		}, uint32(plain.port), "offers no authentication"},
		"no credential": {func(a *Account) { a.Settings.Authentication = true }, 25, "enter its credential"},
		"no host":       {func(a *Account) { a.Settings.Host = "" }, 25, "enter the server's name"},
	} {
		a := plain.account()
		a.Settings.Port = c.port
		c.change(&a)
		_, err := Open(t.Context(), a)
		if f := message.FailureOf(err); err == nil || !f.Server || f.Permanent || !strings.Contains(f.Reason, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func secure(kind notificationv1.SecureConnectionType, trusted *mailtest.Authority) func(*Account) {
	return func(a *Account) {
		a.Settings.Host, a.Roots = mailtest.Host, trusted.Roots
		a.Settings.SecureConnection, a.Settings.SecureConnectionType = true, kind
	}
}

// plainServer speaks SMTP with the extensions that it is given. It refuses one recipient, and waits for the mail all
// the same; it answers the texts of the mails that it took.
func plainServer(t *testing.T, extensions ...string) (a Account, took <-chan string) {
	mails := make(chan string, 10)
	a = raw(t, func(c net.Conn) {
		text := textproto.NewConn(c)
		text.PrintfLine("220 hi")
		refused := false
		for {
			line, err := text.ReadLine()
			switch {
			case err != nil:
				return
			case strings.HasPrefix(line, "EHLO"):
				text.PrintfLine("%s", "250-"+strings.Join(append([]string{"hi"}, extensions...), "\r\n250-")+"\r\n250 HELP")
			case strings.HasPrefix(line, "RCPT TO:<eve@"):
				refused = true
				text.PrintfLine("550 no such user")
			case line == "DATA":
				text.PrintfLine("354 go on")
				mail, _ := text.ReadDotBytes()
				if refused {
					text.PrintfLine("554 no recipients")
					break
				}
				mails <- string(mail)
				text.PrintfLine("250 taken")
			case line == "RSET":
				refused = false
				text.PrintfLine("250 reset")
			default:
				text.PrintfLine("250 ok")
			}
		}
	})
	return a, mails
}

func TestARefusedRecipientGetsNoMailAlsoWhereCommandsArePipelined(t *testing.T) {
	for _, extensions := range [][]string{{"PIPELINING"}, nil} {
		a, took := plainServer(t, extensions...)
		conn := open(t, a)
		for _, to := range []string{"eve@example.com", "ana@example.com", "eve@example.com", "bob@example.com"} {
			answer, err := conn.Send(t.Context(), note(1, to))
			if !strings.HasPrefix(to, "eve") {
				if err != nil || answer != "250 taken" || !strings.Contains(<-took, "<"+to+">") {
					t.Fatalf("%v %s: %q, %v", extensions, to, answer, err)
				}
				continue
			}
			if f := message.FailureOf(err); !f.Permanent || !strings.Contains(f.Reason, "naming the recipient: 550 no such user") {
				t.Fatalf("%v", err)
			}
		}
		if len(took) != 0 {
			t.Errorf("%v: a mail too many: %q", extensions, <-took)
		}
	}
}
