package mail

import (
	"context"
	"errors"
	"net/textproto"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"portcullis.dev/services/notifier/message"
)

// idle is how long a connection may lie unused before it is asked whether it still stands.
const idle = 5 * time.Second

// Conn is a connection to an account's server. It is for one goroutine at a time.
type Conn struct {
	account Account
	sender  address
	// wire and client are nil while there is no connection.
	wire   *wire
	client *smtp.Client
	used   time.Time
}

// Open connects and authenticates. Its errors, as Send's, are *message.Failure.
func Open(ctx context.Context, account Account) (*Conn, error) {
	account, err := account.withDefaults()
	if err != nil {
		return nil, &message.Failure{Reason: err.Error(), Server: true}
	}
	c := &Conn{account: account}
	if c.sender, err = account.sender(); err != nil {
		return nil, &message.Failure{Reason: err.Error(), Server: true}
	}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Close takes leave, and waits for the server's answer no longer than two seconds. Its error is nil.
func (c *Conn) Close() error {
	if c.client == nil {
		return nil
	}
	c.wire.stage(min(2*time.Second, c.account.Timeouts.Command))
	// Whether the server says goodbye changes nothing.
	_ = c.client.Quit()
	c.drop()
	return nil
}

func (c *Conn) drop() {
	if c.wire != nil {
		c.wire.Close()
	}
	c.wire, c.client = nil, nil
}

// Send hands the message over, and answers what the server said when it took it. A connection that the server has
// ended meanwhile is made anew. Without an error the mail is the server's; with one it may have arrived only where
// the failure says so.
func (c *Conn) Send(ctx context.Context, m *message.Message) (answer string, err error) {
	l, err := c.account.address(c.sender, m)
	if err != nil {
		return "", &message.Failure{Reason: err.Error(), Permanent: true}
	}
	fresh, err := c.ready(ctx)
	if err != nil {
		return "", err
	}
	answer, at, err := c.transmit(ctx, l)
	if err == nil {
		c.used = time.Now()
		return answer, nil
	}
	if !fresh && at != handing && ctx.Err() == nil && ended(err) {
		return c.sendAnew(ctx, l)
	}
	return "", c.settle(ctx, at, err)
}

// sendAnew tries once more by a new connection: the old one had ended before the mail was handed over.
func (c *Conn) sendAnew(ctx context.Context, l letter) (string, error) {
	c.drop()
	if err := c.connect(ctx); err != nil {
		return "", err
	}
	answer, at, err := c.transmit(ctx, l)
	if err != nil {
		return "", c.settle(ctx, at, err)
	}
	c.used = time.Now()
	return answer, nil
}

// ended says that the server has ended the connection, or is about to.
func ended(err error) bool {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return answer.Code == 421
	}
	var refused *refusal
	return !errors.As(err, &refused)
}

// settle answers the failure, and leaves a connection that takes the next mail, or none.
func (c *Conn) settle(ctx context.Context, at stage, err error) error {
	var refused *refusal
	if errors.As(err, &refused) {
		return &message.Failure{Reason: c.account.server() + ": " + refused.reason, Permanent: true}
	}
	f := c.failed(ctx, at, err)
	if ctx.Err() != nil || ended(err) || c.command(ctx, c.client.Reset) != nil {
		c.drop()
	}
	return f
}

// ready makes sure that there is a connection, and says whether it was made just now.
func (c *Conn) ready(ctx context.Context) (fresh bool, err error) {
	if c.client != nil && time.Since(c.used) > idle && c.command(ctx, c.client.Noop) != nil {
		c.drop()
	}
	if c.client != nil {
		return false, nil
	}
	return true, c.connect(ctx)
}

func (c *Conn) command(ctx context.Context, do func() error) error {
	return c.within(ctx, c.account.Timeouts.Command, do)
}

// within does one stage, which ends when its time is up, and at once when the context ends.
func (c *Conn) within(ctx context.Context, limit time.Duration, do func() error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	wire := c.wire
	stop := context.AfterFunc(ctx, func() { wire.Close() })
	defer stop()
	wire.stage(limit)
	return do()
}
