package prepare

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"time"

	"portcullis.dev/services/internal/run"
)

// The files of a set with a certificate, named as Kubernetes and cert-manager name them.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	caFile   = "ca.crt"

	authorityName = "ca"

	authorityFor   = 10 * 365 * 24 * time.Hour
	certificateFor = 365 * 24 * time.Hour
	early          = time.Hour // clocks differ
)

// certificates are those of all services and of the servers, signed by one CA of their own.
type certificates struct {
	shelf shelf
	set   func(name string) string // where a certificate stands
	dns   map[string][]string      // host names of servers that aren't ours: nats, redis
	now   time.Time
}

// make makes what is missing, anew what has less than a third of its life before it, and nothing else.
func (c certificates) make(ctx context.Context) error {
	ca, err := c.authority(ctx)
	if err != nil {
		return err
	}
	names := append(run.Services(), "bootstrap")
	for name := range c.dns {
		names = append(names, name)
	}
	for _, name := range names {
		files, err := c.shelf.read(ctx, c.set(name))
		if err != nil {
			return err
		}
		if ca.good(files, c.dns[name], c.now) {
			continue
		}
		if files, err = ca.issue(name, c.dns[name], c.now); err != nil {
			return fmt.Errorf("signing the certificate of %s: %w", name, err)
		}
		if err := c.shelf.write(ctx, c.set(name), files); err != nil {
			return err
		}
	}
	return nil
}

func (c certificates) authority(ctx context.Context) (*authority, error) {
	files, err := c.shelf.read(ctx, authorityName)
	if err != nil {
		return nil, err
	}
	if files == nil {
		if files, err = newAuthority(c.now); err != nil {
			return nil, fmt.Errorf("making the CA: %w", err)
		}
		if err := c.shelf.write(ctx, authorityName, files); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(files[certFile], files[keyFile])
	if err != nil {
		return nil, fmt.Errorf("reading the CA (%s and %s in %q; put them back from your backup): %w", certFile, keyFile, authorityName, err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("reading the CA: its key cannot sign")
	}
	return &authority{certificate: pair.Leaf, key: key, pem: files[certFile]}, nil
}

// authority signs.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	pem         []byte
}

func newAuthority(now time.Time) (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := template("Portcullis", now, authorityFor)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return signed(template, template, key, key)
}

func template(name string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-early), NotAfter: now.Add(life)}, err
}

// issue makes the certificate of a service, by its URI, or of a server, by its host names too.
func (a *authority) issue(name string, hosts []string, now time.Time) (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := template(name, now, certificateFor)
	if err != nil {
		return nil, err
	}
	template.URIs = []*url.URL{{Scheme: "spiffe", Host: "portcullis", Path: "/" + name}}
	template.DNSNames, template.KeyUsage = hosts, x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	files, err := signed(template, a.certificate, key, a.key)
	if err == nil {
		files[caFile] = a.pem
	}
	return files, err
}

func signed(template, parent *x509.Certificate, key *ecdsa.PrivateKey, by crypto.Signer) (map[string][]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		certFile: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyFile:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}

// good reports whether a set is this CA's, whole, for these hosts, and young enough.
func (a *authority) good(files map[string][]byte, hosts []string, now time.Time) bool {
	pair, err := tls.X509KeyPair(files[certFile], files[keyFile])
	if err != nil || !bytes.Equal(files[caFile], a.pem) || pair.Leaf.CheckSignatureFrom(a.certificate) != nil {
		return false
	}
	for _, host := range hosts {
		if !slices.Contains(pair.Leaf.DNSNames, host) {
			return false
		}
	}
	return pair.Leaf.NotAfter.Sub(now) > pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore)/3
}
