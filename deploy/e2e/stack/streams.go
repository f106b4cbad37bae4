package stack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// FillStreams lets no stream take anything more, save for these: each may be as large as it is now.
func (s *Stack) FillStreams(but ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := s.bootstrap()
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields("EMERGENCY IDENTITY IDENTITY_SECRET DIRECTORY CREDENTIAL NOTIFICATION OUTBOX SESSION ATTEMPT EVENT") {
		if slices.Contains(but, name) {
			continue
		}
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("asking about %s: %w", name, err)
		}
		info := stream.CachedInfo()
		info.Config.MaxBytes, info.Config.Discard = max(1, int64(info.State.Bytes)), jetstream.DiscardNew
		if _, err := js.UpdateStream(ctx, info.Config); err != nil {
			return fmt.Errorf("filling %s: %w", name, err)
		}
	}
	return nil
}

// bootstrap connects as the one who may change streams.
func (s *Stack) bootstrap() (*nats.Conn, error) {
	certificate, err := tls.LoadX509KeyPair(s.authority.file("bootstrap.pem"), s.authority.file("bootstrap.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(s.authority.file("ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return nats.Connect("tls://"+s.Nats, nats.UserInfo("bootstrap", s.passwords["bootstrap"]), nats.CustomInboxPrefix("_INBOX.bootstrap"),
		nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, RootCAs: roots}))
}
