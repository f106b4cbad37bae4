// Package hook posts a message to Slack, Teams, PagerDuty, or whoever takes Standard Webhooks. Where it posts is
// somebody's input: it looks at every address that it really dials, follows no redirect, and reads little of an answer.
package hook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"time"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/message"
)

const (
	// patience is how long an attempt takes at most, whatever its context allows.
	patience     = 30 * time.Second
	pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"
)

// Config says what a poster may do. Its zero value posts to public addresses.
type Config struct {
	// Product is the name that receivers know this platform by.
	Product string
	// Allowed are networks that may be posted to though they aren't public, by http as well. Metadata services of
	// clouds stay refused.
	Allowed []netip.Prefix
	// PagerDutyURL is where PagerDuty's events go, if not to its usual address.
	PagerDutyURL string
	// Roots are the authorities that are believed; nil: the system's.
	Roots *x509.CertPool
	// Resolver finds addresses; nil: the system's.
	Resolver *net.Resolver
	// Clock answers now; nil: the system's.
	Clock func() time.Time
}

// Endpoint is one webhook: SLACK and TEAMS have a URL, PAGERDUTY an integration key, WEBHOOK a URL and a signing key.
type Endpoint struct {
	Method      notificationv1.Method
	URL, Secret string
}

// Poster posts to webhooks. It is safe for use by many at once.
type Poster struct {
	product   string
	pagerDuty string
	clock     func() time.Time
	gate      gate
	// secure speaks https, plain http; each dials only what it may.
	secure, plain *http.Client
}

// New answers a poster.
func New(config Config) *Poster {
	p := &Poster{product: config.Product, pagerDuty: config.PagerDutyURL, clock: config.Clock, gate: newGate(config.Allowed)}
	if p.product == "" {
		p.product = "Portcullis"
	}
	if p.pagerDuty == "" {
		p.pagerDuty = pagerDutyURL
	}
	if p.clock == nil {
		p.clock = time.Now
	}
	p.secure = client(p.gate.control, config)
	p.plain = client(p.gate.controlPlain, config)
	return p
}

// Close lets go of connections that are kept for the next message.
func (p *Poster) Close() {
	p.secure.CloseIdleConnections()
	p.plain.CloseIdleConnections()
}

// client answers one that knows no proxy (it would dial for us, unseen), no cookies and no redirects.
func client(control controlFunc, config Config) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second, Resolver: config.Resolver, Control: control}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: config.Roots},
			TLSHandshakeTimeout:    10 * time.Second,
			DisableCompression:     true,
			MaxIdleConns:           64,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// Send posts a message, and answers what the receiver said. An error is a *message.Failure; neither holds a secret.
func (p *Poster) Send(ctx context.Context, to Endpoint, m *message.Message) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := p.compose(to, m)
	if err != nil {
		return "", &message.Failure{Reason: err.Error(), Permanent: true}
	}
	return p.post(ctx, c)
}
