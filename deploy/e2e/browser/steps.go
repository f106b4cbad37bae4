// Package browser drives the console in a real Chromium, against the real all-in-one with its demo of live SSH
// sessions and with real codes. The steps are services/gateway/web/e2e; what they saw is in build/screenshots.
package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"portcullis.dev/deploy/e2e/stack"
)

func web() string { return filepath.Join(stack.Root(), "services", "gateway", "web") }

// Needs skips the test where there is no browser, and brings in its driver.
func Needs(t *testing.T) {
	t.Helper()
	if left := missing(); left != "" {
		t.Skipf("*** LEFT OUT: the console in a browser, for %s is not installed (Debian: apt install chromium; Node 20 with npm)", left)
	}
	install(t, web())
}

// Steps takes the steps of a file of services/gateway/web whose names match, which are told what world they are in.
func Steps(t *testing.T, s *stack.Stack, file, names string, world map[string]any) {
	t.Helper()
	world["screenshots"] = filepath.Join(stack.Root(), "build", "screenshots")
	known, err := json.Marshal(world)
	if err != nil {
		t.Fatal(err)
	}
	steps := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", "--test-concurrency=1", "--test-name-pattern="+names, file)
	steps.Dir = web()
	steps.Env = append(os.Environ(), "PORTCULLIS_WORLD="+string(known), "NODE_ENV=test")
	steps.Stdout, steps.Stderr = t.Output(), t.Output()
	if err := steps.Run(); err != nil {
		t.Errorf("node --test: %v\n%s", err, s.Tails(20))
	}
}

// install brings in the driver of the browser, as package-lock.json pins it. Two at once would be in each other's way: make test takes
// the timed steps, by themselves, before all else that needs it.
func install(t *testing.T, web string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(web, "node_modules", "playwright-core")); err == nil {
		return
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--loglevel=error")
	npm.Dir = web
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}

// missing names what the steps need and this machine lacks; on Debian as root, where it would have been
// installed, that is an error.
func missing() string {
	for _, name := range []string{"node", "npm", "chromium"} {
		if _, err := exec.LookPath(name); err != nil {
			if _, err := os.Stat("/etc/debian_version"); runtime.GOOS == "linux" && err == nil && os.Getuid() == 0 {
				panic(fmt.Sprintf("%s is missing, though deploy/ci/prepare.sh installs it", name))
			}
			return name
		}
	}
	return ""
}
