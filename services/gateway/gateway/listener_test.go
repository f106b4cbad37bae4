package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dialled opens a connection and reports whether it is let in: what is over the limit is closed.
func dialled(t *testing.T, l net.Listener) (c net.Conn, in bool) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, _ := io.ReadFull(c, make([]byte, 1))
	return c, n == 1
}

func TestConnectionsOverTheLimitAreClosedAndPlacesComeBack(t *testing.T) {
	for name, c := range map[string]struct {
		all, each int
		trusted   []string
		want      int
	}{
		"in all":               {3, 100, nil, 3},
		"from one address":     {100, 3, nil, 3},
		"from a trusted proxy": {5, 3, []string{"127.0.0.0/8"}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			trusted, _ := parseProxies(c.trusted)
			l := limit(inner, c.all, c.each, trusted)
			defer l.Close()
			closed := make(chan struct{}, 100)
			go greet(l, closed)
			var open []net.Conn
			for range c.want {
				conn, in := dialled(t, l)
				if !in {
					t.Fatalf("%d of %d were let in", len(open), c.want)
				}
				open = append(open, conn)
			}
			if _, in := dialled(t, l); in {
				t.Error("one more was let in")
			}
			_ = open[0].Close()
			<-closed
			if _, in := dialled(t, l); !in {
				t.Error("the place did not come back")
			}
		})
	}
}

// greet says a byte to whoever is let in, and closes, twice, when they do.
func greet(l net.Listener, closed chan<- struct{}) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = c.Write([]byte{1})
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
			_ = c.Close()
			closed <- struct{}{}
		}()
	}
}

func TestAFloodOfLargeBodiesTakesNoMoreThanItsShareAndNoPlaceOfSmallOnes(t *testing.T) {
	p := open(t)
	share := p.gateway.front.api.(*api).bodies.share
	if !share.TryAcquire(largeBodies) {
		t.Fatal("the share is not whole")
	}
	large := `{"justification":"` + string(make([]byte, small)) + `"}`
	if a := p.call(t, "POST", "/v1/freezes", large); a.status != 429 || a.header.Get("Retry-After") != "1" {
		t.Errorf("a large one: got %d %s", a.status, a.body)
	}
	if a := p.call(t, "POST", "/v1/freezes", `{"duration":"900s"}`); a.status != 200 {
		t.Errorf("a small one: got %d %s", a.status, a.body)
	}
	share.Release(largeBodies)
	if a := p.call(t, "POST", "/v1/freezes", large); a.status != 400 {
		t.Errorf("afterwards: got %d %s", a.status, a.body)
	}
	if !share.TryAcquire(largeBodies) {
		t.Error("a share was not given back")
	}
}

func TestHeadersAreNoLargerThanThirtyTwoKibibytes(t *testing.T) {
	listeners := make(chan net.Listener, 1)
	p := open(t, func(c *Config, d *Deps) {
		c.HTTP, c.GRPC = "127.0.0.1:0", ""
		d.Listen = func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			listeners <- l
			return l, err
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.gateway.Run(ctx) }()
	p.url = "http://" + (<-listeners).Addr().String()
	large, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/v1/posture", nil)
	if err != nil {
		t.Fatal(err)
	}
	large.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	if a, err := http.DefaultTransport.RoundTrip(large); err == nil { // or it is broken off while it is sent
		if _ = a.Body.Close(); a.StatusCode != 431 {
			t.Errorf("64 KiB: got %d", a.StatusCode)
		}
	}
	if a := p.call(t, "GET", "/v1/posture", "", "X-Large", strings.Repeat("x", 16<<10)); a.status != 200 {
		t.Errorf("16 KiB: got %d %s", a.status, a.body)
	}
	if a := p.call(t, "POST", "/plain/apply", "why="+strings.Repeat("x", 64<<10), "Content-Type", "application/x-www-form-urlencoded"); a.status != 400 {
		t.Errorf("a form of the plain panel over 64 KiB: got %d", a.status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
