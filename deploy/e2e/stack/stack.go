// Package stack starts the whole product as a stranger would, and stops it by the ids of the
// processes that it started: everything in one process, or each service by itself beside a real NATS
// server and a real Redis.
package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Options are what a start may differ in.
type Options struct {
	// Environment is added to what the services get, NAME=value.
	Environment []string
	// Replicas is how many of a service run in separate processes; one, where unset.
	Replicas map[string]int
	// Brokers is how many NATS servers there are, each entry on all of them; one, if unset.
	Brokers int
	// Volume is the size of each NATS server's disk, in MiB; they have the folder's, if unset.
	Volume int
	// Place is where separate processes run; side by side on loopback, if unset.
	Place Place
	// Programs is a folder of programs to start instead of those that Binary builds.
	Programs string
	// Unsynced has NATS acknowledge before it syncs, and an operator who gives his word that it doesn't: what no
	// installation may be, for showing what a power cut then takes.
	Unsynced bool
}

// Place is where a stack's processes run.
type Place interface {
	// Host is a process's own address.
	Host(process string) string
	// Enter changes how a process is started: its command line and environment.
	Enter(process string, command, environment []string) ([]string, []string)
	// Store is the folder in which a NATS server keeps its streams.
	Store(process string) string
}

// beside is this machine's loopback.
type beside struct{ folder string }

func (beside) Host(string) string                                 { return "127.0.0.1" }
func (beside) Enter(_ string, c, e []string) ([]string, []string) { return c, e }
func (b beside) Store(process string) string                      { return filepath.Join(b.folder, process) }

// Administrator is the first one, whom the empty data folder is started with.
type Administrator struct{ User, Password, TOTPSecret string }

// Stack is a running product.
type Stack struct {
	// HTTP is the public address, http://host:port.
	HTTP string
	// GRPC and SSH are host:port.
	GRPC, SSH string
	// SPOE is where HAProxy asks, and Postgres where psql goes, of everything in one process alone.
	SPOE, Postgres string
	Admin          Administrator
	// Gateways are all replicas of the gateway, of separate processes alone; HTTP and GRPC are the first one's.
	Gateways []Gateway
	// Separate says that each service is a process of its own.
	Separate bool
	// Folder is where data and logs are.
	Folder string
	// Nats and Redis are the addresses of the servers, of separate processes alone; of NATS, the first one's.
	Nats, Redis string

	processes map[string]*Process
	starts    map[string]func() (*Process, error)
	readiness map[string]string // name → address of /readyz
	addresses map[string]string // name → host:port of its gRPC, of separate processes alone
	binaries  map[string]string // name → program, of separate processes alone
	authority *authority
	passwords map[string]string // of NATS users
	brokers   []string          // host:port of each NATS server
	volumes   []string          // what is mounted
	options   Options
	place     Place
}

// Gateway is one replica of the gateway, and its public addresses.
type Gateway struct{ Name, HTTP, GRPC string }

func newStack(folder string) *Stack {
	return &Stack{
		Folder: folder,
		Admin: Administrator{
			User: "admin", Password: "correct horse battery staple", TOTPSecret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
		},
		processes: map[string]*Process{}, starts: map[string]func() (*Process, error){}, readiness: map[string]string{},
		addresses: map[string]string{}, passwords: map[string]string{}, binaries: map[string]string{}, place: beside{folder},
	}
}

// at is an address of a process.
func (s *Stack) at(process string, port int) string {
	return net.JoinHostPort(s.place.Host(process), strconv.Itoa(port))
}

// binary is the path of a program.
func (s *Stack) binary(name string) (string, error) {
	if s.options.Programs != "" {
		return filepath.Join(s.options.Programs, name), nil
	}
	return Binary(name)
}

// spawn starts a process of this stack where it has its place.
func (s *Stack) spawn(name, binary string, environment []string, arguments ...string) (*Process, error) {
	command, environment := s.place.Enter(name, append([]string{binary}, arguments...), environment)
	return spawn(s.Folder, name, command[0], environment, command[1:]...)
}

// Process answers a process by name: a service, "portcullis", "nats" or "redis".
func (s *Stack) Process(name string) *Process { return s.processes[name] }

// Address is where a service serves the others, by name.
func (s *Stack) Address(name string) string { return s.addresses[name] }

// Health is where a process answers for its health and its metrics, http://host:port.
func (s *Stack) Health(name string) string { return strings.TrimSuffix(s.readiness[name], "/readyz") }

// Replica is the name of the i-th process of a service, or of NATS.
func Replica(service string, i int) string {
	if i == 0 {
		return service
	}
	return fmt.Sprintf("%s-%d", service, i+1)
}

// ServiceOf is the service that a process is of.
func ServiceOf(name string) string {
	service, number, numbered := cutLast(name, "-")
	if _, err := strconv.Atoi(number); numbered && err == nil {
		return service
	}
	return name
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Start starts a process that is not running, by name, and returns without waiting for it.
func (s *Stack) Start(name string) error {
	p, err := s.starts[name]()
	if err != nil {
		return err
	}
	s.processes[name] = p
	return nil
}

// Restart starts a process that is not running, by name, and waits until it is ready.
func (s *Stack) Restart(name string) error {
	if err := s.Start(name); err != nil {
		return err
	}
	return s.WaitReady(name)
}

// Well says whether a process says that it is ready now, by name.
func (s *Stack) Well(name string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return status(ctx, s.readiness[name]) == http.StatusOK
}

// WaitReady waits until every named process, or all, is ready to serve.
func (s *Stack) WaitReady(names ...string) error {
	if len(names) == 0 {
		names = s.names()
	}
	for _, name := range names {
		address := s.readiness[name]
		if address == "" {
			continue
		}
		if err := s.await(s.processes[name], address); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) names() []string {
	var names []string
	for name := range s.processes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// await polls, for nothing outside the process says when it is ready.
func (s *Stack) await(p *Process, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if status(ctx, address) == http.StatusOK {
			return nil
		}
		select {
		case <-p.Exited():
			return fmt.Errorf("%s ended before it was ready:\n%s", p.Name, p.Tail(30))
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready within a minute (%s):\n%s", p.Name, address, p.Tail(30))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func status(ctx context.Context, address string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// Stop ends every process, services first.
func (s *Stack) Stop() {
	var last []*Process
	done := make(chan struct{}, len(s.processes))
	waiting := 0
	for name, p := range s.processes {
		if ServiceOf(name) == "nats" || name == "redis" {
			last = append(last, p)
			continue
		}
		waiting++
		go func() { p.Stop(); done <- struct{}{} }()
	}
	for range waiting {
		<-done
	}
	for _, p := range last {
		p.Stop()
	}
	s.unmount()
}

// ForTest starts a stack by one of the two ways, for as long as the test runs; a test that fails shows
// what the processes said last.
func ForTest(t testing.TB, start func(folder string, o Options) (*Stack, error), o Options) *Stack {
	t.Helper()
	folder, err := os.MkdirTemp("", "portcullis-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	s, err := start(folder, o)
	if s != nil {
		t.Cleanup(func() {
			s.Stop()
			if t.Failed() {
				t.Log(s.Tails(25))
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Tails is the end of every process's log.
func (s *Stack) Tails(lines int) string {
	var all strings.Builder
	for _, name := range s.names() {
		fmt.Fprintf(&all, "--- %s\n%s\n", name, s.processes[name].Tail(lines))
	}
	return all.String()
}

// environment is what a process gets of ours: enough to find programs, nothing that would configure it.
func environment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "TZ=UTC"}, more...)
}

// SSHPort is the port of SSH.
func (s *Stack) SSHPort() int {
	_, port, _ := strings.Cut(s.SSH, ":")
	n, _ := strconv.Atoi(port)
	return n
}

var errNotThere = errors.New("is not installed")
