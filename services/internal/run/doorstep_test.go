package run

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/watch"
)

// knock asks the process that has a data folder to hold.
func knock(t *testing.T, data, body string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(data, DoorstepFile))
	}}}
	answer, err := client.Post("http://doorstep"+HoldPath, "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestOnTheHostTheDoorsOfAProcessAreHeldByWhoeverMayWriteToItsFolder(t *testing.T) {
	watchers := make(chan *watch.Watcher, 2)
	see := func(h *Host) toy { watchers <- h.Watch; return toy{} }
	entries := []Entry{entry(rpc.Gate, true, see), entry(rpc.Identity, true, see)}
	s := settings(t, entries)
	start(t, entries, s)
	data := s.values.String("data")
	if info, err := os.Stat(filepath.Join(data, DoorstepFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket is %v, %v", info, err)
	}
	for what, body := range map[string]string{
		"no reason":      `{"duration":"1800s"}`,
		"too short":      `{"duration":"60s","justification":"x"}`,
		"too long":       `{"duration":"7200s","justification":"x"}`,
		"no JSON":        `hold`,
		"a long reason":  `{"duration":"1800s","justification":"` + strings.Repeat("x", 2001) + `"}`,
		"an unknown key": `{"duration":"1800s","justification":"x","lift":true}`,
	} {
		if status, text := knock(t, data, body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	status, text := knock(t, data, `{"duration":"1800s","justification":"Cut off","createdBy":"root","id":"L-0001","breakGlassUsers":["eve"]}`)
	if status != http.StatusOK || !strings.Contains(text, "host:root") || strings.Contains(text, "eve") || strings.Contains(text, "L-0001") {
		t.Errorf("got %d %s", status, text)
	}
	for range entries {
		if until := (<-watchers).State().Emergency.LockdownUntil(time.Now()); time.Until(until) < 29*time.Minute {
			t.Errorf("a service holds until %v", until)
		}
	}
}
