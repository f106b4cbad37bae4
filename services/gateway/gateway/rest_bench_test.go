package gateway

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/pace"
	"portcullis.dev/services/internal/rpc"
)

// serving says in the environment where the process that serves for the benchmark finds certificates.
const serving = "GATEWAY_BENCH_SERVES"

// TestServeForTheBenchmark serves REST and gRPC, and tells its CPU time for each line of its input.
func TestServeForTheBenchmark(t *testing.T) {
	folder := os.Getenv(serving)
	if folder == "" {
		t.Skip("a part of BenchmarkREST")
	}
	n, addresses := overTLS(t, folder)
	n.pace = pace.Pace{PerSecond: rate.Inf, Burst: 1 << 20} // one client is all clients
	p, r, _ := openGuarded(t, n)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = http.Serve(listener, p.gateway) }()
	fmt.Println("serving", listener.Addr(), addresses[rpc.Gate], r.token)
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			t.Fatal(err)
		}
		fmt.Println("used", used.Utime.Nano()+used.Stime.Nano())
	}
}

// overTLS is the network of services in processes of their own: loopback, and each its certificate.
func overTLS(t testing.TB, folder string) (network, map[string]string) {
	addresses := map[string]string{}
	return network{
		credentials: func(service string) credentials.TransportCredentials { return certified(t, folder, service).Server() },
		listen: func(service string) net.Listener {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addresses[service] = l.Addr().String()
			return l
		},
		dial: func(service string) (*grpc.ClientConn, error) {
			return certified(t, folder, rpc.Gateway).Dial(service, addresses[service])
		},
	}, addresses
}

func certified(t testing.TB, folder, service string) *rpc.TLS {
	t.Helper()
	name := filepath.Join(folder, service)
	c, err := rpc.OpenTLS(rpc.TLSConfig{Cert: name + ".crt", Key: name + ".key", CA: filepath.Join(folder, "ca.crt")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// certify writes a CA and a certificate for each service.
func certify(t testing.TB, folder string) {
	t.Helper()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	_, caKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, template *x509.Certificate, key ed25519.PrivateKey) {
		der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
		if err != nil {
			t.Fatal(err)
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for end, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
			if err := os.WriteFile(filepath.Join(folder, name+end), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("ca", ca, caKey)
	for i, service := range []string{rpc.Gateway, rpc.Gate, rpc.Control} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		write(service, &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2), NotAfter: ca.NotAfter, URIs: []*url.URL{{Scheme: "spiffe", Host: "portcullis", Path: "/" + service}},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}, key)
	}
}

// BenchmarkREST measures the CPU time that the product takes for one access:check: by REST through the
// gateway, and by gRPC straight from the access-gate. Both ways are as between processes of their own,
// with certificates, and each verifies the caller's token.
func BenchmarkREST(b *testing.B) {
	folder := b.TempDir()
	certify(b, folder)
	s := startServing(b, folder)
	rest, direct := restCaller(b, s.http, s.token), directCaller(b, folder, s.grpc, s.token)
	s.cpuOf(b, rest) // until both are warm
	s.cpuOf(b, direct)
	var byREST, byGRPC time.Duration
	for b.Loop() {
		byREST += s.cpuOf(b, rest)
		byGRPC += s.cpuOf(b, direct)
	}
	calls := float64(b.N * callsAtOnce)
	b.ReportMetric(float64(byREST.Microseconds())/calls, "REST-µs-CPU/call")
	b.ReportMetric(float64(byGRPC.Microseconds())/calls, "gRPC-µs-CPU/call")
	b.ReportMetric(float64(byREST)/float64(byGRPC), "ratio")
}

// callsAtOnce are made between two questions for the CPU time, in so many goroutines.
const (
	callsAtOnce = 4000
	callers     = 16
)

// otherSide is the process that serves.
type otherSide struct {
	http, grpc, token string
	ask               io.Writer
	answers           *bufio.Scanner
}

func startServing(b *testing.B, what string) *otherSide {
	b.Helper()
	server := exec.CommandContext(b.Context(), os.Args[0], "-test.run", "^TestServeForTheBenchmark$")
	server.Env = append(os.Environ(), serving+"="+what)
	in, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = server.Wait() })
	s := &otherSide{ask: in, answers: bufio.NewScanner(out)}
	words := s.said(b, "serving")
	s.http, s.grpc, s.token = words[0], words[1], words[2]
	return s
}

// said waits for a line that starts with a word.
func (s *otherSide) said(b *testing.B, word string) []string {
	b.Helper()
	for s.answers.Scan() {
		if words := strings.Fields(s.answers.Text()); len(words) > 1 && words[0] == word {
			return words[1:]
		}
	}
	b.Fatalf("the serving side ended: %v", s.answers.Err())
	return nil
}

func (s *otherSide) cpuTime(b *testing.B) time.Duration {
	b.Helper()
	if _, err := io.WriteString(s.ask, "\n"); err != nil {
		b.Fatal(err)
	}
	used, err := time.ParseDuration(s.said(b, "used")[0] + "ns")
	if err != nil {
		b.Fatal(err)
	}
	return used
}

// cpuOf is the CPU time that serving takes while a call is made many times.
func (s *otherSide) cpuOf(b *testing.B, call func() error) time.Duration {
	b.Helper()
	before := s.cpuTime(b)
	failed := make(chan error, callers)
	for range callers {
		go func() {
			for range callsAtOnce / callers {
				if err := call(); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range callers {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	return s.cpuTime(b) - before
}

func restCaller(b *testing.B, address, token string) func() error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	return func() error {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://"+address+"/v1/access:check",
			strings.NewReader(`{"user":"alice","device":"db-1","channel":"SESSION"}`))
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("got %s", answer.Status)
		}
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
}

func directCaller(b *testing.B, folder, address, token string) func() error {
	b.Helper()
	conn, err := certified(b, folder, rpc.Gateway).Dial(rpc.Gate, address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	access := gatev1.NewAccessClient(conn)
	ctx := metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+token)
	return func() error {
		_, err := access.Check(ctx, &gatev1.CheckRequest{User: "alice", Device: "db-1", Channel: gatev1.Channel_SESSION})
		return err
	}
}
