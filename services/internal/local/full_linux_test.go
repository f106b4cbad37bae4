package local_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"portcullis.dev/services/internal/local"
)

// says are lines of a log.
type says chan string

func (s says) Write(line []byte) (int, error) {
	select {
	case s <- string(line):
	default: // nobody reads so many
	}
	return len(line), nil
}

func (s says) await(t *testing.T, what string) {
	t.Helper()
	for end := time.After(within); ; {
		select {
		case line := <-s:
			if strings.Contains(line, what) {
				return
			}
		case <-end:
			t.Fatalf("the log never says %q", what)
		}
	}
}

func TestAFullDiskEndsNothingAndRoomMakesItWell(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("*** LEFT OUT: a full disk takes mount, as root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	noticed := make(says, 100)
	s, err := local.Start(local.Config{Dir: filepath.Join(dir, "data"), Log: slog.New(slog.NewTextHandler(noticed, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	conn, err := nats.Connect("", nats.InProcessServer(s.InProcess()), nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	back := conn.StatusChanged(nats.CONNECTED)
	for err == nil {
		_, err = js.Publish(ctx, "s", make([]byte, 512<<10))
	}
	noticed.await(t, "nothing new is taken")
	select {
	case err := <-ran:
		t.Fatalf("on a full disk the server ends: %v", err)
	case <-back:
		t.Fatal("on a full disk the server is started anew")
	default:
	}
	if m, err := js.Stream(ctx, "S"); err != nil {
		t.Fatal(err)
	} else if _, err := m.GetMsg(ctx, 1); err != nil {
		t.Errorf("what is stored can't be read: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	select {
	case <-back:
	case err := <-ran:
		t.Fatalf("it ends: %v", err)
	case <-time.After(within):
		t.Fatal("with room again, it is not started anew")
	}
	if _, err := js.Publish(ctx, "s", []byte("small"), jetstream.WithRetryAttempts(10)); err != nil {
		t.Errorf("with room again it takes nothing: %v", err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
