package local_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
)

const within = 20 * time.Second

func start(t *testing.T, c local.Config) *local.Server {
	t.Helper()
	s, err := local.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t *testing.T, c journal.Config) *journal.Journal {
	t.Helper()
	j, err := journal.Connect(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

var streams = []journal.StreamConfig{{Name: "STATE", Subjects: []string{"state.>"}}}

// The journal refuses a server that does not sync, so that it opens is the test.
func TestWhatIsStoredIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	for round := range uint64(3) {
		srv, err := local.Start(local.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		j := connect(t, journal.Config{InProcess: srv.InProcess()})
		if err := journal.Create(t.Context(), j, streams); err != nil {
			t.Fatal(err)
		}
		s, err := j.Stream(t.Context(), "STATE")
		if err != nil {
			t.Fatal(err)
		}
		if seq, err := s.Append(t.Context(), journal.Message{Subject: "state.a", Expect: journal.OnStream(round)}); err != nil || seq != round+1 {
			t.Errorf("round %d: %d, %v", round, seq, err)
		}
		j.Close()
		srv.Shutdown()
	}
}

func TestASecondServerInTheSameDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := start(t, local.Config{Dir: dir})
	if _, err := local.Start(local.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second says %v", err)
	}
	first.Shutdown()
	start(t, local.Config{Dir: dir})
}

func TestWithoutListenNobodyComesInFromOutside(t *testing.T) {
	s := start(t, local.Config{Dir: t.TempDir()})
	if addr, found := strings.CutPrefix(s.URL(), "nats://"); found && addr != "" {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			conn.Close()
			t.Errorf("%s answers", addr)
		}
	}
	listening := start(t, local.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	conn, err := nats.Connect(listening.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestAUserMayDoWhatItsListsSayAndAnEmptyListIsNothing(t *testing.T) {
	srv := start(t, local.Config{Dir: t.TempDir(), Users: []local.User{
		{Name: "speaker", Password: "s", Publish: []string{"a.>"}},
		{Name: "listener", Password: "l", Subscribe: []string{"a.>", "b.>"}},
		{Name: "nobody", Password: "n"},
	}})
	denied := make(chan error, 10)
	as := func(name, password string) *nats.Conn {
		t.Helper()
		conn, err := nats.Connect("", nats.InProcessServer(srv.InProcess()), nats.UserInfo(name, password),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		return conn
	}
	listener := as("listener", "l")
	heard, err := listener.SubscribeSync("a.x")
	if err == nil {
		err = listener.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := as("speaker", "s").Publish("a.x", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if m, err := heard.NextMsg(within); err != nil || string(m.Data) != "hello" {
		t.Errorf("heard %v", err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-denied:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(within):
			t.Errorf("%s is allowed", what)
		}
	}
	refused("the speaker elsewhere", as("speaker", "s").Publish("b.x", nil))
	refused("the listener speaking", listener.Publish("a.x", nil))
	_, err = as("speaker", "s").SubscribeSync("a.x")
	refused("the speaker listening", err)
	refused("nobody speaking", as("nobody", "n").Publish("a.x", nil))
	_, err = as("nobody", "n").SubscribeSync("a.x")
	refused("nobody listening", err)
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := start(t, local.Config{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotStartSaysWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	blocked := t.TempDir() // the store cannot be made there
	if err := os.WriteFile(filepath.Join(blocked, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config local.Config
		says   string
	}{
		"a file for a directory": {local.Config{Dir: file}, "directory"},
		"a store of another":     {local.Config{Dir: blocked}, "not a directory"},
		"a bad address":          {local.Config{Dir: t.TempDir(), Listen: "nowhere"}, "address"},
		"a bad port":             {local.Config{Dir: t.TempDir(), Listen: "127.0.0.1:x"}, "port"},
		"a taken port":           {local.Config{Dir: t.TempDir(), Listen: taken.Addr().String()}, "in use"},
		"an endless password":    {local.Config{Dir: t.TempDir(), Users: []local.User{{Name: "a", Password: strings.Repeat("x", 100)}}}, "user a"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := local.Start(c.config)
			if err == nil {
				s.Shutdown()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v", err)
			}
		})
	}
}
