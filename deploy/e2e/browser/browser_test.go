package browser

import (
	"flag"
	"net/http"
	"path/filepath"
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
	Needs(t)
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
	Steps(t, s, file, *only, map[string]any{"base": s.HTTP, "binary": binary, "data": filepath.Join(s.Folder, "data"), "people": people})
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
