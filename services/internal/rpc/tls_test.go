package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"portcullis.dev/pkg/fault"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/rpc"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue writes a certificate with these URIs into a folder, with the CA's.
func (a *authority) issue(dir string, uris ...string) rpc.TLSConfig {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, uri := range uris {
		u, err := url.Parse(uri)
		if err != nil {
			a.t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	c := rpc.TLSConfig{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem")}
	for name, data := range map[string][]byte{
		c.Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		c.Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), c.CA: a.pem,
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return c
}

func (a *authority) open(uris ...string) *rpc.TLS {
	a.t.Helper()
	t, err := rpc.OpenTLS(a.issue(a.t.TempDir(), uris...))
	if err != nil {
		a.t.Fatal(err)
	}
	return t
}

// serveTLS runs a gate on a real port.
func (w *world) serveTLS(c credentials.TransportCredentials) (address string) {
	w.t.Helper()
	s := w.server(rpc.Gate, func(config *rpc.Config) { config.Credentials = c })
	(&gate{}).register(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	w.t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String()
}

func members(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	defer conn.Close()
	_, err := gatev1.NewDirectoryClient(conn).ListMembers(as(t, ""), &gatev1.ListMembersRequest{})
	return err
}

func TestServicesKnowEachOtherByTheirCertificates(t *testing.T) {
	w, ca := newWorld(t), newAuthority(t)
	address := w.serveTLS(ca.open("spiffe://portcullis/access-gate").Server())
	dial := func(t *testing.T, as *rpc.TLS, to string) error {
		t.Helper()
		conn, err := as.Dial(to, address)
		if err != nil {
			t.Fatal(err)
		}
		return members(t, conn)
	}
	check(t, fault.Unimplemented, dial(t, ca.open("spiffe://portcullis/emergency-control"), rpc.Gate)) // let in
	check(t, fault.PermissionDenied, dial(t, ca.open("spiffe://portcullis/notifier"), rpc.Gate))
	check(t, fault.PermissionDenied, dial(t, ca.open("spiffe://elsewhere/emergency-control"), rpc.Gate))
	check(t, fault.PermissionDenied, dial(t, ca.open("spiffe://portcullis/emergency-control", "spiffe://portcullis/gateway"), rpc.Gate))
	check(t, fault.PermissionDenied, dial(t, ca.open(), rpc.Gate))
	check(t, fault.Unavailable, dial(t, ca.open("spiffe://portcullis/emergency-control"), rpc.Identity)) // that is not who answers

	stranger := newAuthority(t).issue(t.TempDir(), "spiffe://portcullis/emergency-control")
	stranger.CA = ca.issue(t.TempDir()).CA // trusts the server, and is not trusted by it
	foreign, err := rpc.OpenTLS(stranger)
	if err != nil {
		t.Fatal(err)
	}
	check(t, fault.Unavailable, dial(t, foreign, rpc.Gate))
	plain, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	check(t, fault.Unavailable, members(t, plain))
}

func TestAClientSpeaksWithNoServerOfAnotherCA(t *testing.T) {
	w, ca := newWorld(t), newAuthority(t)
	address := w.serveTLS(newAuthority(t).open("spiffe://portcullis/access-gate").Server())
	conn, err := ca.open("spiffe://portcullis/emergency-control").Dial(rpc.Gate, address)
	if err != nil {
		t.Fatal(err)
	}
	check(t, fault.Unavailable, members(t, conn))
}

func TestANewCertificateCountsFromTheNextConnectionOn(t *testing.T) {
	w := newWorld(t)
	before, after := newAuthority(t), newAuthority(t)
	server, client := t.TempDir(), t.TempDir()
	serverTLS, err := rpc.OpenTLS(before.issue(server, "spiffe://portcullis/access-gate"))
	if err != nil {
		t.Fatal(err)
	}
	clientTLS, err := rpc.OpenTLS(before.issue(client, "spiffe://portcullis/emergency-control"))
	if err != nil {
		t.Fatal(err)
	}
	address := w.serveTLS(serverTLS.Server())
	ask := func() error {
		conn, err := clientTLS.Dial(rpc.Gate, address)
		if err != nil {
			t.Fatal(err)
		}
		return members(t, conn)
	}
	check(t, fault.Unimplemented, ask())
	after.issue(server, "spiffe://portcullis/access-gate")
	check(t, fault.Unavailable, ask())
	after.issue(client, "spiffe://portcullis/emergency-control")
	check(t, fault.Unimplemented, ask())
	if err := os.WriteFile(filepath.Join(server, "cert.pem"), []byte("half a certifi"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, fault.Unimplemented, ask()) // what was good still is

	if _, err := rpc.OpenTLS(rpc.TLSConfig{Cert: filepath.Join(server, "cert.pem"), Key: filepath.Join(server, "key.pem"), CA: filepath.Join(server, "ca.pem")}); err == nil {
		t.Error("a broken certificate was taken at the start")
	}
}

func TestACAIsFollowedByAnotherWithBothAcceptedMeanwhile(t *testing.T) {
	w := newWorld(t)
	before, after := newAuthority(t), newAuthority(t)
	server, client := t.TempDir(), t.TempDir()
	gate, control := "spiffe://portcullis/access-gate", "spiffe://portcullis/emergency-control"
	serverTLS, err := rpc.OpenTLS(before.issue(server, gate))
	if err != nil {
		t.Fatal(err)
	}
	clientTLS, err := rpc.OpenTLS(before.issue(client, control))
	if err != nil {
		t.Fatal(err)
	}
	address := w.serveTLS(serverTLS.Server())
	trust := func(dir string, authorities ...*authority) {
		var all []byte
		for _, a := range authorities {
			all = append(all, a.pem...)
		}
		if err := os.WriteFile(filepath.Join(dir, "ca.pem"), all, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []func(){
		func() {},
		func() { trust(server, before, after) },
		func() { trust(client, before, after) },
		func() { after.issue(server, gate); trust(server, before, after) },
		func() { after.issue(client, control); trust(client, before, after) },
		func() { trust(client, after) },
		func() { trust(server, after) },
	} {
		step()
		conn, err := clientTLS.Dial(rpc.Gate, address)
		if err != nil {
			t.Fatal(err)
		}
		check(t, fault.Unimplemented, members(t, conn)) // they have spoken
	}
}
