package mail

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/message"
)

// odd is a server that misbehaves as no real one does on command.
type odd struct {
	port  int
	mechs []string
	// mail, rcpt and data answer a command; nil: all goes well.
	mail, rcpt, data func(c *smtp.Conn) error

	mu    sync.Mutex
	got   []envelope
	conns int
}

type envelope struct {
	from, to string
	mail     smtp.MailOptions
	rcpt     smtp.RcptOptions
	raw      string
}

func (o *odd) start(t testing.TB, change func(*smtp.Server)) *odd {
	t.Helper()
	server := smtp.NewServer(o)
	server.Domain, server.AllowInsecureAuth, server.EnableDSN = "odd.test", true, true
	server.ErrorLog = log.New(io.Discard, "", 0)
	if change != nil {
		change(server)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.port = l.Addr().(*net.TCPAddr).Port
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return o
}

func (o *odd) account() Account {
	a := testAccount()
	a.Settings.Host, a.Settings.Port, a.Hello = "127.0.0.1", uint32(o.port), "notifier.test"
	return a
}

func (o *odd) mails() []envelope {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]envelope(nil), o.got...)
}

// behave changes what it does from now on.
func (o *odd) behave(mail, rcpt, data func(*smtp.Conn) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mail, o.rcpt, o.data = mail, rcpt, data
}

func (o *odd) answer(c *smtp.Conn, by *func(*smtp.Conn) error) error {
	o.mu.Lock()
	do := *by
	o.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(c)
}

func (o *odd) connections() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.conns
}

func (o *odd) NewSession(c *smtp.Conn) (smtp.Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conns++
	return &oddSession{odd: o, conn: c}, nil
}

type oddSession struct {
	odd  *odd
	conn *smtp.Conn
	at   envelope
}

func (s *oddSession) Reset()        { s.at = envelope{} }
func (s *oddSession) Logout() error { return nil }

func (s *oddSession) Mail(from string, o *smtp.MailOptions) error {
	s.at.from, s.at.mail = from, *o
	return s.odd.answer(s.conn, &s.odd.mail)
}

func (s *oddSession) Rcpt(to string, o *smtp.RcptOptions) error {
	s.at.to, s.at.rcpt = to, *o
	return s.odd.answer(s.conn, &s.odd.rcpt)
}

func (s *oddSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.at.raw = string(raw)
	s.odd.mu.Lock()
	s.odd.got = append(s.odd.got, s.at)
	s.odd.mu.Unlock()
	return s.odd.answer(s.conn, &s.odd.data)
}

func (s *oddSession) AuthMechanisms() []string { return s.odd.mechs }

func (s *oddSession) Auth(mech string) (sasl.Server, error) {
	return &exchange{mech: mech}, nil
}

// exchange knows the user "u" with the password or token "tok-99-en".
type exchange struct {
	mech string
	step int
}

const challenge = "<1896.697170952@odd.test>"

func (e *exchange) Next(response []byte) ([]byte, bool, error) {
	e.step++
	want := "user=u\x01auth=Bearer tok-99-en\x01\x01"
	if e.mech == "CRAM-MD5" {
		if e.step == 1 {
			return []byte(challenge), false, nil
		}
		sum := hmac.New(md5.New, []byte("tok-99-en"))
		sum.Write([]byte(challenge))
		want = "u " + hex.EncodeToString(sum.Sum(nil))
	}
	if string(response) == want {
		return nil, true, nil
	}
	if e.mech == "XOAUTH2" && e.step == 1 {
		return []byte(`{"status":"401"}`), false, nil
	}
	return nil, true, &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no"}
}

// open opens, or ends the test.
func open(t testing.TB, a Account) *Conn {
	t.Helper()
	c, err := Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTheEnvelopeAsksForReportsByTheDeliverysID(t *testing.T) {
	o := (&odd{}).start(t, nil)
	if _, err := open(t, o.account()).Send(t.Context(), testMessage()); err != nil {
		t.Fatal(err)
	}
	got := o.mails()[0]
	if got.from != "bounces+"+testID+"@example.com" || got.mail.EnvelopeID != testID || got.mail.Return != smtp.DSNReturnHeaders || got.mail.UTF8 {
		t.Errorf("from %q, %+v", got.from, got.mail)
	}
	if fmt.Sprint(got.rcpt.Notify) != "[SUCCESS FAILURE]" {
		t.Errorf("%+v", got.rcpt)
	}
	if !strings.Contains(got.raw, "\r\n.um ponto") {
		t.Error("a dot at the start of a line is lost")
	}
}

func TestCramMD5AndXOAuth2ProveWhoWeAre(t *testing.T) {
	for mech, method := range map[string]notificationv1.SmtpAccount_AuthenticationMethod{
		"CRAM-MD5": notificationv1.SmtpAccount_CRAM_MD5, "XOAUTH2": notificationv1.SmtpAccount_XOAUTH2,
	} {
		o := (&odd{mechs: []string{mech}}).start(t, nil)
		a := o.account()
		a.Settings.Authentication, a.Settings.Username, a.Password = true, "u", "tok-99-en"
		open(t, a)
		a.Settings.AuthenticationMethod = method
		open(t, a)
		a.Password = "wrong-tok"
		_, err := Open(t.Context(), a)
		if f := message.FailureOf(err); !f.Server || f.Permanent || !strings.Contains(f.Reason, "535") {
			t.Errorf("%s: %v", mech, err)
		}
	}
}

func TestNoPasswordTravelsWhereItCanBeRead(t *testing.T) {
	a := testAccount()
	a.Settings.Username, a.Password = "u", "secret"
	for _, method := range []notificationv1.SmtpAccount_AuthenticationMethod{
		0, notificationv1.SmtpAccount_PLAIN, notificationv1.SmtpAccount_LOGIN, notificationv1.SmtpAccount_XOAUTH2,
	} {
		a.Settings.AuthenticationMethod = method
		if _, err := a.authentication("PLAIN LOGIN XOAUTH2", false); !errors.Is(err, errExposed) {
			t.Errorf("%v: %v", method, err)
		}
		if _, err := a.authentication("PLAIN LOGIN XOAUTH2", true); err != nil {
			t.Errorf("%v: %v", method, err)
		}
	}
	a.Settings.AuthenticationMethod = 0
	auth, err := a.authentication("PLAIN CRAM-MD5", false)
	if name, _, _ := auth.Start(nil); err != nil || name != "CRAM-MD5" {
		t.Errorf("%v, %v", name, err)
	}
}

func smtpError(code int, text string) func(*smtp.Conn) error {
	return func(*smtp.Conn) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: text}
	}
}

func TestWhatAServerRefusesIsPermanentOnlyWhenItSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		odd   *odd
		want  message.Failure
		alive bool
	}{
		"no such user":       {&odd{rcpt: smtpError(550, "no such user")}, message.Failure{Permanent: true}, true},
		"greylisted":         {&odd{rcpt: smtpError(451, "Greylisted, try again in 5 minutes")}, message.Failure{After: 5 * time.Minute}, true},
		"sender refused":     {&odd{mail: smtpError(553, "not you")}, message.Failure{Permanent: true}, true},
		"too much":           {&odd{data: smtpError(552, "full")}, message.Failure{Permanent: true}, true},
		"later":              {&odd{data: smtpError(452, "full")}, message.Failure{}, true},
		"authenticate first": {&odd{mail: smtpError(530, "authenticate first")}, message.Failure{Server: true}, true},
		"closing":            {&odd{mail: smtpError(421, "closing")}, message.Failure{Server: true}, false},
		"dropped":            {&odd{mail: func(c *smtp.Conn) error { return c.Conn().Close() }}, message.Failure{Server: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.odd.start(t, nil)
			conn := open(t, o.account())
			_, err := conn.Send(t.Context(), testMessage())
			f := message.FailureOf(err)
			if f.Permanent != c.want.Permanent || f.Server != c.want.Server || f.After != c.want.After {
				t.Fatalf("%+v", f)
			}
			o.behave(nil, nil, nil)
			if _, err := conn.Send(t.Context(), testMessage()); err != nil {
				t.Errorf("the next: %v", err)
			}
			if n := o.connections(); c.alive && n != 1 {
				t.Errorf("it took %d connections", n)
			}
		})
	}
}

func TestWhenTheConnectionDropsAfterDATATheOutcomeIsUnknownAndTheMessageIDStays(t *testing.T) {
	o := (&odd{data: func(c *smtp.Conn) error { return c.Conn().Close() }}).start(t, nil)
	conn := open(t, o.account())
	for range 2 {
		_, err := conn.Send(t.Context(), testMessage())
		f := message.FailureOf(err)
		if err == nil || f.Permanent || !f.Server || !strings.Contains(f.Reason, "may have arrived") {
			t.Fatalf("%+v", f)
		}
	}
	got := o.mails()
	if len(got) != 2 {
		t.Fatalf("%d mails: one that may have arrived is repeated without being asked", len(got))
	}
	for _, m := range got {
		if !strings.Contains(m.raw, "Message-ID: <"+testID+"@portcullis.example.com>") {
			t.Error(m.raw)
		}
	}
}

func TestAServerThatEndsAnOldConnectionCostsNoMail(t *testing.T) {
	o := (&odd{}).start(t, nil)
	conn := open(t, o.account())
	for i, end := range []func(*smtp.Conn) error{
		nil, smtpError(421, "enough"), func(c *smtp.Conn) error { return c.Conn().Close() },
	} {
		var once sync.Once
		o.behave(func(c *smtp.Conn) (err error) {
			if end != nil {
				once.Do(func() { err = end(c) })
			}
			return err
		}, nil, nil)
		if _, err := conn.Send(t.Context(), note(i, "ana@example.com")); err != nil {
			t.Fatal(err)
		}
	}
	if n := o.connections(); len(o.mails()) != 3 || n != 3 {
		t.Errorf("%d mails by %d connections", len(o.mails()), n)
	}
}

func TestATarpitEndsWithinTheBoundAndTheContextAtOnce(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hang := func(*smtp.Conn) error { <-release; return nil }
	for name, o := range map[string]*odd{
		"MAIL": {mail: hang}, "RCPT": {rcpt: hang}, "the answer": {data: hang},
	} {
		o.start(t, nil)
		a := o.account()
		a.Timeouts = Timeouts{Command: 100 * time.Millisecond, Answer: 100 * time.Millisecond}
		_, err := open(t, a).Send(t.Context(), testMessage())
		if f := message.FailureOf(err); err == nil || !f.Server || f.Permanent || !strings.Contains(f.Reason, "did not answer in time") {
			t.Errorf("%s: %v", name, err)
		}
		conn := open(t, o.account())
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err = conn.Send(ctx, testMessage())
		cancel()
		if f := message.FailureOf(err); !errors.Is(err, context.DeadlineExceeded) || !f.Server {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// raw is a server that speaks what it is told to, for greetings that no library would say.
func raw(t *testing.T, speak func(net.Conn)) Account {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); speak(conn) }()
		}
	}()
	return (&odd{port: l.Addr().(*net.TCPAddr).Port}).account()
}

func TestAServerThatTalksForEverIsLeft(t *testing.T) {
	for name, speak := range map[string]func(net.Conn){
		"one byte after the other": func(c net.Conn) {
			for range time.NewTicker(5 * time.Millisecond).C {
				if _, err := c.Write([]byte("2")); err != nil {
					return
				}
			}
		},
		"an endless line": func(c net.Conn) {
			for {
				if _, err := c.Write([]byte(strings.Repeat("2", 1<<16))); err != nil {
					return
				}
			}
		},
		"endless lines": func(c net.Conn) {
			for {
				if _, err := c.Write([]byte(strings.Repeat("220-hello\r\n", 1<<10))); err != nil {
					return
				}
			}
		},
		"nothing":        func(c net.Conn) { io.Copy(io.Discard, c) },
		"something else": func(c net.Conn) { c.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n")); io.Copy(io.Discard, c) },
		"a refusal":      func(c net.Conn) { c.Write([]byte("554 no service for you\r\n")); io.Copy(io.Discard, c) },
	} {
		a := raw(t, speak)
		a.Timeouts = Timeouts{Login: 150 * time.Millisecond}
		began := time.Now()
		_, err := Open(t.Context(), a)
		f := message.FailureOf(err)
		if err == nil || !f.Server || f.Permanent || time.Since(began) > 5*time.Second || len(f.Reason) > 700 {
			t.Errorf("%s: after %v: %v", name, time.Since(began), err)
		}
	}
}

func TestWhatAServerSaysHoldsNoSecretAndNoLineBreak(t *testing.T) {
	a := raw(t, func(c net.Conn) {
		text := textproto.NewConn(c)
		text.PrintfLine("220 hi")
		for {
			line, err := text.ReadLine()
			switch {
			case err != nil:
				return
			case strings.HasPrefix(line, "EHLO"):
				text.PrintfLine("250-hi\r\n250 AUTH PLAIN")
			case strings.HasPrefix(line, "AUTH"):
				text.PrintfLine("535-bad %s\r\n535 for tok-99-en \x1b[31m", line)
			default:
				text.PrintfLine("221 bye")
			}
		}
	})
	a.Settings.Authentication, a.Settings.Username, a.Password = true, "u", "tok-99-en"
	_, err := Open(t.Context(), a)
	coded := base64.StdEncoding.EncodeToString([]byte("\x00u\x00tok-99-en"))
	if err == nil || strings.Contains(err.Error(), "tok-99") || strings.Contains(err.Error(), coded) ||
		strings.ContainsAny(err.Error(), "\n\x1b") || !strings.Contains(err.Error(), "[hidden]") {
		t.Errorf("%v", err)
	}
}

func TestAddressesOutsideASCIINeedAServerThatTakesThem(t *testing.T) {
	with := (&odd{}).start(t, func(s *smtp.Server) { s.EnableSMTPUTF8 = true })
	without := (&odd{}).start(t, nil)
	m := testMessage()
	m.To = "müller@bücher.example"
	if _, err := open(t, with.account()).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := with.mails()[0]; got.to != "müller@xn--bcher-kva.example" || !got.mail.UTF8 {
		t.Errorf("%+v", got)
	}
	conn := open(t, without.account())
	_, err := conn.Send(t.Context(), m)
	if f := message.FailureOf(err); !f.Permanent || f.Server || !strings.Contains(f.Reason, "SMTPUTF8") {
		t.Errorf("%v", err)
	}
	if _, err := conn.Send(t.Context(), testMessage()); err != nil {
		t.Errorf("the next: %v", err)
	}
}

func TestAMessageThatCannotBeAMailFailsForGoodAndLeavesTheConnection(t *testing.T) {
	o := (&odd{}).start(t, nil)
	conn := open(t, o.account())
	m := testMessage()
	m.Subject = "a\r\nBcc: eve@example.com"
	_, err := conn.Send(t.Context(), m)
	if f := message.FailureOf(err); !f.Permanent || f.Server || !strings.Contains(f.Reason, "the subject holds a line break") {
		t.Errorf("%v", err)
	}
	if _, err := conn.Send(t.Context(), testMessage()); err != nil || o.connections() != 1 {
		t.Errorf("the next: %v by %d connections", err, o.connections())
	}
}
