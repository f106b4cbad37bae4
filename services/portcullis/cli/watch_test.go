package cli_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// watches runs portcullis with the arguments before "--" until what it has written matches each of those behind, and interrupts it.
func watches(ts *testscript.TestScript, _ bool, args []string) {
	at := slices.Index(args, "--")
	if at < 0 {
		ts.Fatalf("watches ARGUMENT... -- PATTERN...")
	}
	out := &written{more: make(chan struct{}, 1)}
	cmd := exec.Command("sh", append([]string{"-c", `exec portcullis "$@"`, "sh"}, args[:at]...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), out, out
	for _, name := range []string{"PATH", "HOME", "XDG_CONFIG_HOME", "TZ", "TERM", "PORTCULLIS_ADDRESS", "PORTCULLIS_TOKEN"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(cmd.Start())
	defer func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() }()
	late := time.After(30 * time.Second)
	for _, pattern := range args[at+1:] {
		for wanted := regexp.MustCompile("(?m)" + pattern); !wanted.MatchString(out.text()); {
			select {
			case <-out.more:
			case <-late:
				ts.Fatalf("%s never comes in\n%s", pattern, out.text())
			}
		}
	}
}

// written is what a process has written so far.
type written struct {
	mu   sync.Mutex
	all  strings.Builder
	more chan struct{}
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
	return w.all.Write(p)
}

func (w *written) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}
