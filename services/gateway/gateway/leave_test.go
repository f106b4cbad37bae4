package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestAClientThatKeepsItsConnectionLosesNoRequestWhenTheGatewayLeaves(t *testing.T) {
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
	url := "http://" + (<-listeners).Addr().String() + "/healthz"
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	ask := func() *http.Response {
		t.Helper()
		r, err := client.Post(url, "application/json", http.NoBody) // which no client repeats by itself
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		return r
	}
	if ask().Close {
		t.Error("a connection is closed for no reason")
	}
	began := time.Now()
	stop()
	for !ask().Close { // until the gateway knows
		if time.Since(began) > leaveWithin {
			t.Fatal("nobody is told")
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > leaveWithin {
		t.Errorf("it left after %v, though nobody had a connection any more", took)
	}
}
