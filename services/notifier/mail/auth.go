package mail

import (
	"errors"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
)

// mechanisms are the strongest first. Those that bare the password, or a token that is as good, need a connection
// that nobody reads.
var mechanisms = []struct {
	name   string
	bare   bool
	method notificationv1.SmtpAccount_AuthenticationMethod
	make   func(user, password, host string) smtp.Auth
}{
	{"SCRAM-SHA-256", false, 0, func(u, p, _ string) smtp.Auth { return smtp.ScramSHA256Auth(u, p) }},
	{"SCRAM-SHA-1", false, 0, func(u, p, _ string) smtp.Auth { return smtp.ScramSHA1Auth(u, p) }},
	{"CRAM-MD5", false, notificationv1.SmtpAccount_CRAM_MD5, func(u, p, _ string) smtp.Auth { return smtp.CRAMMD5Auth(u, p) }},
	{"PLAIN", true, notificationv1.SmtpAccount_PLAIN, func(u, p, h string) smtp.Auth { return smtp.PlainAuth("", u, p, h, true) }},
	{"LOGIN", true, notificationv1.SmtpAccount_LOGIN, func(u, p, h string) smtp.Auth { return smtp.LoginAuth(u, p, h, true) }},
	{"XOAUTH2", true, notificationv1.SmtpAccount_XOAUTH2, func(u, p, _ string) smtp.Auth { return smtp.XOAuth2Auth(u, p) }},
}

var (
	errNoAuth    = errors.New("it offers no authentication on this connection; secure the connection, or turn authentication off")
	errExposed   = errors.New("the password was not sent, for the connection is not encrypted; choose TLS or SSL")
	errNoneAlike = errors.New("it offers none of the ways to authenticate that the account allows")
)

// authentication chooses how to prove who we are. Private says that nobody reads the connection.
func (a Account) authentication(offered string, private bool) (smtp.Auth, error) {
	exposed := false
	wanted := a.Settings.GetAuthenticationMethod()
	for _, m := range mechanisms {
		if wanted != 0 && m.method != wanted || !slices.Contains(strings.Fields(strings.ToUpper(offered)), m.name) {
			continue
		}
		if m.bare && !private {
			exposed = true
			continue
		}
		return m.make(a.Settings.GetUsername(), a.Password, a.Settings.GetHost()), nil
	}
	if exposed {
		return nil, errExposed
	}
	return nil, errNoneAlike
}

// authenticate does it on a connection that has said hello.
func (c *Conn) authenticate(client *smtp.Client) error {
	if !c.account.Settings.GetAuthentication() {
		return nil
	}
	ok, offered := client.Extension("AUTH")
	if !ok {
		return errNoAuth
	}
	auth, err := c.account.authentication(offered, c.account.Settings.GetSecureConnection() || c.wire.loopback())
	if err != nil {
		return err
	}
	return client.Auth(auth)
}
