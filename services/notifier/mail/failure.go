package mail

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"portcullis.dev/services/notifier/message"
)

// A stage is what was being done, as it reads behind "while".
type stage string

const (
	dialing  stage = "connecting"
	entering stage = "logging in"
	mailing  stage = "naming the sender"
	naming   stage = "naming the recipient"
	opening  stage = "announcing the mail"
	handing  stage = "handing over the mail"
)

// aboutTheAccount are answers to a mail that say that it is the account which is not in order.
var aboutTheAccount = []int{421, 454, 530, 534, 535, 538}

// failed makes a failure of what went wrong in a stage.
func (c *Conn) failed(ctx context.Context, at stage, err error) *message.Failure {
	if ctx.Err() != nil {
		f := message.Fail(ctx.Err(), "the attempt was stopped while "+string(at))
		f.Server = true
		return f
	}
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return c.refused(at, answer)
	}
	f := message.Fail(nil, fmt.Sprintf("%s: %s", c.account.server(), c.reason(at, err)))
	f.Server = true
	return f
}

// refused is the server's own word.
func (c *Conn) refused(at stage, answer *textproto.Error) *message.Failure {
	text := c.account.scrub(strconv.Itoa(answer.Code) + " " + answer.Msg)
	f := message.Fail(nil, fmt.Sprintf("%s refused while %s: %s", c.account.server(), at, text))
	f.Server = at == dialing || at == entering || slices.Contains(aboutTheAccount, answer.Code)
	f.Permanent = !f.Server && answer.Code >= 500
	if !f.Permanent {
		f.After = waitAsked(answer.Msg)
	}
	return f
}

// reason says what the network did, and what an administrator can do about it.
func (c *Conn) reason(at stage, err error) string {
	var unknown *net.DNSError
	var untrusted *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.As(err, &unknown):
		return "the host isn't known; check the SMTP account's host"
	case errors.As(err, &untrusted):
		return c.account.scrub("its certificate is not trusted ("+untrusted.Err.Error()+")") +
			"; renew it there, or ignore certificate errors in the account"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "it did not answer in time while " + string(at) + unknownOutcome(at)
	case at == dialing || at == entering:
		return c.account.scrub("while "+string(at)+": "+err.Error()) + hint(err)
	}
	return c.account.scrub("the connection was lost while "+string(at)+": "+err.Error()) + unknownOutcome(at)
}

func hint(err error) string {
	if strings.Contains(err.Error(), "does not support STARTTLS") {
		return "; choose SSL, or turn the secure connection off"
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return "; it speaks no TLS on this port: choose TLS (STARTTLS), or the port for SSL"
	}
	return ""
}

// unknownOutcome warns that the server may have taken the mail and had no time to say so.
func unknownOutcome(at stage) string {
	if at != handing {
		return ""
	}
	return "; it may have arrived, and is sent again with the same Message-ID"
}

// scrub makes a server's text fit to be read: one line, not too long, and without our secrets in case it echoes them.
func (a Account) scrub(text string) string {
	for _, secret := range a.secrets() {
		text = strings.ReplaceAll(text, secret, "[hidden]")
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return clip(strings.TrimSpace(text), 500)
}

func (a Account) secrets() []string {
	if len(a.Password) < 4 {
		return nil
	}
	user := a.Settings.GetUsername()
	coded := base64.StdEncoding.EncodeToString
	return []string{
		coded([]byte("\x00" + user + "\x00" + a.Password)),
		coded([]byte("user=" + user + "\x01auth=Bearer " + a.Password + "\x01\x01")),
		coded([]byte(a.Password)), a.Password,
	}
}

var wait = regexp.MustCompile(`(?i)\b(\d{1,5}) ?(seconds?|secs?|s|minutes?|mins?|m)\b`)

// waitAsked reads how long a greylisting server wants to be left alone out of its text, at most an hour.
func waitAsked(text string) time.Duration {
	found := wait.FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	unit := time.Second
	if found[2][0] == 'm' || found[2][0] == 'M' {
		unit = time.Minute
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*unit, time.Hour)
}
