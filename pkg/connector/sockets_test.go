package connector

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis.dev/pkg/emergency"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

const (
	// peersAt is set in a process that is the other end of many sockets: where to connect, and how many.
	peersAt     = "CONNECTOR_BENCH_PEERS"
	socketCount = 10_000
)

// bePeers holds sockets open, and says when the last of them has seen its end.
func bePeers(where string) error {
	addr, count, _ := strings.Cut(where, " ")
	many, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	for {
		var left atomic.Int64
		left.Store(int64(many))
		done := make(chan struct{})
		for i := range many {
			source := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))}
			conn, err := (&net.Dialer{LocalAddr: source}).Dial("tcp", addr)
			if err != nil {
				return err
			}
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
				if left.Add(-1) == 0 {
					close(done)
				}
			}()
		}
		fmt.Println("connected")
		<-done
		fmt.Println("ended")
	}
}

// peers are the other ends, in another process.
type peers struct {
	b        *testing.B
	listener net.Listener
	lines    *bufio.Scanner
}

func startPeers(b *testing.B) *peers {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", peersAt, l.Addr(), socketCount))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = l.Close() })
	return &peers{b, l, bufio.NewScanner(out)}
}

func (p *peers) says(want string) {
	if !p.lines.Scan() || p.lines.Text() != want {
		p.b.Fatalf("the peers said %q, want %q", p.lines.Text(), want)
	}
}

// accept answers the sockets, each with somebody reading from it, as a session host has.
func (p *peers) accept() []net.Conn {
	conns := make([]net.Conn, socketCount)
	for i := range conns {
		conn, err := p.listener.Accept()
		if err != nil {
			p.b.Fatal(err)
		}
		conns[i] = conn
		go func() { _, _ = io.Copy(io.Discard, conn) }()
	}
	p.says("connected")
	runtime.GC()
	return conns
}

// BenchmarkSockets ends 10,000 sessions on live TCP connections, until the last end is seen by the other
// process; beside a loop that closes as many from as many goroutines as there are processors.
func BenchmarkSockets(b *testing.B) {
	const rounds = 5
	p := startPeers(b)
	var bare, ended []time.Duration
	for range b.N * rounds {
		bare = append(bare, closeAll(p, p.accept()))
		ended = append(ended, endAll(b, p, p.accept()))
	}
	b.ReportMetric(best(bare), "bare-close-ms")
	b.ReportMetric(best(ended), "ended-ms")
}

// best is the round that was disturbed least, in milliseconds.
func best(all []time.Duration) float64 { return float64(slices.Min(all).Microseconds()) / 1000 }

func closeAll(p *peers, conns []net.Conn) time.Duration {
	begun := time.Now()
	var closing sync.WaitGroup
	for part := range slices.Chunk(conns, len(conns)/runtime.GOMAXPROCS(0)) {
		closing.Go(func() {
			for _, conn := range part {
				_ = conn.Close()
			}
		})
	}
	closing.Wait()
	p.says("ended")
	return time.Since(begun)
}

func endAll(b *testing.B, p *peers, conns []net.Conn) time.Duration {
	g := &gate{stamp: emergency.Admission{Revision: emergency.Revision{Epoch: 1, Sequence: 1}}}
	h := newHub()
	c, err := New(Config{ID: "host-1"}, Deps{Broker: h, Gate: g.check})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(b.Context()) }()
	for c.Held().IsZero() {
		time.Sleep(time.Millisecond)
	}
	for _, conn := range conns {
		s, err := c.Open(b.Context(), Request{User: "alice", Device: "db-1", Protocol: "TCP", End: func(string) { _ = conn.Close() }})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Admit(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond) // until everyone has heard of them
	begun := time.Now()
	h.send(&sessionv1.Standing{Revision: "1-7", Cuts: standing("1-7", termination(7, all())).GetCuts()})
	p.says("ended")
	return time.Since(begun)
}
