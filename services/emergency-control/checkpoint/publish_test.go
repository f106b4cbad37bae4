package checkpoint

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis.dev/pkg/audit"
)

// record is one whose head grows as a test has it.
type record struct {
	mu    sync.Mutex
	head  uint64
	moved chan struct{}
	key   ed25519.PrivateKey
}

func newRecord(t *testing.T) *record {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &record{head: 1, moved: make(chan struct{}), key: key}
}

func (r *record) grow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head++
	close(r.moved)
	r.moved = make(chan struct{})
}

func (r *record) note() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return audit.Checkpoint{Sequence: r.head, Hash: []byte{byte(r.head)}, Time: time.Now()}.Sign(r.key)
}

// publish runs a publisher until the test ends.
func (r *record) publish(t *testing.T, s Settings) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := Publisher{Config: Config{Settings: s, Instance: "emergency-control-1"}, Note: r.note, Log: slog.New(slog.DiscardHandler),
		Moved: func() <-chan struct{} { r.mu.Lock(); defer r.mu.Unlock(); return r.moved }}
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// witness is a receiver that refuses the first of what it gets.
func witness(t *testing.T, refuse int, key []byte) (address string, notes <-chan string) {
	t.Helper()
	got := make(chan string, 100)
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
			t.Errorf("signed %q, want %q", r.Header.Get("webhook-signature"), want)
		}
		if refuse--; refuse >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got <- string(body)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func (r *record) next(t *testing.T, notes <-chan string) uint64 {
	t.Helper()
	select {
	case note := <-notes:
		c, err := audit.ReadCheckpoint(note, r.key.Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		return c.Sequence
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was published")
		return 0
	}
}

func TestACheckpointIsPostedAfterAnEntryAndAgainWhenItWasNotTaken(t *testing.T) {
	t.Parallel()
	r, key := newRecord(t), []byte(strings.Repeat("k", 32))
	address, notes := witness(t, 1, key)
	r.publish(t, Settings{Webhook: address, Secret: secretPrefix + base64.StdEncoding.EncodeToString(key), Interval: time.Hour})
	if got := r.next(t, notes); got != 1 {
		t.Errorf("the first one is of %d", got)
	}
	for range 5 {
		r.grow()
	}
	for got := uint64(0); got < 6; {
		got = r.next(t, notes)
	}
	if n := len(notes); n > 0 {
		t.Errorf("%d more came than there was to say", n)
	}
}

func TestAPlaceThatNeverAnswersHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until then it is not heard that the connection is gone
		<-r.Context().Done()
	}))
	t.Cleanup(hung.Close)
	file := filepath.Join(t.TempDir(), "witness")
	r.publish(t, Settings{Webhook: hung.URL, File: file, Interval: time.Second})
	by := time.Now().Add(20 * time.Second)
	for n := 0; n < 2; { // the second one comes without an entry
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) || time.Now().After(by) {
			t.Fatal(n, err)
		}
		whole, torn := audit.SplitNotes(string(text))
		if n = len(whole); torn > 1 {
			t.Fatalf("%d are torn", torn)
		}
	}
}

func TestAFileIsOnlyAddedToAndAReplicaHasItsOwnInAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := fileOf(dir, "emergency-control-7")
	if name != filepath.Join(dir, "emergency-control-7.checkpoints") || fileOf(filepath.Join(dir, "x"), "i") != filepath.Join(dir, "x") {
		t.Error(name)
	}
	r := newRecord(t)
	first, err := r.note()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("\n"+first[:80]), 0o600); err != nil { // the power went
		t.Fatal(err)
	}
	for range 2 {
		if err := appendTo(name, first); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if whole, torn := audit.SplitNotes(string(text)); len(whole) != 2 || torn != 1 || whole[1] != first {
		t.Errorf("%d whole, %d torn", len(whole), torn)
	}
	if err := appendTo(filepath.Join(dir, "none", "x"), first); err == nil {
		t.Error("what can't be written was")
	}
}

func TestSettingsThatCantBeMeantAreRefusedAndNoErrorHasASecret(t *testing.T) {
	good := Settings{Interval: time.Hour, Webhook: "https://witness.example.com/x"}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*Settings){
		"interval": func(s *Settings) { s.Interval = time.Millisecond },
		"scheme":   func(s *Settings) { s.Webhook = "ftp://x" },
		"person":   func(s *Settings) { s.Webhook = "https://me:hunter2@x" },
		"secret":   func(s *Settings) { s.Secret = "hunter2" },
		"short":    func(s *Settings) { s.Secret = "whsec_aHVudGVyMg==" },
	} {
		s := good
		if edit(&s); s.check() == nil || strings.Contains(s.check().Error(), "hunter2") || strings.Contains(s.check().Error(), "aHVu") {
			t.Errorf("%s: %v", name, s.check())
		}
	}
	c := Config{Settings: Settings{Webhook: "http://127.0.0.1:1/hunter2"}}
	if err := newHook(c).post(t.Context(), "x"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the address is told: %v", err)
	}
}
