package mail

import (
	"context"
	"fmt"
	"net/textproto"
)

// refusal is what we refuse ourselves in a server's stead.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

// step is one command of a transaction.
type step struct {
	at   stage
	line string
	// want is the code that it is answered with when all is well, or its beginning.
	want int
}

// transmit hands the letter over; at is the stage that it got to. It speaks by itself, since go-mail knows neither
// pipelining nor the envelope's id.
func (c *Conn) transmit(ctx context.Context, l letter) (answer string, at stage, err error) {
	if l.international && !c.offers("SMTPUTF8") {
		return "", mailing, &refusal{"it takes no addresses with letters outside ASCII before the @ (SMTPUTF8); use another address"}
	}
	raw, at, err := c.announce(ctx, l)
	if err != nil {
		return "", at, err
	}
	text := c.client.Text
	w := text.DotWriter()
	if err := c.within(ctx, c.account.Timeouts.Body, func() error { _, err := w.Write(raw); return err }); err != nil {
		return "", handing, err
	}
	err = c.within(ctx, c.account.Timeouts.Answer, func() error {
		if err := w.Close(); err != nil {
			return err
		}
		code, said, err := text.ReadResponse(250)
		answer = c.account.scrub(fmt.Sprint(code, " ", said))
		return err
	})
	if err != nil {
		return "", handing, err
	}
	return answer, handing, nil
}

func (c *Conn) offers(extension string) bool {
	ok, _ := c.client.Extension(extension)
	return ok
}

// steps ask, where the server can, for a report of how it went, by the delivery's id (RFC 3461).
func (c *Conn) steps(l letter) []step {
	from, to := "MAIL FROM:<"+l.from.bare()+">", "RCPT TO:<"+l.to.bare()+">"
	if l.international {
		from += " BODY=8BITMIME SMTPUTF8"
	}
	if c.offers("DSN") {
		// An id has no character that would want encoding.
		from += " RET=HDRS ENVID=" + l.id
		to += " NOTIFY=SUCCESS,FAILURE"
	}
	return []step{{mailing, from, 250}, {naming, to, 25}, {opening, "DATA", 354}}
}

// announce says all at once where the server takes that (RFC 2920), and writes the mail's text meanwhile; else it
// says one after the other.
func (c *Conn) announce(ctx context.Context, l letter) (raw []byte, at stage, err error) {
	steps := c.steps(l)
	if c.offers("PIPELINING") {
		err = c.command(ctx, func() error { raw, at, err = c.pipeline(steps, l); return err })
		return raw, at, err
	}
	for _, s := range steps {
		err := c.command(ctx, func() error {
			if err := c.client.Text.PrintfLine("%s", s.line); err != nil {
				return err
			}
			_, _, err := c.client.Text.ReadResponse(s.want)
			return err
		})
		if err != nil {
			return nil, s.at, err
		}
	}
	return l.text(), opening, nil
}

// pipeline answers the first refusal, after it has read the answers to all.
func (c *Conn) pipeline(steps []step, l letter) (raw []byte, at stage, err error) {
	text := c.client.Text
	for _, s := range steps {
		// What can't be written shows when it is flushed.
		_, _ = text.W.WriteString(s.line + "\r\n")
	}
	if err := text.W.Flush(); err != nil {
		return nil, steps[0].at, err
	}
	at = opening
	raw = l.text()
	for _, s := range steps {
		_, _, one := text.ReadResponse(s.want)
		if one != nil && err == nil {
			at, err = s.at, one
		}
		if _, answered := one.(*textproto.Error); one != nil && !answered {
			return nil, at, one
		}
		if one == nil && s.at == opening && err != nil {
			return nil, at, c.takeBack(err)
		}
	}
	return raw, at, err
}

// takeBack ends the mail that a server waits for though it refused its recipient: an empty one, which it refuses too.
func (c *Conn) takeBack(refused error) error {
	if err := c.client.Text.PrintfLine("."); err != nil {
		return err
	}
	if _, _, err := c.client.Text.ReadResponse(0); err != nil {
		return err
	}
	return refused
}
