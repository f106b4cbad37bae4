package hook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/hook"
	"portcullis.dev/services/notifier/message"
)

const (
	signingKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwJ0FCQ0RF"
	secretPath = "/services/T024BE7LD/B0SECRETB/XXsecretXXsecretXXsecret?sig=verysecretsig"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files anew")
	os.Exit(m.Run())
}

// receiver is a webhook's other side: a TLS server that keeps what it got.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []request
}

type request struct {
	header http.Header
	body   []byte
	path   string
}

func (r *receiver) all() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.got...)
}

func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := new(receiver)
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Errorf("reading what was posted: %v", err)
		}
		r.mu.Lock()
		r.got = append(r.got, request{q.Header.Clone(), body, q.URL.RequestURI()})
		r.mu.Unlock()
		answer(w, q)
	}))
	r.Config.ErrorLog = log.New(io.Discard, "", 0) // what breaks off a handshake is asked for
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

func ok(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func now() time.Time { return time.Date(2026, 11, 25, 21, 0, 7, 0, time.UTC) }

func poster(t *testing.T, servers ...*httptest.Server) *hook.Poster {
	t.Helper()
	roots := x509.NewCertPool()
	config := hook.Config{Product: "Portcullis", Allowed: loopback(), Roots: roots, Clock: now}
	for _, server := range servers {
		if server.Certificate() != nil {
			roots.AddCert(server.Certificate())
		}
		config.PagerDutyURL = server.URL + "/v2/enqueue"
	}
	p := hook.New(config)
	t.Cleanup(p.Close)
	return p
}

func lockdown() *message.Message {
	return &message.Message{
		ID: "0197c2f0-7b1e-7c33-9d3f-5a0c1e2f3a4b", Language: "en",
		Subject: "A lockdown started", Body: "A lockdown started.\n\nBy: ana\nUntil: 25 November 2026 23:00 UTC",
		Short: "ana started a lockdown until 23:00 UTC.", Type: "emergency.lockdown.started",
		Event: "emergency-7-rev-12", Emergency: "7d0e", Time: time.Date(2026, 11, 25, 21, 0, 0, 0, time.UTC),
		Facts: map[string]string{"actor": "ana", "until": "2026-11-25T23:00:00Z"},
	}
}

// hostile is a message whose texts try to be more than texts.
func hostile() *message.Message {
	m := lockdown()
	m.Subject = "<!channel> *bold* @everyone\r\nX: y <https://evil.example|click> & {{{DATE(2017-02-14T06:08:00Z)}}"
	m.Short = "<@U123> <at>all</at> [click](https://evil.example) `code` :smile:\n# heading\n- \u202eitem\x00\x1b[31m"
	m.Facts = map[string]string{"<!here>": `"quoted" </script>`}
	return m
}

func methods() map[string]notificationv1.Method {
	return map[string]notificationv1.Method{
		"slack": notificationv1.Method_SLACK, "teams": notificationv1.Method_TEAMS,
		"pagerduty": notificationv1.Method_PAGERDUTY, "webhook": notificationv1.Method_WEBHOOK,
	}
}

func secretFor(method notificationv1.Method) string {
	switch method {
	case notificationv1.Method_PAGERDUTY:
		return "R0UTINGKEYR0UTINGKEYR0UTINGKEY01"
	case notificationv1.Method_WEBHOOK:
		return signingKey
	}
	return ""
}

func TestEachReceiverGetsTheBodyThatItsDocumentsAskFor(t *testing.T) {
	for name, method := range methods() {
		for kind, m := range map[string]*message.Message{"lockdown": lockdown(), "hostile": hostile()} {
			server := receive(t, ok)
			answer, err := poster(t, server.Server).Send(t.Context(),
				hook.Endpoint{Method: method, URL: server.URL + secretPath, Secret: secretFor(method)}, m)
			if err != nil || answer != "200 ok" {
				t.Fatalf("%s: %q, %v", name, answer, err)
			}
			got := server.all()
			if len(got) != 1 || got[0].header.Get("Content-Type") != "application/json" || got[0].header.Get("User-Agent") != "Portcullis" {
				t.Fatalf("%s got %v", name, got)
			}
			path := secretPath
			if method == notificationv1.Method_PAGERDUTY {
				path = "/v2/enqueue"
			}
			if got[0].path != path {
				t.Errorf("%s was posted to %s", name, got[0].path)
			}
			golden(t, name+"-"+kind+".json", got[0].body)
		}
	}
}

func golden(t *testing.T, name string, body []byte) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		t.Fatalf("%s is no JSON: %v\n%s", name, err, body)
	}
	pretty.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Errorf("%s:\n%s", name, diff)
	}
}

// verify checks a signature as a receiver would, from the specification alone.
func verify(t *testing.T, r request) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signingKey, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.header.Get("webhook-id"), r.header.Get("webhook-timestamp"), r.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.header.Get("webhook-signature") != want {
		t.Errorf("the signature is %s, want %s", r.header.Get("webhook-signature"), want)
	}
	if r.header.Get("webhook-timestamp") != strconv.FormatInt(now().Unix(), 10) {
		t.Errorf("the timestamp is %s", r.header.Get("webhook-timestamp"))
	}
}

func TestASignedCallIsVerifiedByItsReceiverAndKeepsItsIDAtEveryAttempt(t *testing.T) {
	server := receive(t, ok)
	p := poster(t, server.Server)
	for range 2 {
		if _, err := p.Send(t.Context(), hook.Endpoint{Method: notificationv1.Method_WEBHOOK, URL: server.URL, Secret: signingKey}, lockdown()); err != nil {
			t.Fatal(err)
		}
	}
	got := server.all()
	for _, r := range got {
		verify(t, r)
	}
	if len(got) != 2 || got[0].header.Get("webhook-id") != lockdown().ID || got[1].header.Get("webhook-id") != lockdown().ID {
		t.Errorf("the ids are %v", got)
	}
}

func TestATestMessageHasATypeAndATime(t *testing.T) {
	server := receive(t, ok)
	m := &message.Message{ID: "d1", Subject: "Test", Body: "A test.", Short: "A test."}
	for name, method := range methods() {
		if _, err := poster(t, server.Server).Send(t.Context(), hook.Endpoint{Method: method, URL: server.URL, Secret: secretFor(method)}, m); err != nil {
			t.Fatal(err)
		}
		got := server.all()
		body := string(got[len(got)-1].body)
		if strings.Contains(body, "0001-01-01") || !strings.Contains(body, "2026-11-25") || !strings.Contains(body, "test") {
			t.Errorf("%s: %s", name, body)
		}
	}
}

func TestPagerDutyOpensAnAlertAtTheStartAndClosesItAtTheEndOfTheSameEmergency(t *testing.T) {
	server := receive(t, status(http.StatusAccepted))
	p := poster(t, server.Server)
	for _, c := range []struct{ kind, emergency, action, key, severity string }{
		{"emergency.lockdown.scheduled", "7d0e", "trigger", "7d0e", "warning"},
		{"emergency.lockdown.started", "7d0e", "trigger", "7d0e", "critical"},
		{"emergency.freeze.started", "7d0e", "trigger", "7d0e", "error"},
		{"emergency.freeze.shortened", "7d0e", "trigger", "7d0e", "warning"},
		{"emergency.lockdown.ended", "7d0e", "resolve", "7d0e", ""},
		{"emergency.freeze.cancelled", "7d0e", "resolve", "7d0e", ""},
		// What comes late, or belongs to no emergency, must not open a closed alert again.
		{"emergency.attempt.refused", "7d0e", "trigger", "event-1", "warning"},
		{"emergency.approval.requested", "7d0e", "trigger", "event-1", "info"},
		{"emergency.session.terminated", "7d0e", "trigger", "event-1", "error"},
		{"session.ended", "", "trigger", "event-1", "warning"},
	} {
		m := lockdown()
		m.Type, m.Emergency, m.Event = c.kind, c.emergency, "event-1"
		if _, err := p.Send(t.Context(), hook.Endpoint{Method: notificationv1.Method_PAGERDUTY, Secret: "KEYKEYKEY"}, m); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Key     string `json:"routing_key"`
			Action  string `json:"event_action"`
			Dedup   string `json:"dedup_key"`
			Payload *struct{ Severity, Summary, Source string }
		}
		all := server.all()
		if err := json.Unmarshal(all[len(all)-1].body, &got); err != nil {
			t.Fatal(err)
		}
		if got.Key != "KEYKEYKEY" || got.Action != c.action || got.Dedup != c.key || (got.Payload == nil) != (c.severity == "") {
			t.Errorf("%s: %+v", c.kind, got)
		}
		if got.Payload != nil && (got.Payload.Severity != c.severity || got.Payload.Summary == "" || got.Payload.Source == "") {
			t.Errorf("%s: %+v", c.kind, got.Payload)
		}
	}
}

func TestWhatAReceiverAnswersDecidesWhetherItIsTriedAgain(t *testing.T) {
	inTwoMinutes := now().Add(2 * time.Minute).Format(http.TimeFormat)
	for _, c := range []struct {
		status int
		after  string
		want   *message.Failure
	}{
		{200, "", nil}, {202, "", nil}, {204, "", nil},
		{400, "", &message.Failure{Permanent: true}},
		{401, "", &message.Failure{Permanent: true}},
		{404, "", &message.Failure{Permanent: true}},
		{413, "", &message.Failure{Permanent: true}},
		{408, "", &message.Failure{Server: true}},
		{410, "", &message.Failure{Permanent: true, Gone: true}},
		{425, "", &message.Failure{Server: true}},
		{429, "7", &message.Failure{Server: true, After: 7 * time.Second}},
		{429, inTwoMinutes, &message.Failure{Server: true, After: 2 * time.Minute}},
		{429, "Wed, 25 Nov 2020 21:00:00 GMT", &message.Failure{Server: true}},
		{429, "-5", &message.Failure{Server: true}},
		{429, "soon", &message.Failure{Server: true}},
		{503, "99999999999999999999999", &message.Failure{Server: true, After: 24 * time.Hour}},
		{500, "", &message.Failure{Server: true}},
		{503, "30", &message.Failure{Server: true, After: 30 * time.Second}},
	} {
		server := receive(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.status)
		})
		_, err := poster(t, server.Server).Send(t.Context(), hook.Endpoint{Method: notificationv1.Method_WEBHOOK, URL: server.URL, Secret: signingKey}, lockdown())
		var got *message.Failure
		errors.As(err, &got)
		if (got == nil) != (c.want == nil) || got == nil && err != nil {
			t.Errorf("%d: %v", c.status, err)
			continue
		}
		if got != nil && (got.Permanent != c.want.Permanent || got.Server != c.want.Server || got.Gone != c.want.Gone ||
			got.After != c.want.After || !strings.Contains(got.Reason, strconv.Itoa(c.status))) {
			t.Errorf("%d %s: %+v", c.status, c.after, got)
		}
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	inside := receive(t, ok)
	for _, code := range []int{301, 302, 303, 307, 308} {
		server := receive(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside.URL+"/admin", code) })
		_, err := poster(t, server.Server, inside.Server).Send(t.Context(), hook.Endpoint{Method: notificationv1.Method_SLACK, URL: server.URL}, lockdown())
		if f := message.FailureOf(err); !f.Permanent || !strings.Contains(f.Reason, "redirect") {
			t.Errorf("%d: %+v", code, f)
		}
	}
	if got := inside.all(); len(got) != 0 {
		t.Errorf("the redirect was followed: %v", got)
	}
}

func TestAReceiverThatNeverAnswersIsLeftWhenTheContextEnds(t *testing.T) {
	// Each begins to answer, tells that it has, and never ends.
	for name, begin := range map[string]string{"in its headers": "HTTP/1.1 200 OK\r\nX-Slow: a", "with nothing": ""} {
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		server := receive(t, func(w http.ResponseWriter, _ *http.Request) {
			defer close(gone)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, begin)
			cancel()
			io.Copy(io.Discard, conn) // until the other side hangs up
		})
		_, err := poster(t, server.Server).Send(ctx, hook.Endpoint{Method: notificationv1.Method_TEAMS, URL: server.URL + secretPath}, lockdown())
		if !errors.Is(err, context.Canceled) || message.FailureOf(err).Permanent || message.FailureOf(err).Server {
			t.Errorf("%s: %+v", name, message.FailureOf(err))
		}
		<-gone
	}
}

func TestAReceiverThatIsSlowerThanTheDeadlineIsAFailureOfItsOwn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	server := receive(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := poster(t, server.Server).Send(ctx, hook.Endpoint{Method: notificationv1.Method_TEAMS, URL: server.URL}, lockdown())
	if f := message.FailureOf(err); !errors.Is(err, context.DeadlineExceeded) || !f.Server || f.Permanent {
		t.Errorf("%+v", f)
	}
}

func TestAnAnswerWithoutEndIsReadToItsBoundOnly(t *testing.T) {
	var wrote int
	done := make(chan struct{})
	server := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(done)
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		for wrote < 1<<30 {
			n, err := w.Write(chunk)
			wrote += n
			if err != nil {
				return
			}
		}
	})
	answer, err := poster(t, server.Server).Send(t.Context(), hook.Endpoint{Method: notificationv1.Method_SLACK, URL: server.URL}, lockdown())
	<-done
	if err != nil || len(answer) > 1000 || wrote > 64<<20 {
		t.Errorf("%d bytes were taken of an answer of %d: %v", wrote, len(answer), err)
	}
}

func TestABrokenAnswerIsAFailureThatIsTriedAgain(t *testing.T) {
	for name, text := range map[string]string{
		"garbage": "\x00\x01 this is not HTTP\r\n\r\n", "nothing": "", "a huge header": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1<<20),
	} {
		server := receive(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, text)
			conn.Close()
		})
		_, err := poster(t, server.Server).Send(t.Context(), hook.Endpoint{Method: notificationv1.Method_SLACK, URL: server.URL}, lockdown())
		if f := message.FailureOf(err); err == nil || !f.Server || f.Permanent || len(f.Reason) > 600 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(ok))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := poster(t, server).Send(t.Context(), hook.Endpoint{Method: notificationv1.Method_SLACK, URL: server.URL}, lockdown())
	if f := message.FailureOf(err); err == nil || !strings.Contains(f.Reason, "protocol version") {
		t.Errorf("%v", err)
	}
}

func TestACertificateOfAnAuthorityUnknownIsRefused(t *testing.T) {
	server := receive(t, ok)
	_, err := poster(t).Send(t.Context(), hook.Endpoint{Method: notificationv1.Method_SLACK, URL: server.URL}, lockdown())
	if f := message.FailureOf(err); err == nil || !f.Server || !strings.Contains(f.Reason, "certificate") {
		t.Errorf("%v", err)
	}
	if len(server.all()) != 0 {
		t.Error("it got the message all the same")
	}
}

func TestNoErrorAndNoAnswerHoldsASecret(t *testing.T) {
	// It says what it was called with, piece by piece.
	echo := func(code int, secret string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			fmt.Fprintln(w, secret, strings.TrimPrefix(secret, "whsec_"), r.URL.RequestURI(), r.URL.Query().Get("sig"), strings.ReplaceAll(r.URL.Path, "/", " "))
		}
	}
	drop := func(int, string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
		}
	}
	for _, handler := range []func(int, string) http.HandlerFunc{echo, drop} {
		for _, code := range []int{200, 404, 500} {
			for name, method := range methods() {
				server := receive(t, handler(code, secretFor(method)))
				answer, err := poster(t, server.Server).Send(t.Context(), hook.Endpoint{Method: method, URL: server.URL + secretPath, Secret: secretFor(method)}, lockdown())
				text := answer + fmt.Sprint(err)
				for _, secret := range []string{"XXsecret", "verysecretsig", "B0SECRETB", "R0UTINGKEY", signingKey[6:]} {
					if strings.Contains(text, secret) {
						t.Errorf("%s, %d: %q holds %s", name, code, text, secret)
					}
				}
			}
		}
	}
}

func TestAnEndpointThatCanNotBeUsedIsRefusedForGood(t *testing.T) {
	p := hook.New(hook.Config{})
	for _, to := range []hook.Endpoint{
		{},
		{Method: notificationv1.Method_EMAIL, URL: "https://a.example"},
		{Method: notificationv1.Method_SLACK},
		{Method: notificationv1.Method_SLACK, URL: "http://hooks.slack.com/x"},
		{Method: notificationv1.Method_PAGERDUTY},
		{Method: notificationv1.Method_WEBHOOK, URL: "https://a.example"},
		{Method: notificationv1.Method_WEBHOOK, URL: "https://a.example", Secret: "whsec_short"},
	} {
		if f := message.FailureOf(func() error { _, err := p.Send(t.Context(), to, lockdown()); return err }()); !f.Permanent {
			t.Errorf("%+v: %+v", to, f)
		}
	}
}
