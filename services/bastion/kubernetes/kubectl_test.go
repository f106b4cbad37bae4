package kubernetes

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// kubectl finds the real one.
func kubectl(t *testing.T) string {
	t.Helper()
	home, err := os.UserHomeDir()
	must(t, err)
	built, err := filepath.Glob(filepath.Join(home, ".cache", "portcullis-kubernetes", "kubernetes-*", "kubectl"))
	must(t, err)
	if len(built) > 0 {
		return built[len(built)-1]
	}
	path, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("LEFT OUT: there is no kubectl (make test-kubernetes builds one), so nothing here was tried with the real one")
	}
	return path
}

// command is a kubectl of somebody's.
type command struct {
	*exec.Cmd
	t        *testing.T
	in       io.WriteCloser
	mu       sync.Mutex
	out, err bytes.Buffer
	ended    chan struct{}
}

type screen struct {
	c  *command
	on *bytes.Buffer
}

func (s screen) Write(p []byte) (int, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.on.Write(p)
}

func (w *world) kubectl(t *testing.T, user string, arguments ...string) *command {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `{"kind":"Config","apiVersion":"v1","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"clusters":[{"name":"c","cluster":{"server":%q,"certificate-authority-data":%q}}],"users":[{"name":"u","user":{"token":%q}}]}`,
		w.address+"/prod", base64.StdEncoding.EncodeToString(w.ca), w.platform.signIn(user)), 0o600))
	c := &command{Cmd: exec.Command(kubectl(t), arguments...), t: t, ended: make(chan struct{})}
	c.Env = append(os.Environ(), "KUBECONFIG="+config, "HOME="+dir, "HTTPS_PROXY=")
	c.Stdout, c.Stderr = screen{c, &c.out}, screen{c, &c.err}
	in, err := c.StdinPipe()
	must(t, err)
	c.in = in
	return c
}

func (c *command) begin() *command {
	c.t.Helper()
	must(c.t, c.Start())
	go func() { _ = c.Wait(); close(c.ended) }()
	c.t.Cleanup(func() { _ = c.Process.Kill(); <-c.ended })
	return c
}

func (c *command) said() (out, err string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String(), c.err.String()
}

func (c *command) awaits(text string) {
	c.t.Helper()
	eventually(c.t, "kubectl shows "+text, func() bool {
		out, err := c.said()
		select {
		case <-c.ended:
			if !strings.Contains(out, text) {
				c.t.Fatalf("it has ended with %q, %q", out, err)
			}
		default:
		}
		return strings.Contains(out, text)
	})
}

// ends waits for the end, and answers what was shown.
func (c *command) ends(within time.Duration) (code int, out, err string) {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(within):
		out, err = c.said()
		c.t.Fatalf("it is still on after %v: %q, %q", within, out, err)
	}
	out, err = c.said()
	return c.ProcessState.ExitCode(), out, err
}

const patience = 30 * time.Second // kubectl takes its time to start where processors are busy

func TestTheRealKubectlReadsWhyItWasCutOff(t *testing.T) {
	w := newWorld(t)
	shell := w.kubectl(t, "alice", "exec", "-i", "web", "--", "cat").begin()
	_, err := io.WriteString(shell.in, "hello from kubectl\n")
	must(t, err)
	shell.awaits("hello from kubectl")
	attached := w.kubectl(t, "root", "attach", "-i", "web").begin()
	_, err = io.WriteString(attached.in, "attached\n")
	must(t, err)
	attached.awaits("attached")
	pods := w.kubectl(t, "alice", "get", "pods", "--watch").begin()
	pods.awaits("web")
	eventually(t, "three sessions are open", func() bool { return len(w.hub.live()) == 3 })
	log := w.kubectl(t, "alice", "logs", "-f", "web").begin()
	eventually(t, "four sessions are open", func() bool { return len(w.hub.live()) == 4 })
	until := time.Now().Add(time.Hour)
	struck := time.Now()
	w.strike(window(emergencyv1.Emergency_LOCKDOWN, until))
	why := "until " + emergency.Texts{}.Time(until)
	for name, c := range map[string]*command{"exec": shell, "attach": attached, "logs": log, "get --watch": pods} {
		code, out, err := c.ends(5*time.Second - time.Since(struck)) // some of it is the end of a process
		shown := err
		if name == "logs" || name == "get --watch" {
			shown = out
		}
		if code == 0 && name != "get --watch" || !strings.Contains(shown, why) {
			t.Errorf("%s ends with %d, and shows %q, %q", name, code, out, err)
		}
		t.Logf("%s: %d\n%s%s", name, code, out, err)
	}
	for _, arguments := range [][]string{{"exec", "web", "--", "id"}, {"get", "pods"}} {
		code, out, err := w.kubectl(t, "alice", arguments...).begin().ends(patience)
		if code == 0 || !strings.Contains(err, emergency.Texts{}.Lockdown(until)) {
			t.Errorf("%v in a lockdown ends with %d, and shows %q, %q", arguments, code, out, err)
		}
		t.Logf("%v: %d\n%s", arguments, code, err)
	}
}

func TestTheRealKubectlOfBeforeWebSocketReadsItToo(t *testing.T) {
	w := newWorld(t)
	c := w.kubectl(t, "alice", "exec", "web", "--", "id")
	c.Env = append(c.Env, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false")
	c.begin()
	eventually(t, "its three streams are open", func() bool { return w.api.streams.Load() == 3 })
	w.strike(termination(&emergencyv1.Selector{Users: []string{"alice"}}))
	if code, out, err := c.ends(patience); code == 0 || !strings.Contains(err, "Terminated by an administrator") {
		t.Errorf("it ends with %d, and shows %q, %q", code, out, err)
	}
}
