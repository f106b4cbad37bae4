package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"portcullis.dev/pkg/connector/conformance"
)

// asHost is set in a process that is the example and nothing else.
const asHost = "EXAMPLE_HOST"

func TestMain(m *testing.M) {
	if os.Getenv(asHost) != "" {
		main()
	}
	os.Exit(m.Run())
}

// running is the example in its own process.
type running struct {
	*exec.Cmd
	listen string
}

func TestTheExampleIsASessionHost(t *testing.T) {
	device := echo(t)
	conformance.Run(t, func(t *testing.T, address string) conformance.Host {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r := &running{listen: free.Addr().String()}
		_ = free.Close()
		r.Cmd = exec.Command(os.Args[0], "-portcullis", address, "-name", "terminal-1", "-device", conformance.Device, "-to", device, "-listen", r.listen)
		r.Env = append(os.Environ(), asHost+"=1", "HOST_PASSWORD=right", "PORTCULLIS_TOKEN=pct_terminal")
		r.Stderr = os.Stderr
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Kill)
		return r
	})
}

func (r *running) Kill() {
	_ = r.Process.Kill()
	_ = r.Wait()
}

func (r *running) Open(t *testing.T, user string) io.ReadWriteCloser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.listen)
		if err == nil {
			_, err = fmt.Fprintln(conn, user, "right")
		}
		if err == nil {
			return conn
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // until it listens
	}
}

// echo is a device that answers what it is sent.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}
