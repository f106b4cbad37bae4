package bastion

import (
	"context"
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
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"portcullis.dev/pkg/emergency"
	"portcullis.dev/services/bastion/kubernetes"
	"portcullis.dev/services/internal/watch"
	"portcullis.dev/services/internal/who"
)

// nothing is what a bastion knows that has read an empty journal.
type nothing struct{ state *watch.State }

func (n nothing) State() *watch.State                { return n.state }
func (nothing) Subscribe() (<-chan struct{}, func()) { return nil, func() {} }

func TestKubectlIsOneMoreWayInOfTheSameConnector(t *testing.T) {
	w := newWorldWithoutDevices(t)
	b := emergency.NewBuilder()
	view, err := who.NewBuilder(b).View(time.Now())
	must(t, err)
	cert, key := filepath.Join(w.dir, "tls.crt"), filepath.Join(w.dir, "tls.key")
	selfSigned(t, cert, key)
	deps, hub, listening := w.deps, newHub(), make(chan net.Listener, 1)
	deps.Broker, deps.Watch = hub, nothing{&watch.State{Emergency: b.Snapshot(time.Now()), Who: view}}
	deps.Listen = func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		listening <- l
		return l, err
	}
	config, err := Settings{Kubectl: "127.0.0.1:0", KubectlCert: cert, KubectlKey: key, KubectlPrefix: "x:"}.kubectl(emergency.Texts{}, "bastion-2")
	must(t, err)
	s, err := New(Config{ID: "bastion-2", HostKey: w.config.HostKey, Kubernetes: config}, deps)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := client.Get("https://" + (<-listening).Addr().String() + "/prod/api/v1/pods")
	must(t, err)
	var status struct{ Kind string }
	must(t, json.NewDecoder(answer.Body).Decode(&status))
	must(t, answer.Body.Close())
	if answer.StatusCode != http.StatusUnauthorized || status.Kind != "Status" {
		t.Errorf("a stranger is answered %s, %+v", answer.Status, status)
	}
	eventually(t, "the broker hears what it carries", func() bool {
		hub.mu.Lock()
		defer hub.mu.Unlock()
		return slices.Contains(hub.protocols, kubernetes.Protocol) && slices.Contains(hub.protocols, "SSH")
	})
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run answered %v when its context ended", err)
	}
}

func TestKubectlIsServedWithAPrefixAndACertificateOrNotAtAll(t *testing.T) {
	if _, err := (Settings{Kubectl: ":6443"}).kubectl(emergency.Texts{}, "b"); err == nil {
		t.Error("without a prefix an access group could be one of the cluster's own")
	}
	c, err := Settings{}.kubectl(emergency.Texts{}, "b")
	if err != nil || c.Address != "" {
		t.Errorf("by itself: %+v %v", c, err)
	}
}

func selfSigned(t *testing.T, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}
