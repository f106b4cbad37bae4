package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// maxFailures is how many mails in a row Handle may fail on before it is taken for out of order.
const maxFailures = 10

// store is a mailbox on a server, connected.
type store interface {
	// list answers the mails that there are to read.
	list(context.Context) ([]entry, error)
	// read shows a mail, and skips what was not read of it. The error is errRefused if it is only about this mail.
	read(context.Context, entry, func(io.Reader) error) error
	// settle deletes a mail that was dealt with, or marks it.
	settle(context.Context, entry) error
}

// entry is a mail in a store.
type entry struct {
	// key names it for as long as it is there; empty: the server gives no names.
	key    string
	number uint32
}

// errRefused says that the server won't show a mail, though it goes on.
var errRefused = errors.New("the server does not show this mail")

// sweep reads what there is. Left is the last error of mails that were left for the next time; err ends the
// connection.
func sweep(ctx context.Context, s store, d Deps) (left, err error) {
	mails, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	inARow := 0
	for _, e := range mails {
		err := d.deal(ctx, s, e)
		var failed *handleError
		switch {
		case errors.As(err, &failed):
			left = err
			if inARow++; inARow == maxFailures {
				return left, nil
			}
		case errors.Is(err, errRefused):
			left = err
		case err != nil:
			return left, err
		default:
			inARow = 0
		}
	}
	return left, nil
}

// handleError is Handle's.
type handleError struct{ cause error }

func (e *handleError) Error() string { return "taking in a mail: " + e.cause.Error() }
func (e *handleError) Unwrap() error { return e.cause }

// deal reads a mail, hands it on and settles it, each once, whatever it holds.
func (d Deps) deal(ctx context.Context, s store, e entry) error {
	m := d.Memory
	if m.handled[e.key] {
		return s.settle(ctx, e)
	}
	if m.tries[e.key]++; e.key != "" && m.tries[e.key] > maxTries {
		m.status.Bad++
		m.remember(e.key)
		return s.settle(ctx, e)
	}
	err := s.read(ctx, e, func(r io.Reader) error { return d.take(ctx, e, r) })
	var failed *handleError
	if errors.As(err, &failed) || errors.Is(err, errRefused) {
		// It isn't the connection that it brings down.
		delete(m.tries, e.key)
	}
	if err != nil {
		return err
	}
	return s.settle(ctx, e)
}

// take reads the mail and hands it on. What is no mail is counted, and dealt with by that.
func (d Deps) take(ctx context.Context, e entry, r io.Reader) error {
	source := &source{r: r}
	mail, err := Read(source)
	if source.err != nil {
		return fmt.Errorf("reading a mail: %w", source.err)
	}
	if err != nil {
		d.Memory.status.Bad++
		d.Memory.remember(e.key)
		return nil
	}
	matched, err := d.Handle(ctx, mail)
	if err != nil {
		return &handleError{err}
	}
	d.Memory.remember(e.key)
	d.Memory.status.Read++
	if matched {
		d.Memory.status.Matched++
	}
	return nil
}

// source tells a connection that broke from a mail that ended.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
