package mailbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
)

// maxListed is how many mails one connection deals with; the next goes on.
const maxListed = 10_000

// popStore is a POP3 mailbox (RFC 1939, RFC 2595).
type popStore struct {
	box    Box
	memory *Memory
	conn   net.Conn
	text   *textproto.Conn
}

// popRefusal is an -ERR.
type popRefusal struct{ command, text string }

func (r *popRefusal) Error() string { return "the server refused " + r.command + ": " + r.text }

func openPOP3(ctx context.Context, box Box, memory *Memory) (*popStore, error) {
	conn, err := box.dial(ctx)
	if err != nil {
		return nil, err
	}
	s := &popStore{box: box, memory: memory}
	s.use(conn)
	err = within(ctx, conn, box.Timeouts.Command, func() error { return s.enter(ctx) })
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// use talks over a connection from now on. What came by the one before is forgotten, so that nobody slips in answers
// before the encryption.
func (s *popStore) use(conn net.Conn) {
	s.conn = conn
	s.text = textproto.NewConn(conn)
	s.text.R = bufio.NewReaderSize(conn, 1<<16)
}

func (s *popStore) enter(ctx context.Context) error {
	if _, err := s.answer("the connection"); err != nil {
		return err
	}
	if err := s.encrypt(ctx); err != nil {
		return err
	}
	if err := s.box.mayLogIn(s.conn); err != nil {
		return err
	}
	if _, err := s.do("USER", s.box.Settings.GetUsername()); err != nil {
		return err
	}
	_, err := s.do("PASS", s.box.Password)
	return err
}

func (s *popStore) encrypt(ctx context.Context) error {
	if !s.box.startTLS() {
		return nil
	}
	if _, err := s.do("STLS"); err != nil {
		return fmt.Errorf("%w; choose SSL, or turn the secure connection off", err)
	}
	secured := tls.Client(s.conn, s.box.tlsConfig())
	if err := secured.HandshakeContext(ctx); err != nil {
		return err
	}
	s.use(secured)
	return nil
}

// do gives a command, whose first word alone is named in errors, and answers what stands behind +OK.
func (s *popStore) do(command string, more ...string) (string, error) {
	if err := s.text.PrintfLine("%s", strings.Join(append([]string{command}, more...), " ")); err != nil {
		return "", err
	}
	return s.answer(command)
}

func (s *popStore) answer(command string) (string, error) {
	line, err := s.line()
	if err != nil {
		return "", err
	}
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "+OK":
		return rest, nil
	case "-ERR":
		return "", &popRefusal{command, rest}
	}
	return "", fmt.Errorf("the server speaks no POP3 on this port; check it: %q", clipBytes(line, 60))
}

// line reads one, no longer than the buffer.
func (s *popStore) line() (string, error) {
	line, err := s.text.R.ReadSlice('\n')
	if err != nil {
		return "", unexpected(err)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (s *popStore) list(ctx context.Context) (mails []entry, err error) {
	err = within(ctx, s.conn, s.box.Timeouts.Command, func() error {
		mails, err = s.listing()
		return err
	})
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(mails))
	for i, e := range mails {
		keys[i] = e.key
	}
	s.memory.keepOnly(keys)
	return s.few(mails), nil
}

// few leaves out what was handled and stays, and bounds the rest.
func (s *popStore) few(mails []entry) []entry {
	var found []entry
	for _, e := range mails {
		if s.box.Settings.GetKeepCopyOnServer() && s.memory.handled[e.key] {
			continue
		}
		if found = append(found, e); len(found) == maxListed {
			break
		}
	}
	return found
}

func (s *popStore) listing() ([]entry, error) {
	_, err := s.do("UIDL")
	named := err == nil
	var refused *popRefusal
	if errors.As(err, &refused) {
		if s.box.Settings.GetKeepCopyOnServer() {
			return nil, errors.New("the server has no names for mails (UIDL), so that those that stay would be read again and again; " +
				"don't keep copies on the server, or use IMAP")
		}
		_, err = s.do("LIST")
	}
	if err != nil {
		return nil, err
	}
	var mails []entry
	for {
		line, err := s.line()
		if err != nil {
			return nil, err
		}
		if line == "." {
			return mails, nil
		}
		number, name, _ := strings.Cut(line, " ")
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || len(mails) >= 10*maxListed {
			continue
		}
		e := entry{number: uint32(n)}
		if named {
			e.key = clipBytes(name, 200)
		}
		mails = append(mails, e)
	}
}

func (s *popStore) read(ctx context.Context, e entry, show func(io.Reader) error) error {
	return within(ctx, s.conn, s.box.Timeouts.Mail, func() error {
		_, err := s.do("RETR", strconv.FormatUint(uint64(e.number), 10))
		var refused *popRefusal
		if errors.As(err, &refused) {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
		if err != nil {
			return err
		}
		body := &dotReader{r: s.text.R, start: true}
		shown := show(body)
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
		return shown
	})
}

func (s *popStore) settle(ctx context.Context, e entry) error {
	if s.box.Settings.GetKeepCopyOnServer() {
		return nil
	}
	return within(ctx, s.conn, s.box.Timeouts.Command, func() error {
		_, err := s.do("DELE", strconv.FormatUint(uint64(e.number), 10))
		return err
	})
}

// close takes leave: only by that the server deletes.
func (s *popStore) close(ctx context.Context) error {
	defer s.conn.Close()
	return within(ctx, s.conn, s.box.Timeouts.Command, func() error {
		_, err := s.do("QUIT")
		return err
	})
}

// dotReader reads up to the line with a single dot, and takes off what dots were put before others. It copies
// nothing, whatever the length of a line.
type dotReader struct {
	r     *bufio.Reader
	start bool // of a line
	rest  []byte
	done  bool
}

func (d *dotReader) Read(p []byte) (int, error) {
	for len(d.rest) == 0 {
		if d.done {
			return 0, io.EOF
		}
		if err := d.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

func (d *dotReader) fill() error {
	chunk, err := d.r.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return unexpected(err)
	}
	if d.start && chunk[0] == '.' {
		chunk = chunk[1:]
		d.done = len(bytes.TrimRight(chunk, "\r\n")) == 0
	}
	d.start = err == nil
	if !d.done {
		d.rest = chunk
	}
	return nil
}
