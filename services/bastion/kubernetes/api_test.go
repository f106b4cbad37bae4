package kubernetes

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1" // #nosec G505 -- as RFC 6455 has it
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

const apiToken = "the-service-account's" // what nobody but the proxy has

// api stands for an API server: its HTTP contract, with one Pod in it.
type api struct {
	t       testing.TB
	server  *httptest.Server
	ca      string
	events  chan string  // what a watch shows next
	lines   chan string  // what a log shows next
	gone    chan string  // paths whose peer has gone
	streams atomic.Int32 // of SPDY that are open

	mu     sync.Mutex
	asked  []*http.Request
	typed  bytes.Buffer
	answer func(http.ResponseWriter, *http.Request) bool // true: it has answered
}

func newAPI(t testing.TB) *api {
	t.Helper()
	a := &api{t: t, events: make(chan string, 100), lines: make(chan string, 100), gone: make(chan string, 100)}
	a.server = httptest.NewUnstartedServer(a)
	a.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	a.server.StartTLS()
	t.Cleanup(func() { a.server.CloseClientConnections(); a.server.Close() })
	a.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw}))
	return a
}

func (a *api) device(name string) *gatev1.Device {
	u, err := url.Parse(a.server.URL)
	must(a.t, err)
	port, err := strconv.Atoi(u.Port())
	must(a.t, err)
	return &gatev1.Device{Name: name, Host: u.Hostname(), Port: uint32(port), Protocol: gatev1.Protocol_KUBERNETES, ServerCa: a.ca, CredentialSet: true}
}

func (a *api) credential() *gatev1.Credential {
	return &gatev1.Credential{Username: "bastion", Password: apiToken}
}

// last is the newest request whose path ends so.
func (a *api) last(suffix string) *http.Request {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.asked) - 1; i >= 0; i-- {
		if strings.HasSuffix(a.asked[i].URL.Path, suffix) {
			return a.asked[i]
		}
	}
	a.t.Fatalf("nobody has asked for …%s", suffix)
	return nil
}

func (a *api) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

func (a *api) stdin() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.typed.String()
}

const (
	pods = "/api/v1/namespaces/default/pods"
	pod  = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","namespace":"default","resourceVersion":"7"},` +
		`"spec":{"containers":[{"name":"web","image":"web","stdin":true}]},"status":{"phase":"Running"}}`
	event = `{"type":"ADDED","object":` + pod + "}\n"
)

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked = append(a.asked, r.Clone(r.Context()))
	answer := a.answer
	a.mu.Unlock()
	known := r.Header.Get("Authorization") == "Bearer "+apiToken || len(r.TLS.PeerCertificates) > 0
	switch {
	case !known:
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case answer != nil && answer(w, r):
	case r.Header.Get("Upgrade") == "SPDY/3.1":
		a.speakSPDY(w, r)
	case r.Header.Get("Upgrade") != "":
		a.speakWebSocket(w, r)
	case r.URL.Query().Get("watch") != "":
		a.stream(w, r, "application/json", a.events)
	case strings.HasSuffix(r.URL.Path, "/log"):
		a.stream(w, r, "text/plain", a.lines)
	default:
		a.object(w, r)
	}
}

func (a *api) object(w http.ResponseWriter, r *http.Request) {
	body, ok := map[string]string{
		"/api":         `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis":        `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
		"/api/v1":      `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get","list","watch","create"],"shortNames":["po"]}]}`,
		pods:           `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[` + pod + `]}`,
		pods + "/web":  pod,
		"/version":     `{"major":"1","minor":"36","gitVersion":"v1.36.3"}`,
		"/a b/c%2Fd/é": `{"odd":true}`,
	}[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

// stream shows what comes, until the peer goes.
func (a *api) stream(w http.ResponseWriter, r *http.Request, kind string, comes <-chan string) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(http.StatusOK)
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case text := <-comes:
			_, _ = io.WriteString(w, text)
		case <-r.Context().Done():
			a.gone <- r.URL.Path
			return
		}
	}
}

func (a *api) hijack(w http.ResponseWriter, head string) (net.Conn, *bufio.ReadWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		a.t.Error(err)
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+head+"\r\n")
	return conn, rw
}

// speakWebSocket answers on standard output what comes in on standard input.
func (a *api) speakWebSocket(w http.ResponseWriter, r *http.Request) {
	protocol, _, _ := strings.Cut(r.Header.Get("Sec-Websocket-Protocol"), ",")
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, rw := a.hijack(w, fmt.Sprintf("Upgrade: websocket\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n", base64.StdEncoding.EncodeToString(sum[:]), protocol))
	defer func() { _ = conn.Close(); a.gone <- r.URL.Path }()
	if r.URL.Query().Get("command") == "flood" {
		for err := error(nil); err == nil; {
			_, err = conn.Write(frame(opBinary, append([]byte{1}, bytes.Repeat([]byte("flood\n"), 5000)...)))
		}
		return
	}
	for {
		op, payload, err := readFrame(rw)
		if err != nil || op == opClose {
			return
		}
		if op == 0x9 {
			_, _ = conn.Write(frame(0xa, payload))
		}
		if op == opBinary && len(payload) > 1 && payload[0] == 0 {
			a.mu.Lock()
			a.typed.Write(payload[1:])
			a.mu.Unlock()
			_, _ = conn.Write(frame(opBinary, append([]byte{1}, payload[1:]...)))
		}
	}
}

func (a *api) speakSPDY(w http.ResponseWriter, r *http.Request) {
	conn, rw := a.hijack(w, "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n")
	defer func() { _ = conn.Close(); a.gone <- r.URL.Path }()
	_, _ = io.WriteString(conn, "\x00\x00\x00\x05\x00\x00\x00\x05hello")
	var headers bytes.Buffer
	compressed := zlib.NewWriter(&headers)
	for {
		frame := make([]byte, 8)
		if _, err := io.ReadFull(rw, frame); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(frame[4:])&0xffffff)
		if _, err := io.ReadFull(rw, payload); err != nil {
			return
		}
		if binary.BigEndian.Uint32(frame) != 0x80030001 { // a stream is opened, which wants to hear so
			continue
		}
		headers.Reset()
		_, _ = compressed.Write(make([]byte, 4))
		_ = compressed.Flush()
		reply := binary.BigEndian.AppendUint32([]byte{0x80, 3, 0, 2}, uint32(4+headers.Len()))
		_, _ = conn.Write(append(append(reply, payload[:4]...), headers.Bytes()...))
		a.streams.Add(1)
	}
}

// readFrame reads one, masked or not.
func readFrame(r io.Reader) (op byte, payload []byte, err error) {
	header := make([]byte, 2, 14)
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, nil, err
	}
	rest := make([]byte, headerLength(header)-2)
	if _, err := io.ReadFull(r, rest); err != nil {
		return 0, nil, err
	}
	length, mask := int(header[1]&0x7f), []byte(nil)
	if header[1]&0x80 != 0 {
		rest, mask = rest[:len(rest)-4], rest[len(rest)-4:]
	}
	if len(rest) == 2 {
		length = int(binary.BigEndian.Uint16(rest))
	} else if len(rest) == 8 {
		length = int(binary.BigEndian.Uint64(rest))
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(r, payload)
	for i := range payload {
		if mask != nil {
			payload[i] ^= mask[i%4]
		}
	}
	return header[0] & 0xf, payload, err
}

// wire is an upgraded connection of a person's.
type wire struct {
	t    testing.TB
	conn *tls.Conn
	r    *bufio.Reader
}

// upgrade goes on in another protocol; 101 or the answer.
func (w *world) upgrade(user, path string, headers ...string) (*wire, *http.Response) {
	w.t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(w.address, "https://"), &tls.Config{RootCAs: w.roots})
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.NetConn().Close() })
	must(w.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	request := w.request(user, path, func(r *http.Request) {
		r.Header.Set("Connection", "Upgrade")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
	})
	must(w.t, request.Write(conn))
	r := bufio.NewReader(conn)
	answer, err := http.ReadResponse(r, request)
	must(w.t, err)
	return &wire{w.t, conn, r}, answer
}

// exec runs a command over WebSocket.
func (w *world) exec(user, query string) *wire {
	w.t.Helper()
	conn, answer := w.upgrade(user, "/prod"+pods+"/web/exec?"+query, "Upgrade", "websocket", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "13",
		"Sec-WebSocket-Protocol", "v5.channel.k8s.io")
	if answer.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatalf("exec is answered by %s", answer.Status)
	}
	return conn
}

// types sends what a person types.
func (c *wire) types(text string) {
	c.t.Helper()
	payload := append([]byte{0}, text...)
	f := frame(opBinary, payload)
	f[1] |= 0x80
	f = append(f[:len(f)-len(payload)], append([]byte{0, 0, 0, 0}, payload...)...) // a mask that changes nothing
	_, err := c.conn.Write(f)
	must(c.t, err)
}

// reads reads the next message.
func (c *wire) reads() (op byte, payload []byte) {
	c.t.Helper()
	op, payload, err := readFrame(c.r)
	must(c.t, err)
	return op, payload
}

// shows waits for a message on standard output.
func (c *wire) shows(text string) {
	c.t.Helper()
	if op, payload := c.reads(); op != opBinary || string(payload) != "\x01"+text {
		c.t.Fatalf("got %d %q", op, payload)
	}
}

// isTold reads on to the message on the error channel, and to the end behind it.
func (c *wire) isTold() status {
	c.t.Helper()
	for {
		op, payload := c.reads()
		if op != opBinary || len(payload) == 0 || payload[0] != errorChannel {
			continue
		}
		s := status{}
		must(c.t, json.Unmarshal(payload[1:], &s))
		if op, payload = c.reads(); op != opClose || binary.BigEndian.Uint16(payload) != closeNormal {
			c.t.Errorf("the end is %d %q", op, payload)
		}
		if n, err := io.Copy(io.Discard, c.r); n > 0 || err != nil {
			c.t.Errorf("after the end come %d bytes, %v", n, err)
		}
		return s
	}
}

func pool(t testing.TB, ca []byte) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(ca) {
		t.Fatal("no certificate")
	}
	return p
}
