package guard_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/pkg/fault"
	"portcullis.dev/pkg/guard"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
)

// site has pages whose handlers never look up, each of which says when it is on its way.
type site struct {
	*httptest.Server
	under   chan context.Context
	release chan struct{}
}

func newSite(t *testing.T, g *guard.Guard) *site {
	t.Helper()
	s := &site{under: make(chan context.Context, 10), release: make(chan struct{})}
	pages := http.NewServeMux()
	pages.HandleFunc("/quick", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("here")) })
	pages.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		s.under <- r.Context()
		<-s.release
	})
	pages.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		s.under <- r.Context()
		<-s.release
		_, _ = fmt.Fprint(w, "data: two\n\n")
	})
	pages.HandleFunc("/download", func(w http.ResponseWriter, r *http.Request) {
		s.under <- r.Context()
		_, _ = io.Copy(w, endless{})
	})
	pages.HandleFunc("/polite", func(_ http.ResponseWriter, r *http.Request) {
		s.under <- r.Context()
		<-r.Context().Done() // and ends as it is cut, with nothing said
	})
	pages.HandleFunc("/tail", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		s.under <- r.Context()
		source, _ := io.Pipe() // of which nothing ever comes
		_, _ = io.Copy(w, source)
	})
	pages.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = buffered.Flush()
		s.under <- r.Context()
		go func() { <-s.release; conn.Close() }() // and the handler is done long before the socket
	})
	pages.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	who := func(r *http.Request) (guard.Caller, error) {
		user := r.Header.Get("User")
		if user == "" {
			return guard.Caller{}, fault.New(fault.Unauthenticated, "Say who you are")
		}
		return guard.Caller{User: user, Device: "orders", Channel: emergency.SessionChannel}, nil
	}
	s.Server = httptest.NewServer(guard.Middleware(g, who)(pages))
	t.Cleanup(func() { close(s.release); s.Server.Close() })
	return s
}

// endless is a download that has no end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func (s *site) get(t *testing.T, path, user string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.Header.Set("User", user)
	}
	a, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Body.Close() })
	return a
}

func text(t *testing.T, a *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// isLockdown checks D3: its status, Retry-After and its very body.
func isLockdown(t *testing.T, a *http.Response) {
	t.Helper()
	body := text(t, a)
	after, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if a.StatusCode != 503 || err != nil || after < 3590 || after > 3600 || a.Header.Get("Content-Encoding") != "" {
		t.Errorf("%d, %v", a.StatusCode, a.Header)
	}
	var got struct {
		Response struct {
			Status              int
			Mensagem, Message   string
			Erro, Error         bool
			Cod_erro, ErrorCode int
			Error_code          int
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || !strings.HasPrefix(body, `{"response":{"status":503,"mensagem":"Acme is under Lockdown until `) ||
		got.Response.Mensagem != got.Response.Message || got.Response.Cod_erro != 100 || got.Response.Error_code != 100 {
		t.Errorf("%s: %v", body, err)
	}
}

func TestAtAnHTTPDoorALockdownIsD3AndAllElseIsJSON(t *testing.T) {
	gate := newGate(t)
	s := newSite(t, newGuard(t, gate))
	if a := s.get(t, "/quick", "alice"); a.StatusCode != 200 || text(t, a) != "here" {
		t.Fatal(a.Status)
	}
	if a := s.get(t, "/quick", ""); a.StatusCode != 401 || !strings.Contains(text(t, a), `"code":"UNAUTHENTICATED"`) {
		t.Errorf("nobody in particular gets %s", a.Status)
	}
	if a := s.get(t, "/quick", "mallory"); a.StatusCode != 403 || !strings.Contains(text(t, a), `"code":"PERMISSION_DENIED"`) {
		t.Errorf("who has no access gets %s", a.Status)
	}
	gate.untilHeld(gate.change(func(b *emergency.Builder) {
		b.PutEmergency(gate.emergency("F-1", emergencyv1.Emergency_FREEZE))
	}))
	if a := s.get(t, "/quick", "alice"); a.StatusCode != 403 || !strings.Contains(text(t, a), `"reason":"FROZEN"`) {
		t.Errorf("a freeze is %s", a.Status)
	}
	gate.untilHeld(gate.lockdown("L-1"))
	isLockdown(t, s.get(t, "/quick", "alice"))
}

func TestWhatGoesOnIsEndedInItsOwnProtocolWhateverItsHandlerDoes(t *testing.T) {
	gate := newGate(t)
	s := newSite(t, newGuard(t, gate))
	silent := make(chan *http.Response, 1)
	go func() { silent <- s.get(t, "/silent", "alice") }()
	under := []context.Context{<-s.under}
	events, download := s.get(t, "/events", "alice"), s.get(t, "/download", "alice")
	under = append(under, <-s.under, <-s.under)
	socket := s.socket(t)
	under = append(under, <-s.under)
	if n, err := io.CopyN(io.Discard, download.Body, 1<<20); err != nil {
		t.Fatal(n, err)
	}

	gate.untilHeld(gate.lockdown("L-1"))
	isLockdown(t, <-silent)
	said, err := io.ReadAll(events.Body)
	if !strings.HasPrefix(string(said), "data: one\n\n\n\nevent: portcullis\ndata: {\"response\":{\"status\":503,") || err == nil {
		t.Errorf("the events end with %q, %v", said, err)
	}
	if _, err := io.Copy(io.Discard, download.Body); err == nil {
		t.Error("the download ends as if it were whole")
	}
	code, why := readClose(t, socket)
	if code != 1008 || !strings.Contains(why, "Acme") || !strings.Contains(why, "until") {
		t.Errorf("the socket is closed with %d %q", code, why)
	}
	if _, err := socket.ReadByte(); err == nil {
		t.Error("the socket goes on")
	}
	for _, ctx := range under {
		<-ctx.Done()
	}
	isLockdown(t, s.get(t, "/events", "alice"))
}

func TestAHandlerThatEndsAsItIsCutLeavesTheRefusal(t *testing.T) {
	gate := newGate(t)
	s := newSite(t, newGuard(t, gate))
	all := make(chan *http.Response, 20)
	for range cap(all) {
		go func() { all <- s.get(t, "/polite", "alice") }()
	}
	for range cap(all) {
		<-s.under
	}
	gate.untilHeld(gate.lockdown("L-1"))
	for range cap(all) {
		isLockdown(t, <-all)
	}
	if a := s.get(t, "/quick", "root"); a.StatusCode != 503 { // on a device, an administrator is somebody like all others
		t.Errorf("afterwards root gets %s", a.Status)
	}
}

func TestASilentSourceKeepsNothingAlive(t *testing.T) {
	gate := newGate(t)
	s := newSite(t, newGuard(t, gate))
	tail := s.get(t, "/tail", "alice")
	<-s.under
	gate.untilHeld(gate.lockdown("L-1"))
	if _, err := io.ReadAll(tail.Body); err == nil {
		t.Error("it ends as if it were whole")
	}
}

func TestAHandlersPanicIsTheServers(t *testing.T) {
	s := newSite(t, newGuard(t, newGate(t)))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/panic", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User", "alice")
	if a, err := s.Client().Do(r); err == nil {
		a.Body.Close()
		t.Errorf("answered %s", a.Status)
	}
}

func (s *site) socket(t *testing.T) *bufio.Reader {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_, _ = fmt.Fprint(conn, "GET /socket HTTP/1.1\r\nHost: x\r\nUser: alice\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	a, err := http.ReadResponse(in, nil)
	if err != nil || a.StatusCode != 101 {
		t.Fatal(a, err)
	}
	return in
}

func readClose(t *testing.T, in *bufio.Reader) (code uint16, why string) {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil || head[0] != 0x88 {
		t.Fatal(head, err)
	}
	body := make([]byte, head[1])
	if _, err := io.ReadFull(in, body); err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint16(body), string(body[2:])
}
