// Package sink is an SMTP server on loopback that takes every mail and tells of it.
package sink

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/textproto"
	"strings"

	"github.com/emersion/go-smtp"
)

// Mail is one that was taken.
type Mail struct {
	To, MessageID string
	Raw           []byte
}

// Sink is a running server.
type Sink struct {
	Port   int
	server *smtp.Server
	ended  chan error
}

// Start runs one. It confirms a mail once taken has returned, which several connections may call at once.
func Start(taken func(Mail)) (*Sink, error) { return StartAt("127.0.0.1", taken) }

// StartAt runs one on another address of this machine.
func StartAt(host string, taken func(Mail)) (*Sink, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("listening for mail: %w", err)
	}
	s := &Sink{Port: l.Addr().(*net.TCPAddr).Port, ended: make(chan error, 1)}
	s.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{taken: taken}, nil }))
	s.server.Domain, s.server.ErrorLog = "sink.test", log.New(io.Discard, "", 0) // senders may die
	go func() { s.ended <- s.server.Serve(l) }()
	return s, nil
}

// Stop ends it.
func (s *Sink) Stop() error {
	err := s.server.Close()
	if ended := <-s.ended; !errors.Is(ended, smtp.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

type session struct {
	taken func(Mail)
	to    string
}

func (*session) Logout() error                          { return nil }
func (s *session) Reset()                               { s.to = "" }
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	head, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(raw))).ReadMIMEHeader()
	if err != nil {
		return &smtp.SMTPError{Code: 554, Message: "That is no mail"}
	}
	s.taken(Mail{To: s.to, MessageID: strings.Trim(head.Get("Message-Id"), "<>"), Raw: raw})
	return nil
}
