package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"portcullis.dev/services/internal/ports"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"portcullis": main}) }

// The real thing: everything in one process, people at real SSH sessions, and the command line beside it.
func TestEverythingInOneProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for fresh MFA codes, half a minute each")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireUniqueNames: true, RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			free, err := ports.Free(3)
			if err != nil {
				return err
			}
			for i, name := range []string{"HTTP", "GRPC", "SSH"} {
				e.Setenv("PORTCULLIS_"+name, free[i])
			}
			e.Setenv("PORTCULLIS_ADDRESS", "http://"+e.Getenv("PORTCULLIS_HTTP"))
			e.Setenv("PORTCULLIS_LOG_LEVEL", "warn")
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"eventually": eventually, "ready": ready, "exports": exports, "exits": exits},
	})
}

const patience = 60 * time.Second

// ready waits until the server answers that it is.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get(ts.Getenv("PORTCULLIS_ADDRESS") + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not ready in %s: %v", patience, err)
		}
	}
}

// eventually runs the command until its output has the text, or, negated, has it no more.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		text := ts.ReadFile("stdout")
		if err == nil && strings.Contains(text, args[0]) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%q: %v, %v\n%s", args[0], neg, err, text)
		}
	}
}

// exports takes what the last command printed for a shell into the environment.
func exports(ts *testscript.TestScript, _ bool, _ []string) {
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		value = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, "'"), "'"), `'\''`, "'")
		ts.Setenv(name, value)
	}
}

// exits runs the command and wants exactly that exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	code := "0"
	if err := ts.Exec("portcullis", args[1:]...); err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}
