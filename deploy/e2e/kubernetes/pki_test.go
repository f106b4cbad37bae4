//go:build kubernetes

package kubernetes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	nodeAddress = "10.250.0.1"
	api         = "https://" + nodeAddress + ":6443"
)

// pki signs for everybody in the cluster, into a folder: NAME.crt, NAME.key and NAME.kubeconfig.
type pki struct {
	folder string
	key    *ecdsa.PrivateKey
	ca     *x509.Certificate
	number int64
}

func newPKI(t *testing.T, folder string) *pki {
	t.Helper()
	p := &pki{folder: folder, ca: &x509.Certificate{Subject: pkix.Name{CommonName: "cluster"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	p.key = p.write(t, "ca", p.ca, nil)
	p.write(t, "accounts", &x509.Certificate{Subject: pkix.Name{CommonName: "accounts"}}, nil) // its key signs the tokens of Pods
	for _, server := range []string{"apiserver", "kubelet"} {
		p.issue(t, server, server, "", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "node-1")
	}
	for name, who := range map[string][2]string{
		"admin": {"admin", "system:masters"}, "kubelet-client": {"apiserver", "system:masters"},
		"controllers": {"system:kube-controller-manager", ""}, "scheduler": {"system:kube-scheduler", ""}, "node": {"system:node:node-1", "system:nodes"},
	} {
		p.issue(t, name, who[0], who[1])
		p.kubeconfig(t, name)
	}
	return p
}

func (p *pki) issue(t *testing.T, name, who, group string, hosts ...string) {
	t.Helper()
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: who}, KeyUsage: x509.KeyUsageDigitalSignature, DNSNames: hosts,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP(nodeAddress), net.ParseIP("10.96.0.1")},
	}
	if group != "" {
		c.Subject.Organization = []string{group}
	}
	p.write(t, name, c, p.key)
}

// write signs a certificate, by itself where no key is given.
func (p *pki) write(t *testing.T, name string, c *x509.Certificate, by *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	p.number++
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(p.number), time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, c, p.ca, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.put(t, name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	p.put(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
	return key
}

func (p *pki) kubeconfig(t *testing.T, name string) {
	t.Helper()
	text, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "cluster",
		"clusters": []object{{"name": "cluster", "cluster": object{"server": api, "certificate-authority": p.path("ca.crt")}}},
		"users":    []object{{"name": name, "user": object{"client-certificate": p.path(name + ".crt"), "client-key": p.path(name + ".key")}}},
		"contexts": []object{{"name": "cluster", "context": object{"cluster": "cluster", "user": name, "namespace": namespace}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.put(t, name+".kubeconfig", text)
}

func (p *pki) path(file string) string { return filepath.Join(p.folder, file) }

func (p *pki) put(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(p.path(file), text, 0o600); err != nil {
		t.Fatal(err)
	}
}
