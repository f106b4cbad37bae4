package mailbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// Box is what is read.
type Box struct {
	// Settings are the administrator's. Not changed.
	Settings *notificationv1.Mailbox
	Password string
	// Timeouts are the usual ones where they are 0.
	Timeouts Timeouts
	// Roots are who may have signed the server's certificate; nil: whom the system trusts.
	Roots *x509.CertPool
}

// Timeouts bound what a server can hold up, and say how often it is asked.
type Timeouts struct {
	// Dial is for the connection with its TLS: 15 s. Command is for each answer: 60 s. Mail is for reading one: 15 minutes.
	Dial, Command, Mail time.Duration
	// Poll is how long after one reading the next is, where the server doesn't tell of new mail: a minute.
	Poll time.Duration
	// Refresh is how long to trust a server that would tell: 10 minutes.
	Refresh time.Duration
	// Retry is the wait after a failure, which doubles up to 5 minutes: 5 s.
	Retry time.Duration
}

// Deps are whom it is read for.
type Deps struct {
	// Handle takes what a mail says, and answers whether it was about something that was sent. A mail that it fails
	// on is left, and handled again the next time.
	Handle func(context.Context, Mail) (matched bool, err error)
	// Tell hears how each reading went. It may be nil.
	Tell func(Status)
	// Memory is the box's for as long as the process lives.
	Memory *Memory
}

// Status is how reading goes.
type Status struct {
	Time time.Time
	// Error is empty if the last reading went well.
	Error string
	// Read, Matched and Bad count mails in the life of the Memory: those that were read, those that were about something
	// that was sent, those that are no mails.
	Read, Matched, Bad uint64
}

func (b Box) withDefaults() (Box, error) {
	t := b.Timeouts
	b.Timeouts = Timeouts{
		Dial:    cmp.Or(t.Dial, 15*time.Second),
		Command: cmp.Or(t.Command, time.Minute),
		Mail:    cmp.Or(t.Mail, 15*time.Minute),
		Poll:    cmp.Or(t.Poll, time.Minute),
		Refresh: cmp.Or(t.Refresh, 10*time.Minute),
		Retry:   cmp.Or(t.Retry, 5*time.Second),
	}
	s := b.Settings
	if s.GetAddress() == "" {
		return b, errors.New("the mailbox has no server; enter its address")
	}
	if strings.ContainsFunc(s.GetUsername()+b.Password, unicode.IsControl) {
		return b, errors.New("the mailbox's user or password holds a line break or another control character; enter it anew")
	}
	return b, nil
}

func (b Box) pop() bool { return b.Settings.GetProtocol() == notificationv1.Mailbox_POP3 }

func (b Box) implicitTLS() bool {
	return b.Settings.GetSecureConnection() && b.Settings.GetSecureConnectionType() == notificationv1.SecureConnectionType_SSL
}

func (b Box) startTLS() bool { return b.Settings.GetSecureConnection() && !b.implicitTLS() }

func (b Box) server() string {
	port := map[[2]bool]int{{false, false}: 143, {false, true}: 993, {true, false}: 110, {true, true}: 995}[[2]bool{b.pop(), b.implicitTLS()}]
	return net.JoinHostPort(b.Settings.GetAddress(), strconv.Itoa(cmp.Or(int(b.Settings.GetPort()), port)))
}

func (b Box) tlsConfig() *tls.Config {
	return &tls.Config{
		ServerName: b.Settings.GetAddress(), RootCAs: b.Roots, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: b.Settings.GetSkipCertificateCheck(), // #nosec G402 -- an administrator has waived it for this mailbox
	}
}

// dial connects, with TLS where it comes first.
func (b Box) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, b.Timeouts.Dial)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.server())
	if err != nil {
		return nil, err
	}
	if !b.implicitTLS() {
		return conn, nil
	}
	secured := tls.Client(conn, b.tlsConfig())
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

var errExposed = errors.New("the password was not sent, for the connection is not encrypted; choose TLS or SSL")

// mayLogIn says whether the password would travel unseen.
func (b Box) mayLogIn(conn net.Conn) error {
	addr, ok := conn.RemoteAddr().(*net.TCPAddr)
	if b.Settings.GetSecureConnection() || ok && addr.IP.IsLoopback() {
		return nil
	}
	return errExposed
}

// within does something that the connection may hang in: it ends when the time is up, and at once with the context.
func within(ctx context.Context, conn net.Conn, limit time.Duration, do func() error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(limited, func() { conn.Close() })
	defer stop()
	err := do()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && limited.Err() != nil:
		return fmt.Errorf("the server did not answer within %s", limit)
	}
	return err
}

// reason makes a sentence for administrators of an error: where, what, and what to do; without the password in case a
// server echoes it.
func (b Box) reason(err error) string {
	text := err.Error()
	var unknown *net.DNSError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown):
		text = "the server isn't known; check the mailbox's address"
	case errors.As(err, &untrusted):
		text = "its certificate is not trusted (" + untrusted.Err.Error() + "); renew it there, or skip the check for this mailbox"
	}
	if len(b.Password) >= 4 {
		text = strings.ReplaceAll(text, b.Password, "[hidden]")
	}
	return oneLine(b.server()+": "+text, 500)
}
