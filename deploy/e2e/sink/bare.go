package sink

import (
	"errors"
	"fmt"
	"net/smtp"
	"os"

	"golang.org/x/sync/errgroup"
)

// Keep syncs a mail to a file of its own, as every server must before it confirms one (RFC 5321, 4.2.5), and then
// forgets it.
func Keep(folder string, raw []byte) error {
	f, err := os.CreateTemp(folder, "")
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// Bare is the least that a sender can do: one mail, written already, again and again over some connections.
func Bare(port int, raw []byte, mails, connections int) error {
	var all errgroup.Group
	for range connections {
		all.Go(func() error {
			c, err := smtp.Dial(fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				return err
			}
			defer c.Close()
			for range mails / connections {
				if err := send(c, raw); err != nil {
					return err
				}
			}
			return c.Quit()
		})
	}
	return all.Wait()
}

func send(c *smtp.Client, raw []byte) error {
	if err := c.Mail("brake@sink.test"); err != nil {
		return err
	}
	if err := c.Rcpt("contact@sink.test"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	return w.Close()
}
