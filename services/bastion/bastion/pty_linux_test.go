package bastion

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"portcullis.dev/services/internal/journal"
)

// pty is a terminal for a client to sit at.
type pty struct{ keyboard, screen *os.File }

func openPTY(t testing.TB, rows, columns uint16) *pty {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	fd := int(keyboard.Fd())
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	screen, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	p := &pty{keyboard, screen}
	p.resize(t, rows, columns)
	t.Cleanup(func() { _ = keyboard.Close(); _ = screen.Close() })
	return p
}

func (p *pty) resize(t testing.TB, rows, columns uint16) {
	t.Helper()
	must(t, unix.IoctlSetWinsize(int(p.keyboard.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}))
}

func (p *pty) types(t testing.TB, text string) {
	t.Helper()
	_, err := p.keyboard.WriteString(text)
	must(t, err)
}

// start runs a client at the terminal.
func (p *pty) start(t testing.TB, c *exec.Cmd) *client {
	t.Helper()
	k := &client{Cmd: c, exited: make(chan struct{})}
	c.Stdin, c.Stdout, c.Stderr = p.screen, p.screen, p.screen
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	must(t, c.Start())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		buffer := make([]byte, 4096)
		for {
			n, err := p.keyboard.Read(buffer)
			_, _ = k.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = c.Process.Kill(); <-k.exited })
	go func() {
		_ = c.Wait()
		_ = p.screen.Close() // nobody writes on it any more: what it shows has an end
		<-shown
		close(k.exited)
	}()
	return k
}

func command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), program(t, name), args...)
}

func authorized(key ssh.PublicKey) []byte { return ssh.MarshalAuthorizedKey(key) }

// withAnswers is a client whose questions a script answers, in order.
func (w *world) withAnswers(person string, answers []string) *exec.Cmd {
	w.t.Helper()
	dir, err := os.MkdirTemp(w.dir, "answers")
	must(w.t, err)
	script := "#!/bin/sh\nn=$(cat " + dir + "/n 2>/dev/null || echo 1)\necho $((n+1)) > " + dir + "/n\ncat " + dir + "/$n 2>/dev/null\n"
	must(w.t, os.WriteFile(filepath.Join(dir, "ask"), []byte(script), 0o700))
	for i, answer := range answers {
		must(w.t, os.WriteFile(filepath.Join(dir, strconv.Itoa(i+1)), []byte(answer+"\n"), 0o600))
	}
	c := command(w.t, "ssh", "-F", "none", "-o", "UserKnownHostsFile="+filepath.Join(w.dir, "known_hosts"), "-o", "StrictHostKeyChecking=yes",
		"-o", "PreferredAuthentications=keyboard-interactive", "-o", "NumberOfPasswordPrompts=1", "-p", w.port(), person+"%db-1@127.0.0.1", "echo in")
	c.Env = append(os.Environ(), "SSH_ASKPASS="+filepath.Join(dir, "ask"), "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0")
	return c
}

func (w *world) clearCredential(device string) {
	w.t.Helper()
	_, err := w.stream.Append(w.t.Context(), journal.Message{Subject: "credential.device." + device})
	must(w.t, err)
}
