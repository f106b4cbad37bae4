package run

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/ports"
	"portcullis.dev/services/internal/rpc"
	"portcullis.dev/services/internal/seal"
)

// certificates writes one for each service, all signed by one CA, into folders of their names.
func certificates(t *testing.T, dir string, services ...string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		return k
	}
	caKey := key()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	for i, service := range services {
		own := key()
		uri, err := url.Parse("spiffe://portcullis/" + service)
		must(err)
		leaf := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 2)), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, URIs: []*url.URL{uri},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
		der, err := x509.CreateCertificate(rand.Reader, leaf, ca, own.Public(), caKey)
		must(err)
		private, err := x509.MarshalPKCS8PrivateKey(own)
		must(err)
		must(os.MkdirAll(filepath.Join(dir, service), 0o700))
		for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: private}, "ca": {Type: "CERTIFICATE", Bytes: caDER}} {
			must(os.WriteFile(filepath.Join(dir, service, name+".pem"), pem.EncodeToMemory(block), 0o600))
		}
	}
}

func port(t *testing.T) string {
	t.Helper()
	free, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	return free[0]
}

func TestTheSameServicesRunAsProcessesOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	services := []string{rpc.Control, rpc.Gate}
	certificates(t, dir, services...)
	if err := seal.Create(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	all, passwords, err := users(services)
	if err != nil {
		t.Fatal(err)
	}
	nats, err := local.Start(local.Config{Dir: filepath.Join(dir, "nats"), Listen: "127.0.0.1:0", Users: all})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Shutdown)
	listen, health := port(t), port(t)
	environ := func(service string) []string {
		return []string{
			"PORTCULLIS_NATS=" + nats.URL(), "PORTCULLIS_NATS_PASSWORD=" + passwords[service], "PORTCULLIS_KEYS=" + filepath.Join(dir, "keys"),
			"PORTCULLIS_TLS_CERT=" + filepath.Join(dir, service, "cert.pem"), "PORTCULLIS_TLS_KEY=" + filepath.Join(dir, service, "key.pem"),
			"PORTCULLIS_TLS_CA=" + filepath.Join(dir, service, "ca.pem"), "PORTCULLIS_PEERS=access-gate=" + listen, "PORTCULLIS_LOG_LEVEL=error",
		}
	}
	if err := Bootstrap(t.Context(), []string{"PORTCULLIS_NATS=" + nats.URL(), "PORTCULLIS_NATS_PASSWORD=" + passwords[bootstrap]}, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	t.Cleanup(func() {
		cancel()
		for range services {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	go func() {
		done <- alone(ctx, entry(rpc.Gate, true, func(*Host) toy {
			return toy{register: func(r grpc.ServiceRegistrar) { gatev1.RegisterDirectoryServer(r, gate{}) }}
		}), []string{"--listen", listen, "--health", health}, environ(rpc.Gate))
	}()
	asked := make(chan error, 1)
	go func() {
		done <- alone(ctx, entry(rpc.Control, true, func(h *Host) toy {
			return toy{run: func(ctx context.Context) error {
				conn, err := h.Dial(rpc.Gate)
				if err == nil {
					_, err = gatev1.NewDirectoryClient(conn).ListMembers(ctx, &gatev1.ListMembersRequest{}, grpc.WaitForReady(true))
				}
				asked <- err
				<-ctx.Done()
				return nil
			}}
		}), []string{"--listen", port(t), "--health", ""}, environ(rpc.Control))
	}()
	if err := <-asked; err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{"healthz": "ok", "readyz": "ready", "metrics": `portcullis_rpc_answers_total{code="OK",method="/portcullis.gate.v1.Directory/ListMembers",service="access-gate"} 1`} {
		answer, err := http.Get("http://" + health + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != 200 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %s", path, answer.StatusCode, text)
		}
	}
}

func TestAProcessWithoutACertificateSaysWhatItLacks(t *testing.T) {
	err := alone(t.Context(), entry(rpc.Gate, true, idle), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "tls-cert") {
		t.Error(err)
	}
	if err := alone(t.Context(), entry(rpc.Gate, true, idle), []string{"--no-such-flag"}, nil); err == nil {
		t.Error("an unknown flag is fine")
	}
}

func TestWhatIsStillWaitedForIsNotReady(t *testing.T) {
	all := 0
	h := newHealth([]string{rpc.Gate, rpc.Identity}, func() { all++ })
	h.reached(rpc.Gate)
	if err := h.Ready(); err == nil || !strings.Contains(err.Error(), rpc.Identity) || strings.Contains(err.Error(), rpc.Gate) || all != 0 {
		t.Error(err, all)
	}
	h.reached(rpc.Identity)
	h.reached(rpc.Identity)
	if err := h.Ready(); err != nil || all != 1 {
		t.Error(err, all)
	}
}

func TestAnEnforcerTellsWhatItHolds(t *testing.T) {
	heard := make(chan *emergencyv1.Beat, 16)
	entries := []Entry{
		entry(rpc.Control, true, func(h *Host) toy {
			return toy{run: func(ctx context.Context) error {
				return h.Journal.Beats(ctx, "beat.>", func(subject string, data []byte) {
					b := &emergencyv1.Beat{}
					if err := proto.Unmarshal(data, b); err != nil || subject != "beat.access-gate.access-gate-1" {
						t.Error(subject, err)
					}
					select {
					case heard <- b:
					default:
					}
				})
			}}
		}),
		entry(rpc.Gate, true, func(h *Host) toy {
			open := uint32(7)
			return toy{run: func(ctx context.Context) error {
				return h.Enforce(ctx, func() *emergencyv1.Beat { return &emergencyv1.Beat{OpenSessions: &open} })
			}}
		}),
	}
	start(t, entries, settings(t, entries))
	first, second := <-heard, <-heard
	if first.GetEnforcer() != "access-gate-1" || first.GetService() != rpc.Gate || first.GetBootId() == "" || first.GetOpenSessions() != 7 {
		t.Error(first)
	}
	if first.GetBootId() != second.GetBootId() {
		t.Error("one life has two boot ids")
	}
}

func TestTheDataFolderIsOpenedForOneServiceAlone(t *testing.T) {
	e := entry(rpc.Identity, true, idle)
	s := settings(t, []Entry{e})
	did := false
	err := Alone(t.Context(), e, s, func(_ context.Context, h *Host) error {
		did = true
		_, err := h.Keys.AEAD()
		if h.Watch.State() == nil {
			t.Error("it does not know who is who")
		}
		return err
	})
	if err != nil || !did {
		t.Error(did, err)
	}
	if err := Alone(t.Context(), e, s, func(context.Context, *Host) error { return io.ErrUnexpectedEOF }); err == nil {
		t.Error("its failure is not told")
	}
	start(t, []Entry{e}, s)
	if err := Alone(t.Context(), e, s, func(context.Context, *Host) error { return nil }); err == nil {
		t.Error("it was opened under a running process")
	}
}
