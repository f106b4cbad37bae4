package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/mail"
	"portcullis.dev/services/notifier/mailtest"
	"portcullis.dev/services/notifier/message"
)

const (
	imapBox = notificationv1.Mailbox_IMAP
	popBox  = notificationv1.Mailbox_POP3
)

func realBox(s *mailtest.Servers, protocol notificationv1.Mailbox_Protocol, keep bool) Box {
	port := s.IMAP
	if protocol == popBox {
		port = s.POP3
	}
	return Box{
		Settings: &notificationv1.Mailbox{
			Address: mailtest.Host, Port: uint32(port), Protocol: protocol, KeepCopyOnServer: keep,
			SecureConnection: true, SecureConnectionType: notificationv1.SecureConnectionType_TLS, Username: mailtest.Bob,
		},
		Password: mailtest.BobPassword, Roots: s.Roots,
	}
}

// reader takes mails in.
type reader struct {
	mu    sync.Mutex
	mails []Mail
	fail  error
	came  chan Mail
	told  chan Status
}

func newReader() *reader {
	return &reader{came: make(chan Mail, 100), told: make(chan Status, 100)}
}

func (r *reader) deps(m *Memory) Deps {
	return Deps{Handle: r.handle, Memory: m, Tell: func(s Status) { r.told <- s }}
}

func (r *reader) handle(_ context.Context, m Mail) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return false, r.fail
	}
	r.mails = append(r.mails, m)
	r.came <- m
	return len(m.IDs) > 0, nil
}

func (r *reader) failing(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

func (r *reader) subjects() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, m := range r.mails {
		all = append(all, m.Subject)
	}
	return strings.Join(all, " ")
}

func simple(subject string) []byte {
	return []byte(fmt.Sprintf("From: ana@example.com\r\nSubject: %s\r\nIn-Reply-To: <%s@x>\r\n\r\n.dot\r\n..\r\n", subject, id1))
}

func check(t *testing.T, b Box, d Deps) Status {
	t.Helper()
	status, err := Check(t.Context(), b, d)
	if err != nil {
		t.Fatalf("%+v, %v", status, err)
	}
	return status
}

func TestKeepCopyIsHonouredAndNoMailIsHandledTwice(t *testing.T) {
	s := mailtest.Start(t)
	for _, protocol := range []notificationv1.Mailbox_Protocol{imapBox, popBox} {
		for _, keep := range []bool{true, false} {
			t.Run(fmt.Sprint(protocol, " keep=", keep), func(t *testing.T) {
				b, r := realBox(s, protocol, keep), newReader()
				d := r.deps(NewMemory())
				s.Deliver(t, "ana@example.com", mailtest.Bob, simple("one"))
				s.Deliver(t, "ana@example.com", mailtest.Bob, simple("two"))
				check(t, b, d)
				s.Deliver(t, "ana@example.com", mailtest.Bob, simple("three"))
				check(t, b, d)
				status := check(t, b, d)
				if got := r.subjects(); got != "one two three" || status.Read != 3 || status.Matched != 3 || status.Error != "" {
					t.Errorf("%q, %+v", got, status)
				}
				if r.mails[0].Text != ".dot\n.." {
					t.Errorf("a mail's text is %q", r.mails[0].Text)
				}
				// Another process sees what stayed: by IMAP it is marked as read, by POP3 nothing can be.
				again, all := newReader(), ""
				if check(t, b, again.deps(NewMemory())); keep && protocol == popBox {
					all = "one two three"
				}
				if got := again.subjects(); got != all {
					t.Errorf("the next process reads %q", got)
				}
				emptied := newReader()
				rest := realBox(s, imapBox, false)
				if check(t, rest, emptied.deps(NewMemory())); keep != (emptied.subjects() != "") {
					t.Errorf("on the server there is left %q", emptied.subjects())
				}
			})
		}
	}
}

func TestAMailThatAPersonReadFirstIsReadAllTheSame(t *testing.T) {
	s := mailtest.Start(t)
	b, r, person := realBox(s, imapBox, true), newReader(), newReader()
	d := r.deps(NewMemory())
	check(t, b, d)
	s.Deliver(t, "ana@example.com", mailtest.Bob, simple("seen"))
	check(t, b, person.deps(NewMemory()))
	check(t, b, d)
	if person.subjects() != "seen" || r.subjects() != "seen" {
		t.Errorf("%q and %q", person.subjects(), r.subjects())
	}
}

func TestABadMailNeverStopsTheBox(t *testing.T) {
	s := mailtest.Start(t)
	for _, protocol := range []notificationv1.Mailbox_Protocol{imapBox, popBox} {
		b, r := realBox(s, protocol, false), newReader()
		s.Deliver(t, "x@example.com", mailtest.Bob, []byte("no header at all\r\n"))
		s.Deliver(t, "x@example.com", mailtest.Bob, []byte(nested(200)))
		s.Deliver(t, "x@example.com", mailtest.Bob, []byte("Broken\x00\xff header: x\r\n\r\n"))
		s.Deliver(t, "x@example.com", mailtest.Bob, simple("good"))
		d := r.deps(NewMemory())
		check(t, b, d)
		status := check(t, b, d)
		if !strings.Contains(r.subjects(), "good") || status.Bad+status.Read != 4 || status.Bad == 0 {
			t.Errorf("%v: %q, %+v", protocol, r.subjects(), status)
		}
	}
}

func TestAMailThatWasNotTakenInIsLeftAndReadAgain(t *testing.T) {
	s := mailtest.Start(t)
	for _, protocol := range []notificationv1.Mailbox_Protocol{imapBox, popBox} {
		b, r := realBox(s, protocol, false), newReader()
		d := r.deps(NewMemory())
		r.failing(errors.New("the journal is away"))
		s.Deliver(t, "x@example.com", mailtest.Bob, simple("kept"))
		for range 5 {
			status, err := Check(t.Context(), b, d)
			if err == nil || !strings.Contains(status.Error, "the journal is away") {
				t.Fatalf("%+v, %v", status, err)
			}
		}
		r.failing(nil)
		check(t, b, d)
		if status := check(t, b, d); r.subjects() != "kept" || status.Read != 1 {
			t.Errorf("%v: %q, %+v", protocol, r.subjects(), status)
		}
	}
}

func TestEachConnectionWorksAndItsFailuresSayWhatToDo(t *testing.T) {
	s := mailtest.Start(t)
	tls, ssl := notificationv1.SecureConnectionType_TLS, notificationv1.SecureConnectionType_SSL
	for _, protocol := range []notificationv1.Mailbox_Protocol{imapBox, popBox} {
		sslPort := map[notificationv1.Mailbox_Protocol]int{imapBox: s.IMAPS, popBox: s.POP3S}[protocol]
		for name, c := range map[string]struct {
			change func(*Box)
			want   string
		}{
			"TLS": {func(b *Box) { b.Settings.SecureConnectionType = tls }, ""},
			"SSL": {func(b *Box) { b.Settings.SecureConnectionType, b.Settings.Port = ssl, uint32(sslPort) }, ""},
			"unchecked": {func(b *Box) {
				b.Roots, b.Settings.SkipCertificateCheck = nil, true
			}, ""},
			"untrusted by TLS": {func(b *Box) { b.Roots = nil }, "not trusted"},
			"untrusted by SSL": {func(b *Box) {
				b.Roots, b.Settings.SecureConnectionType, b.Settings.Port = nil, ssl, uint32(sslPort)
			}, "not trusted"},
			"none, to loopback": {func(b *Box) { b.Settings.SecureConnection = false }, ""},
			"wrong password":    {func(b *Box) { b.Password = "wrong-9999" }, "uthentication failed"},
			"a line break":      {func(b *Box) { b.Password += "\r\nDELE 1" }, "line break"},
			"unknown":           {func(b *Box) { b.Settings.Address = "no-such-host.invalid" }, "isn't known"},
			"nobody listens":    {func(b *Box) { b.Settings.Port = 1 }, "connection refused"},
			"another protocol": {func(b *Box) {
				b.Settings.SecureConnection, b.Settings.Port = false, uint32(s.SMTP)
			}, map[notificationv1.Mailbox_Protocol]string{imapBox: "speaks no IMAP on this port", popBox: "speaks no POP3 on this port"}[protocol]},
		} {
			b, r := realBox(s, protocol, true), newReader()
			c.change(&b)
			status, err := Check(t.Context(), b, r.deps(NewMemory()))
			if (c.want == "") != (err == nil) || !strings.Contains(status.Error, c.want) || strings.Contains(status.Error, b.Password) {
				t.Errorf("%v %s: %+v, %v", protocol, name, status, err)
			}
		}
	}
}

func follow(t *testing.T, b Box, d Deps) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { Follow(ctx, b, d); close(ended) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("it does not end with its context")
		}
	})
}

func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case x := <-from:
		return x
	case <-time.After(30 * time.Second):
		t.Fatal("nothing comes")
	}
	panic("unreachable")
}

func TestTheServerTellsOfNewMailAtOnceByIMAPAndPOP3IsAskedByAndBy(t *testing.T) {
	s := mailtest.Start(t)
	for _, protocol := range []notificationv1.Mailbox_Protocol{imapBox, popBox} {
		b, r := realBox(s, protocol, false), newReader()
		// Without IDLE the mail would come an hour late.
		b.Timeouts.Poll, b.Timeouts.Refresh = time.Hour, time.Hour
		if protocol == popBox {
			b.Timeouts.Poll = 50 * time.Millisecond
		}
		d := r.deps(NewMemory())
		follow(t, b, d)
		next(t, r.told)
		for _, subject := range []string{"first", "second", "third"} {
			s.Deliver(t, "x@example.com", mailtest.Bob, simple(subject))
			if m := next(t, r.came); m.Subject != subject {
				t.Errorf("%v: %q", protocol, m.Subject)
			}
		}
	}
}

func TestAMailboxThatWasAwayIsReadWhenItIsBack(t *testing.T) {
	s := mailtest.Start(t)
	b, r := realBox(s, imapBox, false), newReader()
	good := b.Settings.Port
	gate := newGate(t, fmt.Sprintf("127.0.0.1:%d", good))
	b.Settings.Port, b.Timeouts.Retry = uint32(gate.port), 20*time.Millisecond
	follow(t, b, r.deps(NewMemory()))
	if status := next(t, r.told); status.Error != "" {
		t.Fatalf("%+v", status)
	}
	gate.shut(true)
	if status := next(t, r.told); status.Error == "" {
		t.Fatalf("%+v", status)
	}
	s.Deliver(t, "x@example.com", mailtest.Bob, simple("late"))
	gate.shut(false)
	if m := next(t, r.came); m.Subject != "late" {
		t.Errorf("%+v", m)
	}
}

func TestWhatRealServersReportComesBackToItsDelivery(t *testing.T) {
	s := mailtest.Start(t)
	account := mail.Account{
		Settings: &notificationv1.SmtpAccount{
			Host: mailtest.Host, Port: uint32(s.SMTP), Sender: "Alice <alice@mail.test>", ReturnPath: mailtest.Bounces,
			SecureConnection: true, Authentication: true, Username: mailtest.Alice,
		},
		Password: mailtest.AlicePassword, Roots: s.Roots, Hello: "notifier.mail.test",
	}
	b, r := realBox(s, imapBox, false), newReader()
	b.Settings.Username, b.Password = mailtest.Bounces, mailtest.BouncesPassword
	follow(t, b, r.deps(NewMemory()))
	next(t, r.told)
	for _, c := range []struct {
		id, to string
		plain  bool
		want   string
	}{
		{id1, mailtest.Nobody, false, "failed"}, {id2, mailtest.Bob, false, "delivered"}, {id3, mailtest.Nobody, true, "failed"},
	} {
		account.Settings.PlainReturnPath = c.plain
		conn, err := mail.Open(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		m := &message.Message{ID: c.id, Host: "portcullis.test", To: c.to, Subject: "Lockdown", Body: "now"}
		if _, err := conn.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		got := next(t, r.came)
		if diff := cmp.Diff([]string{c.id}, got.IDs); diff != "" || got.Kind != Bounce {
			t.Errorf("%v: -want +got:\n%s", got.Kind, diff)
		}
		if got.Report.Action != c.want || got.Report.Recipient != c.to {
			t.Errorf("%+v", got.Report)
		}
	}
}
