package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc/credentials"
)

// trustDomain is where our services' names live: spiffe://portcullis/<service>.
const trustDomain = "portcullis"

// TLSConfig names the files of a service's certificate, in PEM.
type TLSConfig struct {
	// Cert and Key are the service's own, CA signs everybody's.
	Cert, Key, CA string
}

// TLS is mutual TLS between services: whoever is on the other end is named by the certificate's URI.
// The files are read at each handshake, so that a new certificate counts from the next one on.
type TLS struct {
	config TLSConfig
	mu     sync.Mutex
	last   *material
}

type material struct {
	certificate tls.Certificate
	roots       *x509.CertPool
}

// OpenTLS reads the files.
func OpenTLS(c TLSConfig) (*TLS, error) {
	t := &TLS{config: c}
	m, err := c.read()
	if err != nil {
		return nil, fmt.Errorf("reading the certificate %s, its key %s and the CA %s: %w", c.Cert, c.Key, c.CA, err)
	}
	t.last = m
	return t, nil
}

func (c TLSConfig) read() (*material, error) {
	certificate, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("no certificate in the CA's file")
	}
	return &material{certificate, roots}, nil
}

// material is what the files say now; while they are being replaced, what they said before.
func (t *TLS) material() *material {
	m, err := t.config.read()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.last = m
	}
	return t.last
}

// Server is for a server: it asks every client for a certificate of ours.
func (t *TLS) Server() credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		m := t.material()
		return &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{m.certificate},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: m.roots}, nil
	}})
}

// Client is for a client of one service: it speaks with nobody else.
func (t *TLS) Client(service string) credentials.TransportCredentials {
	return credentials.NewTLS(t.client(func(leaf *x509.Certificate, _ string) error {
		if name := serviceIn(leaf); name != service {
			return fmt.Errorf("this is %q, not %s", name, service)
		}
		return nil
	}))
}

// Config is for a client of servers that aren't ours, known by their host names: the journal's. Those that
// are dialled by an IP address are named here, for TLS does not tell which one it was.
func (t *TLS) Config(hosts ...string) *tls.Config {
	return t.client(func(leaf *x509.Certificate, host string) error {
		if host != "" {
			return leaf.VerifyHostname(host)
		}
		err := errors.New("the server was dialled by an address that nobody named")
		for _, ip := range hosts {
			if net.ParseIP(ip) == nil {
				continue
			}
			if err = leaf.VerifyHostname(ip); err == nil {
				return nil
			}
		}
		return err
	})
}

// client verifies by itself, against the CA as it is now: crypto/tls would keep the one it was given.
func (t *TLS) client(verify func(leaf *x509.Certificate, host string) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, // #nosec G402 -- VerifyConnection does it, by name of service
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &t.material().certificate, nil
		},
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("no certificate")
			}
			between := x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				between.AddCert(c)
			}
			if _, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: t.material().roots, Intermediates: between}); err != nil {
				return err
			}
			return verify(s.PeerCertificates[0], s.ServerName)
		},
	}
}

// serviceIn is the service that a verified certificate names; empty unless it names exactly one.
func serviceIn(c *x509.Certificate) string {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != "spiffe" || c.URIs[0].Host != trustDomain {
		return ""
	}
	return strings.TrimPrefix(c.URIs[0].Path, "/")
}
