// Package browser drives the console in a real Chromium, against the real all-in-one with its demo of live SSH
// sessions and with real codes. The steps are services/gateway/web/e2e; what they saw is in build/screenshots.
package browser

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"portcullis.dev/deploy/e2e/client"
	"portcullis.dev/deploy/e2e/stack"
)

var only = flag.String("steps", ".", "a pattern of the names of the steps to take")

const password = "a password of some length"

// person is an administrator as the steps take one.
type person struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Secret   string `json:"secret"`
	// Used is the last step of the clock, of 30 seconds, whose code was used.
	Used int64 `json:"used"`
}

// TestWhatAPersonWaitsFor times it, so nothing may run beside it.
func TestWhatAPersonWaitsFor(t *testing.T) { take(t, "e2e/waits.test.mjs", 6) }

func TestTheConsoleInChromium(t *testing.T) { take(t, "e2e/console.test.mjs", 40) }

// take takes the steps of a file, with so many administrators who have two codes each: every act in the panel takes one.
func take(t *testing.T, file string, crewSize int) {
	t.Helper()
	if left := missing(); left != "" {
		t.Skipf("*** LEFT OUT: the console in a browser, for %s is not installed (Debian: apt install chromium; Node 20 with npm)", left)
	}
	web := filepath.Join(stack.Root(), "services", "gateway", "web")
	install(t, web)
	s, err := stack.Demo(t.TempDir(), stack.Options{Environment: []string{"PORTCULLIS_MFA_MIN_AGE=0s", "PORTCULLIS_APPROVER_MIN_AGE=0s"}})
	if s != nil {
		t.Cleanup(s.Stop)
	}
	if err != nil {
		t.Fatal(err)
	}
	people := crew(t, s, crewSize)
	if t.Failed() {
		return
	}
	binary, err := stack.Binary("portcullis")
	if err != nil {
		t.Fatal(err)
	}
	known, err := json.Marshal(map[string]any{
		"base": s.HTTP, "binary": binary, "data": filepath.Join(s.Folder, "data"), "people": people,
		"screenshots": filepath.Join(stack.Root(), "build", "screenshots"),
	})
	if err != nil {
		t.Fatal(err)
	}
	steps := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", "--test-concurrency=1", "--test-name-pattern="+*only, file)
	steps.Dir = web
	steps.Env = append(os.Environ(), "PORTCULLIS_WORLD="+string(known), "NODE_ENV=test")
	steps.Stdout, steps.Stderr = t.Output(), t.Output()
	if err := steps.Run(); err != nil {
		t.Errorf("node --test: %v\n%s", err, s.Tails(20))
	}
}

func crew(t *testing.T, s *stack.Stack, size int) []person {
	t.Helper()
	first := &client.Person{Client: client.Client{Base: s.HTTP}, Name: s.Admin.User, Password: s.Admin.Password, Secret: s.Admin.TOTPSecret}
	a, err := first.SignIn()
	for tries := 1; tries < 4 && err == nil && a.Status != http.StatusOK; tries++ { // the demo has used some of the codes
		a, err = first.SignIn()
	}
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("signing in: %v %v", a, err)
	}
	awaitDemo(t, first)
	all := client.Crew{Password: password}
	idle, err := all.Grow(first, size)
	for tries := 1; tries < 4 && err != nil; tries++ {
		idle, err = all.Grow(first, size)
	}
	if err != nil {
		t.Fatal(err)
	}
	var people []person
	for _, p := range idle {
		people = append(people, person{p.Name, p.Password, p.Secret, p.Used()})
	}
	return people
}

// awaitDemo waits for the demo's sessions: until they are open it makes its people and uses its administrator's codes.
func awaitDemo(t *testing.T, first *client.Person) {
	t.Helper()
	for range time.Tick(200 * time.Millisecond) {
		a, err := first.Call(http.MethodGet, "/v1/sessions", nil)
		if err == nil && strings.Count(string(a.Body), `"state":"OPEN"`) >= 12 {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("the demo's sessions did not open")
		}
	}
}

// install brings in the driver of the browser, as package-lock.json pins it.
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
