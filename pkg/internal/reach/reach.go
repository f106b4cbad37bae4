// Package reach says how a program outside reaches Portcullis over a network.
package reach

import (
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	silence = 3 * time.Second
	// maxBackoff keeps a host from being away for minutes after an outage of minutes.
	maxBackoff = time.Second
)

// Options are how to dial an address: by TLS as the configuration says, or with the system's roots if it is
// nil, for a token goes over a network under TLS only; on a loopback address nil is no TLS at all.
func Options(address string, c *tls.Config) ([]grpc.DialOption, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("reading the address %q, which must be host:port: %w", address, err)
	}
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
		if at := net.ParseIP(host); host == "localhost" || at != nil && at.IsLoopback() {
			c = nil
		}
	}
	transport := insecure.NewCredentials()
	if c != nil {
		transport = credentials.NewTLS(c)
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: silence}),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: silence,
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxBackoff}}),
	}, nil
}
