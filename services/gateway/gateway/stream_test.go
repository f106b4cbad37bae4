package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"portcullis.dev/pkg/fault"
)

// reading opens a stream, with or without a token.
func (p *public) reading(t *testing.T, url, path, token string) (*http.Response, *bufio.Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer, bufio.NewReader(answer.Body)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("after %q: %v", text, err)
	}
	return text
}

func TestAStreamSendsEachMessageAsItComes(t *testing.T) {
	p := open(t)
	answer, lines := p.reading(t, p.url, "/v1/posture:watch", "")
	if got := answer.Header.Get("Content-Type"); got != "application/x-ndjson" || answer.StatusCode != 200 {
		t.Errorf("got %d %s", answer.StatusCode, got)
	}
	var first struct{ Result struct{ Lockdown any } }
	if err := json.Unmarshal([]byte(line(t, lines)), &first); err != nil || first.Result.Lockdown != nil {
		t.Errorf("got %v, %v", first, err)
	}
	p.lockDown(noon.AddDate(0, 0, 1)) // the first line is here while the stream still waits
	if text := line(t, lines); !strings.Contains(text, `"until":"2022-08-10T12:00:00Z"`) {
		t.Errorf("got %s", text)
	}
	p.lockDown(time.Time{})
	if text := line(t, lines); strings.Contains(text, "until") {
		t.Errorf("got %s", text)
	}
}

func TestAStreamIsCutByALockdownAndSaysSo(t *testing.T) {
	p := open(t)
	_, lines := p.reading(t, p.url, "/v1/audit:export", "good")
	for range 3 {
		line(t, lines)
	}
	p.lockDown(time.Date(2022, 8, 9, 22, 54, 0, 0, time.UTC))
	const m = "Portcullis is under Lockdown until 09/08/2022 22:54:00"
	want := `{"error":{"response":{"status":503,"mensagem":"` + m + `","erro":true,"cod_erro":100,"message":"` + m + `","error":true,"error_code":100}}}` + "\n"
	if got := line(t, lines); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

func TestAStreamThatIsRefusedBeforeItsFirstLineIsAnOrdinaryRefusal(t *testing.T) {
	p := open(t)
	p.lockDown(time.Date(2022, 8, 9, 22, 54, 0, 0, time.UTC))
	a := p.call(t, "GET", "/v1/audit:export", "")
	if a.status != 503 || !strings.HasPrefix(a.body, `{"response":{"status":503,`) || a.header.Get("Retry-After") != "39240" {
		t.Errorf("got %d %s %v", a.status, a.body, a.header)
	}
	if !json.Valid([]byte(a.body)) {
		t.Errorf("more than one value: %s", a.body)
	}
	a = p.call(t, "GET", "/v1/audit:export", "", "Authorization", "Bearer bad")
	if a.status != 401 || !strings.HasPrefix(a.body, `{"code":"UNAUTHENTICATED"`) || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s %v", a.status, a.body, a.header)
	}
	p.setRefuse(fault.New(fault.JournalUnavailable, "The journal does not answer. Try again in a moment"))
	if a = p.call(t, "GET", "/v1/audit:export", ""); a.status != 503 || !strings.Contains(a.body, `"reason":"JOURNAL_UNAVAILABLE"`) {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestAStreamWhoseServiceDiesEndsWithAnErrorOfOurShape(t *testing.T) {
	p := open(t)
	_, lines := p.reading(t, p.url, "/v1/posture:watch", "")
	line(t, lines)
	p.stop()
	if text := line(t, lines); !strings.HasPrefix(text, `{"error":{"code":"UNAVAILABLE","reason":"UNAVAILABLE"`) || strings.Contains(text, "127.0.0.1") {
		t.Errorf("got %s", text)
	}
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

func TestStoppingEndsStreamsAtOnceAndLetsCallsFinish(t *testing.T) {
	listeners := make(chan net.Listener, 1)
	p := open(t, func(c *Config, d *Deps) {
		c.HTTP, c.GRPC = "127.0.0.1:0", ""
		d.Log = slog.New(slog.DiscardHandler)
		d.Listen = func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			listeners <- l
			return l, err
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.gateway.Run(ctx) }()
	url := "http://" + (<-listeners).Addr().String()
	_, lines := p.reading(t, url, "/v1/posture:watch", "")
	line(t, lines)
	start := time.Now()
	stop()
	if text := line(t, lines); !strings.HasPrefix(text, `{"error":`) {
		t.Errorf("got %s", text)
	}
	if err := <-ended; err != nil || time.Since(start) > stopWithin {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

func TestAClientWhoLeavesAStreamLeavesNothingBehind(t *testing.T) {
	p := open(t)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/v1/posture:watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	line(t, bufio.NewReader(answer.Body))
	leave()
	_ = answer.Body.Close()
	select {
	case err := <-p.left:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the service's stream lives on")
	}
}
