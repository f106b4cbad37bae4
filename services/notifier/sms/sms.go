// Package sms sends a message's short text to a phone, by Zenvia or Twilio, and reads what they say of it later.
package sms

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/hook/reply"
	"portcullis.dev/services/notifier/message"
)

// patience is how long an attempt takes at most, whatever its context allows.
const patience = 30 * time.Second

// Settings say which account SMS go out by.
type Settings struct {
	Provider notificationv1.SmsSettings_Provider
	// Sender is a name with Zenvia, a number or the id of a messaging service with Twilio.
	Sender string
	// Username is Zenvia's user, or Twilio's account SID.
	Username, Password string
	// KeepAccents sends texts as they are.
	KeepAccents bool
	// Endpoint is the provider's address, if not its usual one.
	Endpoint string
	// StatusURL is where Twilio is to tell of deliveries: a whole https address, to which the delivery's id is added.
	// Empty: nowhere. Zenvia has it in the account.
	StatusURL string
	// Clock answers now; nil: the system's.
	Clock func() time.Time
}

// Broker sends SMS. It is safe for use by many at once.
type Broker struct {
	settings Settings
	client   *http.Client
}

// New answers a broker that sends through a transport; nil: the standard library's.
func New(settings Settings, through http.RoundTripper) *Broker {
	if settings.Clock == nil {
		settings.Clock = time.Now
	}
	return &Broker{settings: settings, client: &http.Client{
		Transport:     through,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Send sends a message's short text, cut to what an SMS can be, and answers what the provider said. An error is a
// *message.Failure; neither holds a secret.
func (b *Broker) Send(ctx context.Context, m *message.Message) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, segments := Fit(m.Short, b.settings.KeepAccents)
	if segments == 0 {
		return "", &message.Failure{Reason: "The message has no short text: write one in its template", Permanent: true}
	}
	if !isE164(m.To) {
		return "", &message.Failure{Reason: "The contact has no mobile number that an SMS could go to: enter one", Permanent: true}
	}
	switch b.settings.Provider {
	case notificationv1.SmsSettings_ZENVIA:
		return b.zenvia(ctx, m, text)
	case notificationv1.SmsSettings_TWILIO:
		return b.twilio(ctx, m, text)
	}
	return "", &message.Failure{Reason: "No SMS provider is chosen: choose Zenvia or Twilio in the SMS settings", Server: true}
}

// CheckEndpoint says what is wrong with a provider's address. Empty is its usual one.
func CheckEndpoint(text string) error {
	if text == "" {
		return nil
	}
	to, err := url.Parse(text)
	if err != nil || to.Hostname() == "" || to.User != nil || to.RawQuery != "" || strings.Contains(text, "#") {
		return errors.New("the provider's address is one such as https://sms.example.com: no user, no ? and no #")
	}
	addr, _ := netip.ParseAddr(to.Hostname())
	if addr = addr.Unmap(); addr.IsLinkLocalUnicast() || addr.IsUnspecified() {
		return errors.New("the provider's address is none of a provider: that is where a cloud hands out credentials, or nowhere")
	}
	if to.Scheme == "https" || to.Scheme == "http" && (addr.IsLoopback() || to.Hostname() == "localhost") {
		return nil
	}
	return errors.New("the provider's address begins with https://; http is for this host's own addresses only")
}

// answer is what a provider said to one request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// post makes one request. Its failure is that of a provider that was not reached.
func (b *Broker) post(ctx context.Context, to []string, kind string, body []byte) (*answer, error) {
	if err := CheckEndpoint(to[0]); err != nil {
		return nil, &message.Failure{Reason: "The SMS settings can't be used: " + err.Error(), Server: true}
	}
	where, err := url.JoinPath(to[0], to[1:]...)
	if err != nil {
		return nil, &message.Failure{Reason: "The SMS settings' address can't be read: enter it again", Server: true}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(body))
	if err != nil {
		return nil, &message.Failure{Reason: "The SMS settings' address can't be used: enter it again", Server: true}
	}
	request.SetBasicAuth(b.settings.Username, b.settings.Password)
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Accept-Encoding", "identity") // nothing to unpack, nothing to burst
	response, err := b.client.Do(request)
	if err != nil {
		return nil, reply.Unreached(err, request.URL.Host, b.secrets()...)
	}
	defer response.Body.Close()
	return &answer{response.StatusCode, response.Header, reply.Body(response)}, nil
}

// secrets are what an answer may echo and nobody may see.
func (b *Broker) secrets() []string {
	basic := base64.StdEncoding.EncodeToString([]byte(b.settings.Username + ":" + b.settings.Password))
	return []string{b.settings.Password, basic, b.settings.StatusURL}
}

// line is a text with the provider's words in it, fit to be shown.
func (b *Broker) line(format string, args ...any) string {
	return reply.Line(fmt.Sprintf(format, args...), b.secrets()...)
}

// byStatus is the failure that a bare HTTP status says; nil: 2xx.
func (b *Broker) byStatus(who string, a *answer) *message.Failure {
	f := &message.Failure{After: reply.After(a.header, b.settings.Clock())}
	switch {
	case a.status >= 200 && a.status <= 299:
		return nil
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		f.Server = true
		f.Reason = b.line("%s refuses this account (%d): check the user and password in the SMS settings", who, a.status)
	case a.status == http.StatusNotFound, a.status >= 300 && a.status <= 399:
		f.Server = true
		f.Reason = b.line("%s doesn't answer at this address (%d): check the address and the user in the SMS settings", who, a.status)
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooManyRequests, a.status >= 500:
		f.Server = true
		f.Reason = b.line("%s answered %d %s", who, a.status, a.body)
	default:
		f.Permanent = true
		f.Reason = b.line("%s answered %d %s", who, a.status, a.body)
	}
	return f
}
