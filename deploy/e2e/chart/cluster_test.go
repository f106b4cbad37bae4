//go:build chart

package chart_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const token = "a-token-of-a-pod"

// cluster keeps Secrets as Kubernetes's API does, for the Job that makes them.
type cluster struct {
	ca   string
	mu   sync.Mutex
	kept map[string]corev1.Secret
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"kubernetes.default.svc"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:443")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{kept: map[string]corev1.Secret{}, ca: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: c, ReadHeaderTimeout: time.Minute},
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return c
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, ok := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/"+namespace+"/secrets")
	if !ok || r.Header.Get("Authorization") != "Bearer "+token {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Method == http.MethodGet {
		secret, ok := c.kept[strings.TrimPrefix(name, "/")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(secret)
		return
	}
	var secret corev1.Secret
	if err := json.NewDecoder(r.Body).Decode(&secret); err != nil || secret.Labels["app.kubernetes.io/instance"] != release {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.kept[secret.Name] = secret
	_ = json.NewEncoder(w).Encode(secret)
}

// secret answers a Secret's files, which must be there.
func (c *cluster) secret(t *testing.T, name string) map[string][]byte {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	secret, ok := c.kept[name]
	if !ok {
		t.Fatalf("nobody has made the Secret %s", name)
	}
	return secret.Data
}
