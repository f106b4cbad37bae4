package oidc

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"portcullis.dev/deploy/e2e/stack"
)

// program is where a browser comes back to the command line; Dex wants to know the port of a client with a secret.
const (
	port    = "24019"
	program = "http://127.0.0.1:" + port + "/finish"
)

// shell is somebody's command line.
type shell struct {
	world
	home string
}

func (s shell) command(arguments ...string) *exec.Cmd {
	s.Helper()
	binary, err := stack.Binary("portcullis")
	if err != nil {
		s.Fatal(err)
	}
	command := exec.CommandContext(s.Context(), binary, append(arguments, "--address", s.stack.HTTP)...)
	command.Env = append(command.Environ(), "HOME="+s.home, "XDG_CONFIG_HOME="+s.home)
	return command
}

func commandLine(w world) {
	w.dex.Is("1", "ana", "readers")
	ana := shell{w, w.TempDir()}
	login := ana.command("login", "--provider", "--port", port)
	var out bytes.Buffer
	login.Stdout = &out
	said, err := login.StderrPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := login.Start(); err != nil {
		w.Fatal(err)
	}
	at := toldTo(w.T, said)
	if stray := w.browser().follow(program + "?code=caught&state=guessed"); !strings.Contains(stray, "not the sign-in") {
		w.Errorf("another page's answer is told %q", stray)
	}
	page := w.browser().follow(at)
	if err := login.Wait(); err != nil || !strings.Contains(out.String(), "as ana.") || !strings.Contains(page, "terminal") {
		w.Fatalf("the command line says %q, the browser %q: %v", out.String(), page, err)
	}
	if answer, err := ana.command("session", "list").CombinedOutput(); err != nil {
		w.Errorf("nobody is signed in: %v\n%s", err, answer)
	}
}

// toldTo is the address that somebody is told to open.
func toldTo(t *testing.T, said io.Reader) string {
	t.Helper()
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if at := strings.TrimSpace(lines.Text()); strings.HasPrefix(at, "http") {
			go func() { _, _ = io.Copy(io.Discard, said) }()
			return at
		}
	}
	t.Fatal("no address is named")
	return ""
}

// follow goes where it is led, and answers the page at the end.
func (b *browser) follow(at string) string {
	b.Helper()
	for range 10 {
		answer, err := b.http.Get(at)
		if err != nil {
			b.Fatal(err)
		}
		page, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		next, ends := answer.Location()
		if err != nil || ends != nil {
			return string(page)
		}
		at = next.String()
	}
	b.Fatal("the redirects don't end")
	return ""
}
