// Package target is an SSH server to practise on: real enough for a bastion to hold sessions to, and
// harmless, for its shell does nothing but answer. The demo runs it; nothing else should.
package target

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Target is a running server.
type Target struct {
	listener net.Listener
	config   *ssh.ServerConfig
	hostKey  ssh.PublicKey
	password string
}

// User is who signs in.
const User = "demo"

// New listens on a loopback address. The host key is new at each start; so is the password.
func New() (*Target, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the target's host key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, fmt.Errorf("making the target's host key: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the target: %w", err)
	}
	t := &Target{listener: listener, hostKey: signer.PublicKey(), password: rand.Text()}
	t.config = &ssh.ServerConfig{PasswordCallback: t.check}
	t.config.AddHostKey(signer)
	return t, nil
}

// Address is its host and port.
func (t *Target) Address() *net.TCPAddr { return t.listener.Addr().(*net.TCPAddr) }

// HostKey is its key as one authorized_keys line.
func (t *Target) HostKey() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(t.hostKey)))
}

// Password is what User signs in with.
func (t *Target) Password() string { return t.password }

func (t *Target) check(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	if c.User() != User || subtle.ConstantTimeCompare(password, []byte(t.password)) != 1 {
		return nil, errors.New("wrong user or password")
	}
	return nil, nil
}

// Run serves until the context ends.
func (t *Target) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = t.listener.Close() })()
	var handling sync.WaitGroup
	defer handling.Wait()
	for {
		conn, err := t.listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting at the target: %w", err)
		}
		handling.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			t.handle(conn)
		})
	}
}

func (t *Target) handle(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_, channels, requests, err := ssh.NewServerConn(conn, t.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for asked := range channels {
		if asked.ChannelType() != "session" {
			_ = asked.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		channel, requests, err := asked.Accept()
		if err != nil {
			return
		}
		go serve(channel, requests)
	}
}

// serve waits for the shell or the command, and answers it.
func serve(channel ssh.Channel, requests <-chan *ssh.Request) {
	for q := range requests {
		ok := true
		switch q.Type {
		case "shell":
			go finish(channel, func() { shell(channel) })
		case "exec":
			var command struct{ Line string }
			ok = ssh.Unmarshal(q.Payload, &command) == nil
			go finish(channel, func() { say(channel, answer(command.Line)) })
		case "pty-req", "env", "window-change":
		default:
			ok = false
		}
		if q.WantReply {
			_ = q.Reply(ok, nil)
		}
	}
}

func finish(channel ssh.Channel, work func()) {
	work()
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
	_ = channel.Close()
}

func shell(channel ssh.Channel) {
	say(channel, "This is a practice target. It answers, and does nothing. Type exit to leave.\r\n$ ")
	lines := bufio.NewScanner(channel)
	lines.Split(scanLines)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "exit" {
			return
		}
		say(channel, answer(line)+"$ ")
	}
}

// scanLines takes what a terminal sends at Enter, a carriage return, as an end of line too.
func scanLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := strings.IndexAny(string(data), "\r\n"); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func answer(line string) string {
	if line == "" {
		return ""
	}
	return "you said: " + line + "\r\n"
}

func say(w io.Writer, text string) { _, _ = io.WriteString(w, text) }
