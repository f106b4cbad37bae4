package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/services/internal/pace"
)

// proxies are the addresses whose X-Forwarded-For is believed.
type proxies []netip.Prefix

func parseProxies(list []string) (proxies, error) {
	var all proxies
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("trusted proxy %q is neither an address nor a network like 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

func (p proxies) trust(address netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(address.Unmap()) {
			return true
		}
	}
	return false
}

// has is trust for an address as text.
func (p proxies) has(text string) bool {
	address, err := netip.ParseAddr(text)
	return err == nil && p.trust(address)
}

// client is the address that a request comes from: the peer's, or what the nearest trusted proxies say.
// Of a chain, the last address that no trusted proxy has is the client's: what stands before it is
// only what the client says.
func (p proxies) client(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	at := peer.Addr().Unmap().WithZone("")
	if !p.trust(at) {
		return at.String()
	}
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(chain) - 1; i >= 0 && p.trust(at); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(chain[i]))
		if err != nil {
			break
		}
		at = before.Unmap().WithZone("")
	}
	return at.String()
}

// strip takes away every header that could pass for one of ours behind the gateway, or that would
// change what a request means. Names come in their canonical form.
func strip(header http.Header) {
	for name := range header {
		for _, prefix := range []string{"Grpc-", "Grpcgateway-", "Portcullis-", "X-Portcullis-", "X-Forwarded-", "X-Http-Method"} {
			if strings.HasPrefix(name, prefix) {
				delete(header, name)
			}
		}
	}
	for _, name := range []string{"Forwarded", "X-Real-Ip", "X-Request-Id", "Cookie", "Te", "X-Method-Override"} {
		delete(header, name)
	}
}

// peerOf is the address at the other end of the connection, without its port.
func peerOf(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().WithZone("").String()
}

// host is an address without its port.
func host(address net.Addr) string {
	text, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	return text
}

// limited is a listener that holds so many connections and no more, in all and from one address, so
// that no stranger takes the last way in. What is over is closed at once: nobody waits in a queue that
// an administrator would have to stand in too.
type limited struct {
	net.Listener
	all, each int
	trusted   proxies

	lock sync.Mutex
	open int
	from map[string]int
}

func limit(l net.Listener, all, each int, trusted proxies) *limited {
	return &limited{Listener: l, all: all, each: each, trusted: trusted, from: map[string]int{}}
}

// Accept answers the next connection that is within the limits.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := host(c.RemoteAddr())
		if l.admit(from) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { l.leave(from) })}, nil
		}
		_ = c.Close() // nothing was said on it
	}
}

func (l *limited) admit(from string) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	network := pace.Network(from)
	if l.open >= l.all || l.from[network] >= l.each && !l.trusted.has(from) {
		return false
	}
	l.open++
	l.from[network]++
	return true
}

func (l *limited) leave(from string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.open--
	network := pace.Network(from)
	if l.from[network]--; l.from[network] == 0 {
		delete(l.from, network)
	}
}

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}

// leaveWithin is how long clients have to give up the connections that they keep. One that asks less often may lose a request.
const leaveWithin = 500 * time.Millisecond

// leave closes connections that clients keep without breaking a request: to close one between two requests is to lose
// the second, for it may be under way. So each answer says that it is its connection's last.
type leave struct {
	http.Handler
	last atomic.Bool

	mu   sync.Mutex
	open int
	none chan struct{} // closed when the last connection is, once somebody waits for it
}

func (l *leave) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.last.Load() {
		w.Header().Set("Connection", "close")
	}
	l.Handler.ServeHTTP(w, r)
}

// count follows a server's connections.
func (l *leave) count(_ net.Conn, s http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch s {
	case http.StateNew:
		l.open++
	case http.StateClosed, http.StateHijacked:
		l.open--
		if l.open == 0 && l.none != nil {
			close(l.none)
			l.none = nil
		}
	}
}

// wait returns when no connection is open any more, or after leaveWithin.
func (l *leave) wait() {
	l.last.Store(true)
	none := make(chan struct{})
	l.mu.Lock()
	if l.open == 0 {
		l.mu.Unlock()
		return
	}
	l.none = none
	l.mu.Unlock()
	select {
	case <-none:
	case <-time.After(leaveWithin):
	}
}
