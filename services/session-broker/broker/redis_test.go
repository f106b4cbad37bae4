package broker

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/session-broker/registry"
)

// both is an index as the broker uses it.
type both interface {
	registry.Store
	registry.Index
}

// stores runs a test on each implementation: they must not be told apart.
func stores(t *testing.T, f func(t *testing.T, s both)) {
	t.Run("memory", func(t *testing.T) { f(t, registry.NewMemory()) })
	t.Run("redis", func(t *testing.T) { f(t, registry.NewRedis(startRedis(t))) })
}

// startRedis runs a real server on a socket of its own until the test ends.
func startRedis(t testing.TB) *redis.Client {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("LEFT OUT: redis-server is not installed (Debian: apt install redis-server), so nothing here was tried on a real Redis")
	}
	socket := filepath.Join(t.TempDir(), "redis.sock")
	server := exec.Command(program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	eventually(t, "redis-server answers", func() bool { return client.Ping(t.Context()).Err() == nil })
	return client
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after ten seconds: %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newIndex() both { return registry.NewMemory() }

func session(connector, id string) *sessionv1.Session {
	return &sessionv1.Session{Id: id, Connector: connector, User: "alice", Device: "db-1", Protocol: "SSH", State: sessionv1.Session_OPEN}
}
