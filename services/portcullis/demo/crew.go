package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"
)

const (
	dialFor     = 10 * time.Second
	firstReturn = 3 * time.Second // time to see that the session is gone
	lastReturn  = 10 * time.Second
)

// seat is one session: somebody on a device.
type seat struct{ user, device string }

func seats() []seat {
	return []seat{
		{"alice", "db-1"}, {"alice", "db-2"}, {"bruno", "db-1"}, {"bruno", "db-2"}, {"carla", "db-1"}, {"carla", "db-2"},
		{"alice", "web-1"}, {"bruno", "web-2"}, {"carla", "web-3"}, {"davi", "web-1"}, {"davi", "web-2"}, {"davi", "web-3"},
	}
}

// work keeps everybody connected until the context ends.
func (d *Demo) work(ctx context.Context, address string, say func(string, ...any)) error {
	all := seats()
	count := newTally(len(all))
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { count.tell(ctx, say); return nil })
	for _, s := range all {
		key, err := d.key(s.user)
		if err != nil {
			return err
		}
		parts.Go(func() error { s.stay(ctx, address, key, count); return nil })
	}
	return parts.Wait()
}

// stay opens the session again whenever it is over, more slowly while it is refused.
func (s seat) stay(ctx context.Context, address string, key ssh.Signer, count *tally) {
	for pause := firstReturn; ctx.Err() == nil; pause = min(pause*3/2, lastReturn) {
		if s.sit(ctx, address, key, count) {
			pause = firstReturn
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause + rand.N(firstReturn/2)): // #nosec G404 -- spreads the demonstration
		}
	}
}

// sit holds one session until it is over, and reports whether it was let in.
func (s seat) sit(ctx context.Context, address string, key ssh.Signer, count *tally) bool {
	heard := new(heard)
	client, err := s.dial(ctx, address, key, heard)
	if err != nil {
		count.refused(heard.last(err))
		return false
	}
	defer func() { _ = client.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	over := make(chan error, 1)
	go func() { over <- shell(client, heard) }()
	select {
	case err := <-over: // a refusal comes at once
		count.refused(heard.last(err))
		return false
	case <-time.After(settle):
	}
	count.opened()
	count.closed(heard.last(<-over))
	return true
}

func (s seat) dial(ctx context.Context, address string, key ssh.Signer, heard *heard) (*ssh.Client, error) {
	dialer := net.Dialer{Timeout: dialFor}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	config := &ssh.ClientConfig{
		User: s.user + "%" + s.device, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, Timeout: dialFor,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // #nosec G106 -- the bastion is in this very process
		BannerCallback:  func(text string) error { _, err := heard.Write([]byte(text)); return err },
	}
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}

// shell opens one and returns when it is over and all that was said is heard.
func shell(client *ssh.Client, heard *heard) error {
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	out, err1 := session.StdoutPipe()
	says, err2 := session.StderrPipe()
	_, err3 := session.StdinPipe() // held open, for a shell ends with its input
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	var hearing sync.WaitGroup
	for _, from := range []io.Reader{out, says} {
		hearing.Go(func() { _, _ = io.Copy(heard, from) })
	}
	err = session.RequestPty("xterm", 24, 80, ssh.TerminalModes{ssh.ECHO: 0})
	if err == nil {
		err = session.Shell()
	}
	if err == nil {
		err = session.Wait()
	}
	_ = client.Close()
	hearing.Wait()
	return err
}

// heard keeps the end of what the far side says, which is why it is over.
type heard struct {
	mu   sync.Mutex
	text []byte
}

const heardBytes = 1024

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = append(h.text, p...)
	if more := len(h.text) - heardBytes; more > 0 {
		h.text = h.text[more:]
	}
	return len(p), nil
}

// last is the last line with words in it, or the error.
func (h *heard) last(err error) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := bytes.Split(h.text, []byte("\n"))
	for i := len(lines) - 1; i >= 0; i-- {
		if line := strings.TrimSpace(string(lines[i])); strings.Contains(line, " ") {
			return line
		}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
