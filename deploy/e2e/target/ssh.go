package target

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Door is the bastion as a person's ssh sees it.
type Door struct {
	// Host is its address; loopback's, if unset.
	Host string
	Port int
	// Folder holds the known_hosts file.
	Folder string
}

// Session is one running ssh.
type Session struct {
	cmd   *exec.Cmd
	out   output
	in    interface{ Close() error }
	ended chan struct{}
	// End is when ssh was gone, Code what it exited with; valid once Ended is closed.
	End  time.Time
	Code int
}

// Dial starts `ssh user%device@bastion command`. Several keys are offered in order.
func (d Door) Dial(user, device string, key Key, command ...string) (*Session, error) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		return nil, ErrMissing
	}
	arguments := append(d.options(key), "-l", user+"%"+device, cmp.Or(d.Host, "127.0.0.1"))
	s := &Session{cmd: exec.Command(ssh, append(arguments, command...)...), ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting ssh: %w", err)
	}
	go func() {
		err := s.cmd.Wait()
		s.End = time.Now()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			s.Code = exit.ExitCode()
		}
		close(s.ended)
	}()
	return s, nil
}

func (d Door) options(key Key) []string {
	return []string{
		"-F", "none", "-p", strconv.Itoa(d.Port), "-i", key.File,
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
		"-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=" + filepath.Join(d.Folder, "known_hosts"),
	}
}

// Run runs a command to its end and answers what was written and the exit code.
func (d Door) Run(user, device string, key Key, command ...string) (string, int, error) {
	s, err := d.Dial(user, device, key, command...)
	if err != nil {
		return "", 0, err
	}
	_ = s.in.Close()
	if !s.Wait(20 * time.Second) {
		s.Kill()
		return s.Output(), 0, fmt.Errorf("ssh did not end within 20 seconds, it wrote: %s", s.Output())
	}
	return s.Output(), s.Code, nil
}

// Hold opens a session that stays until somebody ends it, and waits until its command has answered.
func (d Door) Hold(user, device string, key Key) (*Session, error) {
	s, err := d.Dial(user, device, key, "echo", "holding;", "exec", "cat")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		news := s.out.more()
		if strings.Contains(s.Output(), "holding") {
			return s, nil
		}
		select {
		case <-s.ended:
			return nil, fmt.Errorf("ssh of %s to %s ended with %d: %s", user, device, s.Code, s.Output())
		case <-ctx.Done():
			s.Kill()
			return nil, fmt.Errorf("ssh of %s to %s got no answer: %s", user, device, s.Output())
		case <-news:
		}
	}
}

// Ended is closed once ssh is gone.
func (s *Session) Ended() <-chan struct{} { return s.ended }

// Alive says whether ssh still runs.
func (s *Session) Alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Wait waits for ssh's end for so long, and says whether it came.
func (s *Session) Wait(patience time.Duration) bool {
	select {
	case <-s.ended:
		return true
	case <-time.After(patience):
		return false
	}
}

// Kill ends ssh itself, as a person who closes the window does.
func (s *Session) Kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.ended
}

// Output is what was written so far, on both streams.
func (s *Session) Output() string { return s.out.String() }

// output keeps what is written and tells of each write.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.news != nil {
		close(o.news)
		o.news = nil
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// more is closed at the next write.
func (o *output) more() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.news == nil {
		o.news = make(chan struct{})
	}
	return o.news
}
