package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// connect dials, secures the connection as the account says, and authenticates.
func (c *Conn) connect(ctx context.Context) error {
	at := dialing
	stop := func() bool { return true }
	client, err := c.enter(ctx, func(inner context.Context, network, _ string) (net.Conn, error) {
		conn, err := c.dial(inner, network)
		if err != nil {
			return nil, err
		}
		at = entering
		// go-mail's context is only for the dialling; this one ends the greeting and the rest too.
		wire := c.wire
		stop = context.AfterFunc(ctx, func() { wire.Close() })
		return conn, nil
	})
	stop()
	if err != nil {
		f := c.failed(ctx, at, err)
		c.drop()
		return f
	}
	c.client, c.used = client, time.Now()
	return nil
}

func (c *Conn) enter(ctx context.Context, dial gomail.DialContextFunc) (*smtp.Client, error) {
	policy := gomail.NoTLS
	if c.account.startTLS() {
		policy = gomail.TLSMandatory
	}
	server, err := gomail.NewClient(c.account.Settings.GetHost(),
		gomail.WithPort(c.account.port()), gomail.WithTimeout(c.account.Timeouts.Login),
		gomail.WithHELO(c.account.Hello), gomail.WithTLSPolicy(policy),
		gomail.WithTLSConfig(c.account.tlsConfig()), gomail.WithDialContextFunc(dial))
	if err != nil {
		return nil, fmt.Errorf("preparing the connection: %w", err)
	}
	client, err := server.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return client, c.authenticate(client)
}

// dial connects, with TLS where it comes first: go-mail leaves that to a dialer that is not its own.
func (c *Conn) dial(ctx context.Context, network string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.account.Timeouts.Dial)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, c.account.server())
	if err != nil {
		return nil, err
	}
	c.wire = newWire(conn)
	if !c.account.implicitTLS() {
		return c.wire, nil
	}
	secured := tls.Client(c.wire, c.account.tlsConfig())
	return secured, secured.HandshakeContext(ctx)
}
