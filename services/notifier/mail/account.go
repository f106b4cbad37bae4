// Package mail sends one message at a time by an SMTP account.
package mail

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/net/idna"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// Account is what e-mail goes out by.
type Account struct {
	// Settings are the administrator's. Not changed.
	Settings *notificationv1.SmtpAccount
	// Password is the access token with XOAUTH2.
	Password string
	// Footnotes are what the footnote says in each language ("en", "pt-BR"); English stands in for one that lacks.
	Footnotes map[string]string
	// Product is named as the program that wrote the mail.
	Product string

	// Timeouts are the usual ones where they are 0.
	Timeouts Timeouts
	// Roots are who may have signed the server's certificate; nil: whom the system trusts.
	Roots *x509.CertPool
	// Hello is how this host calls itself; empty: by its name.
	Hello string
	// Now is the clock; nil: the system's.
	Now func() time.Time
}

// Timeouts bound each stage, however slowly a server answers: an attempt ends within their sum.
type Timeouts struct {
	// Dial is for the connection, with TLS where it comes first: 15 s.
	Dial time.Duration
	// Login is for greeting, STARTTLS and authentication together: 30 s.
	Login time.Duration
	// Command is for each of MAIL, RCPT and DATA: 60 s.
	Command time.Duration
	// Body is for handing over the mail: 60 s.
	Body time.Duration
	// Answer is for the server's word that it has the mail: 3 minutes. Giving up earlier repeats what has arrived.
	Answer time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Dial:    cmp.Or(t.Dial, 15*time.Second),
		Login:   cmp.Or(t.Login, 30*time.Second),
		Command: cmp.Or(t.Command, time.Minute),
		Body:    cmp.Or(t.Body, time.Minute),
		Answer:  cmp.Or(t.Answer, 3*time.Minute),
	}
}

func (a Account) withDefaults() (Account, error) {
	s := a.Settings
	if s.GetHost() == "" {
		return a, errors.New("the SMTP account has no host; enter the server's name")
	}
	if err := checkLine("the SMTP account's host", s.GetHost()); err != nil {
		return a, err
	}
	if s.GetAuthentication() && (s.GetUsername() == "" || a.Password == "") {
		return a, errors.New("the SMTP account authenticates but has no user or password; enter its credential")
	}
	a.Timeouts = a.Timeouts.withDefaults()
	a.Hello = cmp.Or(a.Hello, hostname())
	return a, nil
}

func (a Account) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}

// hostname is this host's, if it is one that a server's syntax check lets pass.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil || ascii == "" {
		return "localhost"
	}
	return ascii
}

func (a Account) implicitTLS() bool {
	return a.Settings.GetSecureConnection() && a.Settings.GetSecureConnectionType() == notificationv1.SecureConnectionType_SSL
}

// startTLS is also what a secure connection without a type means.
func (a Account) startTLS() bool {
	return a.Settings.GetSecureConnection() && !a.implicitTLS()
}

func (a Account) port() int {
	switch {
	case a.Settings.GetPort() != 0:
		return int(a.Settings.GetPort())
	case a.implicitTLS():
		return 465
	case a.startTLS():
		return 587
	}
	return 25
}

func (a Account) server() string {
	return net.JoinHostPort(a.Settings.GetHost(), strconv.Itoa(a.port()))
}

func (a Account) tlsConfig() *tls.Config {
	return &tls.Config{
		ServerName: a.Settings.GetHost(), RootCAs: a.Roots, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: a.Settings.GetIgnoreCertificateErrors(), // #nosec G402 -- an administrator has waived it for this account
	}
}

// sender is who the mail is from.
func (a Account) sender() (address, error) {
	from, err := namedAddress(a.Settings.GetSender())
	if err != nil {
		return from, fmt.Errorf("the SMTP account's sender: %w", err)
	}
	return from, nil
}
