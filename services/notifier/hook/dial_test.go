package hook_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	notificationv1 "portcullis.dev/proto/portcullis/notification/v1"
	"portcullis.dev/services/notifier/hook"
	"portcullis.dev/services/notifier/message"
)

// names is a DNS server on loopback, whose answers may change from one question to the next.
type names struct {
	mu      sync.Mutex
	answers []netip.Addr
	asked   int
}

func (n *names) say(addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers = nil
	for _, text := range addresses {
		n.answers = append(n.answers, netip.MustParseAddr(text))
	}
}

func (n *names) answer(t *testing.T, question []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		t.Errorf("a question that can't be read: %v", err)
		return nil
	}
	n.asked++
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if len(n.answers) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, addr := range n.answers {
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		if q.Type == dnsmessage.TypeA && addr.Is4() {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		}
		if q.Type == dnsmessage.TypeAAAA && addr.Is6() {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	out, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return out
}

// serve answers the resolver that asks this server.
func (n *names) serve(t *testing.T) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			size, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(n.answer(t, buffer[:size]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

// poster answers one that finds its receivers by these names, and the port of a server that has the name example.com.
func (n *names) poster(t *testing.T, server *httptest.Server, allowed ...netip.Prefix) (*hook.Poster, string) {
	t.Helper()
	roots := x509.NewCertPool()
	if server.Certificate() != nil {
		roots.AddCert(server.Certificate())
	}
	p := hook.New(hook.Config{Roots: roots, Resolver: n.serve(t), Allowed: allowed})
	t.Cleanup(p.Close)
	return p, server.Listener.Addr().(*net.TCPAddr).AddrPort().String()[len("127.0.0.1"):]
}

func send(t *testing.T, p *hook.Poster, url string) *message.Failure {
	t.Helper()
	_, err := p.Send(t.Context(), hook.Endpoint{Method: notificationv1.Method_SLACK, URL: url}, lockdown())
	if err == nil {
		return nil
	}
	return message.FailureOf(err)
}

func TestANameThatLeadsInsideIsRefusedWhenItIsDialled(t *testing.T) {
	server := receive(t, ok)
	n := new(names)
	p, port := n.poster(t, server.Server)
	for _, addr := range []string{"127.0.0.1", "::ffff:127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "64:ff9b::7f00:1", "fe80::1", "224.0.0.1"} {
		n.say(addr)
		f := send(t, p, "https://example.com"+port+"/x")
		if f == nil || !f.Permanent || !strings.Contains(f.Reason, "was not called") {
			t.Errorf("%s: %+v", addr, f)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(server.all()) != 0 || n.asked == 0 {
		t.Errorf("the receiver inside got %v; %d names were looked up", server.all(), n.asked)
	}
}

func TestANameThatTurnsInsideAfterItWasCheckedIsRefused(t *testing.T) {
	server := receive(t, ok)
	n := new(names)
	p, port := n.poster(t, server.Server)
	url := "https://example.com" + port + "/x"
	n.say("93.184.215.14") // what a check at the form's time would see
	if err := p.CheckURL(url); err != nil {
		t.Fatal(err)
	}
	n.say("127.0.0.1")
	if f := send(t, p, url); f == nil || !f.Permanent {
		t.Errorf("%+v", f)
	}
	n.say("127.0.0.1", "10.0.0.1", "::1")
	if f := send(t, p, url); f == nil || !f.Permanent {
		t.Errorf("%+v", f)
	}
	if len(server.all()) != 0 {
		t.Errorf("the receiver inside got %v", server.all())
	}
}

func TestANameInAnAllowedNetworkIsCalled(t *testing.T) {
	server := receive(t, ok)
	n := new(names)
	n.say("127.0.0.1")
	p, port := n.poster(t, server.Server, loopback()...)
	if f := send(t, p, "https://example.com"+port+"/x"); f != nil {
		t.Errorf("%+v", f)
	}
	plain := httptest.NewServer(http.HandlerFunc(ok))
	t.Cleanup(plain.Close)
	p, port = n.poster(t, plain, loopback()...)
	if f := send(t, p, "http://example.com"+port+"/x"); f != nil {
		t.Errorf("%+v", f)
	}
	n.say("93.184.215.14") // http never goes out, whatever is allowed
	if f := send(t, p, "http://example.org"+port+"/x"); f == nil || !f.Permanent {
		t.Errorf("%+v", f)
	}
}

func TestANameThatDoesNotExistIsTriedAgain(t *testing.T) {
	server := receive(t, ok)
	n := new(names)
	p, port := n.poster(t, server.Server)
	f := send(t, p, "https://example.com"+port+"/x")
	if f == nil || f.Permanent || !f.Server || !strings.Contains(f.Reason, "no such host") {
		t.Errorf("%+v", f)
	}
}

// net/http reads the environment once in a process's life, so that this takes a process of its own.
func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	const child = "HOOK_TEST_BEHIND_A_PROXY"
	if os.Getenv(child) != "" {
		postBehindAProxy(t)
		return
	}
	asked := make(chan string, 100)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(proxy.Close)
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), child+"=1", "HTTPS_PROXY="+proxy.URL, "https_proxy="+proxy.URL, "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) || len(asked) != 0 {
		t.Errorf("%v; the proxy was asked %d times\n%s", err, len(asked), out)
	}
}

func postBehindAProxy(t *testing.T) {
	server := receive(t, ok)
	n := new(names)
	n.say("127.0.0.1")
	p, port := n.poster(t, server.Server, loopback()...)
	if f := send(t, p, "https://example.com"+port+"/x"); f != nil || len(server.all()) != 1 {
		t.Errorf("%+v", f)
	}
}

// Only a dial that really happens can tell: a literal address passes by the form.
func TestALiteralAddressInsideIsRefusedWithoutAConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := hook.New(hook.Config{})
	if f := send(t, p, "https://"+listener.Addr().String()+"/x"); f == nil || !f.Permanent {
		t.Errorf("%+v", f)
	}
	listener.Close()
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it was connected to: %v", err)
	}
}
