//go:build linux

package wire

import (
	"errors"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portcullis.dev/deploy/e2e/chaos/room"
)

func TestMain(m *testing.M) { os.Exit(room.ForTests(m, "/run")) }

// at does something at the address of a process.
func at[T any](t *testing.T, process string, do func() (T, error)) T {
	t.Helper()
	var got T
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this function
		there, err := os.Open("/run/netns/" + process)
		if err == nil {
			err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			got, err = do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return got
}

// connected answers the two ends of a connection.
func connected(t *testing.T, n *Net, from, to string) (here, there net.Conn) {
	t.Helper()
	address := net.JoinHostPort(n.Host(to), "7000")
	l := at(t, to, func() (net.Listener, error) { return net.Listen("tcp", address) })
	defer l.Close()
	here = at(t, from, func() (net.Conn, error) { return net.Dial("tcp", address) })
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	return here, there
}

// passes reports whether a byte gets through in a while.
func passes(t *testing.T, from, to net.Conn, while time.Duration) bool {
	t.Helper()
	if _, err := from.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := to.SetReadDeadline(time.Now().Add(while)); err != nil {
		t.Fatal(err)
	}
	_, err := to.Read(make([]byte, 1))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return err == nil
}

func TestACutStopsOneWayOfAConnectionThatStands(t *testing.T) {
	n, err := New([]string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	a, b := connected(t, n, "a", "b")
	elsewhere, c := connected(t, n, "a", "c")
	const soon, late = 300 * time.Millisecond, 20 * time.Second
	if !passes(t, a, b, late) || !passes(t, b, a, late) {
		t.Fatal("nothing passes though nothing is cut")
	}
	mend, err := n.Spoil("a", "b", Lost)
	if err != nil {
		t.Fatal(err)
	}
	if passes(t, a, b, soon) {
		t.Error("a reaches b though it is cut")
	}
	if !passes(t, b, a, late) {
		t.Error("b does not reach a, which nobody cut")
	}
	if !passes(t, elsewhere, c, late) {
		t.Error("a does not reach c, which nobody cut")
	}
	if err := mend(); err != nil {
		t.Fatal(err)
	}
	if err := b.SetReadDeadline(time.Now().Add(late)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(make([]byte, 1)); err != nil {
		t.Errorf("what was sent meanwhile never comes: %v", err)
	}
}
