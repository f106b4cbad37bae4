package connector

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"portcullis.dev/pkg/emergency"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

// hostAt is set in a process that is a session host and nothing else: the broker's address.
const hostAt = "CONNECTOR_TEST_BROKER"

func TestMain(m *testing.M) {
	roles := map[string]func(string) error{hostAt: host, peersAt: bePeers}
	for name, role := range roles {
		if value := os.Getenv(name); value != "" {
			fmt.Println("failed:", role(value))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// host opens two sessions, says so, and says when they end; a third one is opened once it is told to.
func host(addr string) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	know := make(chan emergency.Admission, 1)
	know <- emergency.Admission{Revision: emergency.Revision{Epoch: 1, Sequence: 1}}
	c, err := New(Config{ID: "host-1"}, Deps{Broker: sessionv1.NewConnectorsClient(conn), Gate: func(context.Context, Request) (Admitted, error) {
		a := <-know
		know <- a
		return Admitted{Admission: a}, nil
	}})
	if err != nil {
		return err
	}
	go func() { _ = c.Run(context.Background()) }()
	for c.Held().IsZero() {
		time.Sleep(time.Millisecond)
	}
	open := func(user string) error {
		s, err := c.Open(context.Background(), Request{User: user, End: func(reason string) {
			fmt.Println("ended", user, time.Now().UnixMilli(), reason)
		}})
		if err != nil {
			return err
		}
		if err := s.Admit(context.Background()); err != nil {
			return err
		}
		fmt.Println("open", user)
		return nil
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		word, argument, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "open":
			if err := open(argument); err != nil {
				return err
			}
		case "gate": // it knows as much now
			revision, err := emergency.ParseRevision(argument)
			if err != nil {
				return err
			}
			<-know
			know <- emergency.Admission{Revision: revision}
		}
	}
	return lines.Err()
}

// plain is a broker that says what it is told to, over a real connection.
type plain struct {
	sessionv1.UnimplementedConnectorsServer
	mu   sync.Mutex
	last *sessionv1.Standing
}

func (p *plain) desire(s *sessionv1.Standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = s
}

func (p *plain) desired() *sessionv1.Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *plain) Attach(stream sessionv1.Connectors_AttachServer) error {
	go func() {
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
		}
	}()
	breath := time.NewTicker(50 * time.Millisecond)
	defer breath.Stop()
	for {
		if err := stream.Send(&sessionv1.BrokerMessage{Message: &sessionv1.BrokerMessage_Standing{Standing: p.desired()}}); err != nil {
			return err
		}
		select {
		case <-breath.C:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// child is a session host in its own process.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  func(string)
	out chan string
}

func startChild(t *testing.T, addr string) *child {
	cmd := exec.Command(os.Args[0], "-test.run", "^$")
	cmd.Env = append(os.Environ(), hostAt+"="+addr)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: cmd, out: make(chan string, 100), in: func(line string) { _, _ = fmt.Fprintln(in, line) }}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			c.out <- lines.Text()
		}
		close(c.out)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return c
}

func (c *child) says(want string, within time.Duration) {
	c.t.Helper()
	select {
	case got := <-c.out:
		if !strings.HasPrefix(got, want) {
			c.t.Fatalf("the host said %q, want %q", got, want)
		}
	case <-time.After(within):
		c.t.Fatalf("the host did not say %q within %v", want, within)
	}
}

func (c *child) saysNothing(during time.Duration) {
	c.t.Helper()
	select {
	case got := <-c.out:
		c.t.Fatalf("the host said %q", got)
	case <-time.After(during):
	}
}

// stopped runs f while the host is stopped, as by SIGSTOP: it hears and does nothing.
func (c *child) stopped(f func()) {
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
	f()
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		c.t.Fatal(err)
	}
}

func TestAHostThatWasStoppedEndsItsOldSessionsWithinASecondOfWaking(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broker := &plain{last: standing("1-1")}
	server := grpc.NewServer()
	sessionv1.RegisterConnectorsServer(server, broker)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	c := startChild(t, l.Addr().String())
	c.in("open alice")
	c.says("open alice", 10*time.Second)

	// One that came while it slept: applied and lifted again.
	begun := lockdown(5, time.Now())
	begun.Begun = true
	c.stopped(func() {
		broker.desire(standing("1-5", begun))
		time.Sleep(silence + time.Second) // long enough for both ends to give the connection up
		broker.desire(standing("1-6", begun))
	})
	c.says("ended alice", time.Second)
	c.in("gate 1-6")
	c.in("open bob") // after the lockdown
	c.says("open bob", 10*time.Second)
	c.saysNothing(2 * time.Second)

	// One that it knew of, whose start and end it slept through, with the broker gone.
	start := time.Now().Add(time.Second)
	broker.desire(standing("1-7", lockdown(7, start), begun))
	time.Sleep(200 * time.Millisecond)
	server.Stop()
	c.stopped(func() { time.Sleep(time.Until(start.Add(time.Second))) })
	c.says("ended bob", time.Second)
}
