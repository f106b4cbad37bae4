package stack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// authority signs the certificates of one stack.
type authority struct {
	folder      string
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	serial      int64
	addresses   []net.IP // that certificates are good for, beside loopback
}

// holds has every certificate hold at an address.
func (a *authority) holds(host string) { a.addresses = append(a.addresses, net.ParseIP(host)) }

func newAuthority(folder string) (*authority, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{folder: folder, key: key, serial: 1}
	template := a.template("Portcullis e2e")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, a.write("ca.pem", "CERTIFICATE", der)
}

func (a *authority) template(name string) *x509.Certificate {
	a.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// issue writes name.pem and name.key: of a service by its URI, of a server at this machine's loopback too.
func (a *authority) issue(name string) error {
	if _, err := os.Stat(a.file(name + ".pem")); err == nil {
		return nil // a replica has it already
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := a.template(name)
	template.URIs = []*url.URL{{Scheme: "spiffe", Host: "portcullis", Path: "/" + name}}
	template.DNSNames, template.IPAddresses = []string{"localhost"}, append([]net.IP{net.IPv4(127, 0, 0, 1)}, a.addresses...)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := a.write(name+".key", "PRIVATE KEY", private); err != nil {
		return err
	}
	return a.write(name+".pem", "CERTIFICATE", der)
}

func (a *authority) write(file, kind string, der []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(a.folder, file), text, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

// Authority is the folder of the certificates.
func (s *Stack) Authority() string { return s.authority.folder }

// ServerTLS is for a server of our own making that asks for certificates as the services do.
func ServerTLS(authority, as string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(authority, as+".pem"), filepath.Join(authority, as+".key"))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(authority, "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, NextProtos: []string{"h2"},
	}, nil
}

func (a *authority) file(name string) string { return filepath.Join(a.folder, name) }

// Peer is the TLS of one who has a service's certificate, for speaking with another service: what the
// benchmark needs to reach a service without the gateway in between.
func (s *Stack) Peer(as string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(s.authority.file(as+".pem"), s.authority.file(as+".key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.authority.certificate)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13}, nil
}
