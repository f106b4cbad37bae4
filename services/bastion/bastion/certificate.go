package bastion

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"portcullis.dev/services/bastion/postgres"
)

// postgres is how PostgreSQL is served by these settings.
func (s Settings) postgres() (postgres.Config, error) {
	c := postgres.Config{Dir: filepath.Join(s.Data, "backends"), Plain: s.PostgresPlain}
	if s.Postgres == "" {
		return c, nil
	}
	if s.PostgresPlain && !loopback(s.Postgres) {
		return c, fmt.Errorf("reading the bastion's configuration: postgres-plain is for a loopback address, and postgres is %s: people's passwords would pass in plain", s.Postgres)
	}
	if (s.PostgresCert == "") != (s.PostgresKey == "") {
		return c, errors.New("reading the bastion's configuration: postgres-cert and postgres-key go together")
	}
	if s.PostgresCert == "" {
		s.PostgresCert, s.PostgresKey = filepath.Join(s.Data, "bastion", "postgres.crt"), filepath.Join(s.Data, "bastion", "postgres.key")
		if err := makeCertificate(s.PostgresCert, s.PostgresKey); err != nil {
			return c, fmt.Errorf("making a certificate for PostgreSQL: %w", err)
		}
	}
	var err error
	c.TLS, err = shown(s.PostgresCert, s.PostgresKey)
	return c, err
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// shown reads the files for each connection, for they are renewed; while that goes on, what they said before.
func shown(cert, key string) (*tls.Config, error) {
	first, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate %s and its key %s: %w", cert, key, err)
	}
	last := new(atomic.Pointer[tls.Certificate])
	last.Store(&first)
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if now, err := tls.LoadX509KeyPair(cert, key); err == nil {
			last.Store(&now)
		}
		return last.Load(), nil
	}}, nil
}

// makeCertificate makes one at the first start that nobody but its own file vouches for.
func makeCertificate(cert, key string) error {
	if _, err := os.Stat(cert); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Portcullis bastion"},
		DNSNames: []string{"localhost", name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	// The certificate last: when it is there, so is its key.
	if err := writeWhole(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	return writeWhole(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}
