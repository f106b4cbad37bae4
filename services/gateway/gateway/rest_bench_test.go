package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// serving says in the environment of the process that serves for the benchmark what it shall serve.
const serving = "GATEWAY_BENCH_SERVES"

// TestServeForTheBenchmark serves REST and gRPC, and tells its CPU time for each line of its input.
func TestServeForTheBenchmark(t *testing.T) {
	var p *public
	var port, token string
	switch os.Getenv(serving) {
	case "plain":
		p = open(t)
		port, token = p.port, "good"
	case "guarded":
		var r *record
		p, r, port = openGuarded(t)
		token = r.token
	default:
		t.Skip("a part of BenchmarkREST")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = http.Serve(listener, p.gateway) }()
	fmt.Println("serving", listener.Addr(), port, token)
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			t.Fatal(err)
		}
		fmt.Println("used", used.Utime.Nano()+used.Stime.Nano())
	}
}

// BenchmarkREST measures the CPU time that the serving side takes for one access:check by REST, and by
// gRPC: plain, straight from the service without any check of ours on either way; guarded, through the
// gateway's gRPC port, with every check on both.
func BenchmarkREST(b *testing.B) {
	for _, what := range []string{"plain", "guarded"} {
		b.Run(what, func(b *testing.B) {
			s := startServing(b, what)
			rest, direct := restCaller(b, s.http, s.token), directCaller(b, s.grpc, s.token)
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
		})
	}
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

func directCaller(b *testing.B, address, token string) func() error {
	b.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
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
