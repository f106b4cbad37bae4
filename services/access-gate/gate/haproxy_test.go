package gate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestHAProxysTokenGoesOverANetworkUnderTLSOnly(t *testing.T) {
	for _, wrong := range []Settings{
		{SPOE: "0.0.0.0:9095"}, {SPOE: ":9095"}, {SPOE: "192.0.2.7:9095"}, {SPOE: "gate.example.com:9095"}, {SPOE: "9095"},
		{SPOE: "127.0.0.1:9095", Cert: "tls.crt"}, {SPOE: "127.0.0.1:9095", Key: "tls.key"},
	} {
		if _, err := wrong.listener(net.Listen); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
	if open, err := (Settings{}).listener(net.Listen); open != nil || err != nil {
		t.Errorf("without an address it serves nowhere; got %v", err)
	}
	for _, right := range []Settings{{SPOE: "127.0.0.1:0"}, {SPOE: "localhost:0"}, {SPOE: "[::1]:9095"}, {SPOE: "0.0.0.0:9095", Cert: "tls.crt", Key: "tls.key"}} {
		if _, err := right.listener(net.Listen); err != nil {
			t.Errorf("%+v: %v", right, err)
		}
	}
}

func TestHAProxyIsShownTheCertificateThatIsThereNow(t *testing.T) {
	s := Settings{SPOE: "127.0.0.1:0", Cert: filepath.Join(t.TempDir(), "tls.crt"), Key: filepath.Join(t.TempDir(), "tls.key")}
	open, err := s.listener(net.Listen)
	if err != nil {
		t.Fatal(err)
	}
	l, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = conn.(*tls.Conn).Handshake(); _ = conn.Close() }()
		}
	}()
	for range 2 {
		roots := certify(t, s)
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "gate.test"})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
}

// certify writes a new certificate, and answers who trusts it.
func certify(t *testing.T, s Settings) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"gate.test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, text := range map[string][]byte{s.Cert: text, s.Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}
