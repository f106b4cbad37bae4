package journal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/ports"
)

// within is how long an event is awaited that must come; -race on two busy
// cores is slow.
const within = 20 * time.Second

const (
	helperAddr   = "JOURNAL_TEST_ADDR" // set in a process that is a server and nothing else
	helperDir    = "JOURNAL_TEST_DIR"
	helperConfig = "JOURNAL_TEST_CONFIG" // of a bare server; else it is that of package local
)

func TestMain(m *testing.M) {
	if os.Getenv(helperAddr) == "" {
		os.Exit(m.Run())
	}
	if err := help(os.Getenv(helperAddr), os.Getenv(helperDir), os.Getenv(helperConfig)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or the test is no more
	os.Exit(0)
}

func help(addr, dir, config string) error {
	if config == "" {
		_, err := local.Start(local.Config{Dir: dir, Listen: addr})
		return err
	}
	_, err := serve(fmt.Sprintf("listen: %q\n", addr) + config)
	return err
}

// lent is what the package's comment tells an operator to configure.
const lent = `
accounts {
  SYS { exports = [
    { service: "$SYS.REQ.SERVER.PING.JSZ",     response_type: stream, accounts: [PORTCULLIS] }
    { service: "$SYS.REQ.SERVER.PING.HEALTHZ", response_type: stream, accounts: [PORTCULLIS] } ] }
  PORTCULLIS { jetstream: enabled, users = [ { user: a, password: a } ], imports = [
    { service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ" },     to: "journal.servers" }
    { service: { account: SYS, subject: "$SYS.REQ.SERVER.PING.HEALTHZ" }, to: "journal.health" } ] }
}
system_account: SYS
no_auth_user: a
`

// serve runs a server in this process as a configuration file would have it.
func serve(config string) (*server.Server, error) {
	var o server.Options
	if err := o.ProcessConfigString(config); err != nil {
		return nil, err
	}
	o.NoLog, o.NoSigs = true, true
	s, err := server.NewServer(&o)
	if err != nil {
		return nil, err
	}
	go s.Start()
	if !s.ReadyForConnections(within) {
		return nil, errors.New("the server is not ready")
	}
	return s, nil
}

func start(t testing.TB, c local.Config) *local.Server {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	s, err := local.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t testing.TB, c journal.Config) *journal.Journal {
	t.Helper()
	j, err := journal.Connect(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

// opened is a stream of its own server, for state.> and other.>.
func opened(t testing.TB) (*journal.Stream, *journal.Journal) {
	t.Helper()
	j := connect(t, journal.Config{InProcess: start(t, local.Config{}).InProcess()})
	return open(t, j, state), j
}

var state = journal.StreamConfig{Name: "STATE", Subjects: []string{"state.>", "other.>"}}

func open(t testing.TB, j *journal.Journal, c journal.StreamConfig) *journal.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := journal.Create(ctx, j, []journal.StreamConfig{c}); err != nil {
		t.Fatal(err)
	}
	s, err := j.Stream(ctx, c.Name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func appended(t testing.TB, s *journal.Stream, subject, data string) uint64 {
	t.Helper()
	seq, err := s.Append(t.Context(), journal.Message{Subject: subject, Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// history returns the stream as lines of sequence, subject and data.
func history(t testing.TB, s *journal.Stream) []string {
	t.Helper()
	var all []string
	err := s.Replay(t.Context(), 1, func(e journal.Entry) error {
		all = append(all, line(e))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func line(e journal.Entry) string { return fmt.Sprintf("%d %s %s", e.Sequence, e.Subject, e.Data) }

// broker is a server in a process of its own, to be killed or frozen.
type broker struct {
	t       testing.TB
	addr    string
	env     []string
	process *exec.Cmd
}

// newBroker is package local's server, or a bare one if there is a config.
func newBroker(t testing.TB, addr, dir, config string) *broker {
	t.Helper()
	b := &broker{t: t, addr: addr, env: []string{helperAddr + "=" + addr, helperDir + "=" + dir, helperConfig + "=" + config}}
	t.Cleanup(b.kill)
	return b
}

// freeAddrs are some that nobody listens on, so that a server can come back to one.
func freeAddrs(t testing.TB, n int) []string {
	t.Helper()
	all, err := ports.Free(n)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (b *broker) url() string { return "nats://" + b.addr }

// start returns when the server takes connections.
func (b *broker) start() {
	b.t.Helper()
	b.process = exec.Command(os.Args[0])
	b.process.Env = append(os.Environ(), b.env...)
	b.process.Stderr = b.t.Output()
	_, err := b.process.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := b.process.StdoutPipe()
	if err == nil {
		err = b.process.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(said) != "ready" {
		b.t.Fatalf("the server says %q: %v", said, err)
	}
}

func (b *broker) signal(s syscall.Signal) {
	b.t.Helper()
	if err := b.process.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}

// kill is kill -9, and returns when the process is no more.
func (b *broker) kill() {
	if b.process != nil {
		_ = b.process.Process.Kill()
		_ = b.process.Wait()
		b.process = nil
	}
}

func await[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(within):
		t.Fatalf("%s did not come in %s", what, within)
		panic("unreachable")
	}
}

func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}
