package bastion

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/types/known/durationpb"

	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
)

// addEcho makes a server a device that says back what it hears, and when it has heard the end, how much that was.
func (w *world) addEcho(name string, edit func(*gatev1.Device)) (place string, ended <-chan error) {
	t := w.t
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	ends := make(chan error, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				n, err := io.Copy(conn, conn)
				_, _ = fmt.Fprintf(conn, "heard %d", n)
				ends <- err
			}()
		}
	}()
	d := &gatev1.Device{Name: name, Host: "127.0.0.1", Port: uint32(l.Addr().(*net.TCPAddr).Port), Protocol: gatev1.Protocol_TCP}
	if edit != nil {
		edit(d)
	}
	w.gate.add(d)
	return fmt.Sprintf("%s:%d", name, d.Port), ends
}

// loud has ssh say why a connection was not forwarded, as it does by itself.
func loud(c *exec.Cmd) *exec.Cmd {
	for i, argument := range c.Args {
		c.Args[i] = strings.Replace(argument, "LogLevel=ERROR", "LogLevel=INFO", 1)
	}
	return c
}

// reaches starts a client whose standard input and output are one connection to a device.
func (w *world) reaches(person, device, place string) *exec.Cmd {
	return loud(w.ssh(person, device, []string{"-W", place}))
}

func TestAConnectionToADeviceGoesThroughSSHAndEndsByHalves(t *testing.T) {
	w := newWorldWithoutDevices(t)
	place, _ := w.addEcho("erp", nil)
	text := strings.Repeat("0123456789abcdef\n", 200_000)
	cmd := w.reaches("alice", "erp", place)
	cmd.Stdin = strings.NewReader(text)
	if got := outcome(t, cmd); got.out != fmt.Sprintf("%sheard %d", text, len(text)) {
		t.Errorf("%d bytes came back, of %d; %s", len(got.out), len(text), got.err)
	}
	eventually(t, "no session is left", func() bool { return w.connector.Live() == 0 })
}

func TestASessionOverTCPLeadsToItsDeviceAndNowhereElse(t *testing.T) {
	w := newWorldWithoutDevices(t)
	place, _ := w.addEcho("erp", nil)
	other, _ := w.addEcho("crm", nil)
	_, port, _ := net.SplitHostPort(place)
	for _, elsewhere := range []string{other, "127.0.0.1:" + port, "erp:1", "localhost:22"} {
		if got := outcome(t, w.reaches("alice", "erp", elsewhere)); got.status == 0 || !strings.Contains(got.err, "This session leads to "+place+" and nowhere else") {
			t.Errorf("%s: %+v", elsewhere, got)
		}
	}
	if got := outcome(t, w.ssh("alice", "erp", nil, "echo in")); got.status == 0 || strings.Contains(got.out, "in") {
		t.Errorf("a command: %+v", got)
	}
	w.gate.edit("erp", func(d *gatev1.Device) { d.Port = uint32(newClosedPort(t)) })
	if got := outcome(t, w.reaches("alice", "erp", fmt.Sprintf("erp:%d", w.gate.devices["erp"].Port))); got.status == 0 || !strings.Contains(got.err, "erp does not answer") {
		t.Errorf("a device that is down: %+v", got)
	}
}

func newClosedPort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func TestALockdownCutsConnectionsAndSaysWhyOnTheScreenThatIsOpen(t *testing.T) {
	w := newWorldWithoutDevices(t)
	place, ended := w.addEcho("erp", nil)
	pty := openPTY(t, 24, 80)
	forward := fmt.Sprintf("127.0.0.1:%d", newClosedPort(t))
	shown := pty.start(t, w.ssh("alice", "erp", []string{"-tt", "-o", "ExitOnForwardFailure=yes", "-L", forward + ":" + place}))
	shown.awaits(t, "ssh -L PORT:"+place)
	conn, err := net.Dial("tcp", forward)
	must(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte("hello"))
	must(t, err)
	_, err = io.ReadFull(conn, make([]byte, 5))
	must(t, err)
	until := time.Now().Add(time.Hour)
	struck := time.Now()
	w.strike(window(emergencyv1.Emergency_LOCKDOWN, until))
	shown.ends(t, time.Second-time.Since(struck))
	if !strings.Contains(shown.said(), "under lockdown") || !strings.Contains(shown.said(), "until "+texts().Time(until)) {
		t.Errorf("it shows %q", shown.said())
	}
	if err := <-ended; err == nil {
		t.Error("the device takes what it has for whole")
	}
	if rest, _ := io.ReadAll(conn); len(rest) > 0 {
		t.Errorf("%q came after the end", rest)
	}
	if got := outcome(t, w.reaches("alice", "erp", place)); got.status == 0 || got.out != "" {
		t.Errorf("a new one: %+v", got)
	}
}

func TestANewConnectionOfALiveSessionAsksTheGate(t *testing.T) {
	w := newWorldWithoutDevices(t)
	place, _ := w.addEcho("erp", nil)
	forward := fmt.Sprintf("127.0.0.1:%d", newClosedPort(t))
	k := start(t, loud(w.ssh("alice", "erp", []string{"-N", "-L", forward + ":" + place})))
	var conn net.Conn
	eventually(t, "ssh listens", func() bool { var err error; conn, err = net.Dial("tcp", forward); return err == nil })
	defer func() { _ = conn.Close() }()
	echo := func(c net.Conn) error {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte("hello")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 5))
		return err
	}
	must(t, echo(conn))
	w.strike(window(emergencyv1.Emergency_FREEZE, time.Now().Add(time.Hour)))
	second, err := net.Dial("tcp", forward)
	must(t, err)
	defer func() { _ = second.Close() }()
	if err := echo(second); err == nil {
		t.Error("a new connection passed during a freeze")
	}
	k.awaits(t, "erp is frozen until ")
	must(t, echo(conn))
}

// forwards starts an SSH client that forwards a port to a device, and answers when it listens.
func (w *world) forwards(person, device, place string) (address string, k *client) {
	w.t.Helper()
	address = fmt.Sprintf("127.0.0.1:%d", newClosedPort(w.t))
	k = start(w.t, loud(w.ssh(person, device, []string{"-N", "-L", address + ":" + place})))
	eventually(w.t, "ssh listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return address, k
}

func TestPsqlOverSSHTakesAKeyAndAsksForNothing(t *testing.T) {
	w := newWorldWithoutDevices(t)
	d := w.addDatabase("payments-db", nil)
	address, _ := w.forwards("alice", "payments-db", fmt.Sprintf("payments-db:%d", d.port))
	psql := func(command string) *exec.Cmd {
		_, port, _ := net.SplitHostPort(address)
		return exec.CommandContext(t.Context(), program(t, "psql"), "-X", "-At", "-w", "-h", "127.0.0.1", "-p", port, "-U", "whoever", "-d", "postgres", "-c", command)
	}
	if got := outcome(t, psql("select current_user")); got.out != "app\n" {
		t.Errorf("got %+v", got)
	}
	interrupted := start(t, psql("select pg_sleep(600) as stopped_over_ssh"))
	eventually(t, "the server works", func() bool { return d.running(t, "stopped_over_ssh") == 1 })
	must(t, interrupted.Process.Signal(syscall.SIGINT))
	interrupted.awaits(t, "canceling statement due to user request")
	live := start(t, psql("select pg_sleep(600) as over_ssh"))
	eventually(t, "the server works", func() bool { return d.running(t, "over_ssh") == 1 })
	w.strike(window(emergencyv1.Emergency_FREEZE, time.Now().Add(time.Hour)))
	if got := outcome(t, psql("select 'in'")); got.out != "" || !strings.Contains(got.err, "payments-db is frozen until ") {
		t.Errorf("a new connection during a freeze: %+v", got)
	}
	struck := time.Now()
	w.strike(termination(&emergencyv1.Selector{Protocols: []string{"POSTGRES"}}))
	live.ends(t, time.Second)
	eventually(t, "the backend is gone, and forgotten", func() bool { return d.running(t, "over_ssh") == 0 && len(w.kept()) == 0 })
	if took := time.Since(struck); took > time.Second {
		t.Errorf("the backend was there for %v", took)
	}
	if !strings.Contains(live.said(), "FATAL:") || !strings.Contains(live.said(), "Terminated by an administrator") {
		t.Errorf("psql shows %q", live.said())
	}
	eventually(t, "no session is left", func() bool { return w.connector.Live() == 0 })
}

func TestAnIdleConnectionOverSSHEndsByItself(t *testing.T) {
	w := newWorldWithoutDevices(t)
	d := w.addDatabase("quiet-db", func(d *gatev1.Device) { d.IdleLimit = durationpb.New(time.Second) })
	address, ssh := w.forwards("alice", "quiet-db", fmt.Sprintf("quiet-db:%d", d.port))
	idle, err := pgconn.Connect(t.Context(), "postgres://whoever@"+address+"/postgres?sslmode=disable")
	must(t, err)
	defer func() { _ = idle.Conn().Close() }()
	refusal := new(pgconn.PgError)
	if err := idle.WaitForNotification(t.Context()); !errors.As(err, &refusal) || !strings.Contains(refusal.Message, "end when nothing happens for 1s") {
		t.Errorf("it ended with %v", err)
	}
	another, err := pgconn.Connect(t.Context(), "postgres://whoever@"+address+"/postgres?sslmode=disable")
	must(t, err)
	must(t, another.Close(t.Context()))
	must(t, ssh.Process.Kill())
	eventually(t, "no session is left", func() bool { return w.connector.Live() == 0 && len(w.kept()) == 0 })
}

func TestASelectorOfTCPEndsSessionsOverTCPAlone(t *testing.T) {
	w := newWorld(t)
	place, _ := w.addEcho("erp", nil)
	shell := w.live("alice", "db-1")
	k := start(t, w.reaches("alice", "erp", place))
	_, err := k.in.Write([]byte("begun"))
	must(t, err)
	k.awaits(t, "begun")
	w.strike(termination(&emergencyv1.Selector{Protocols: []string{"TCP"}}))
	k.ends(t, time.Second)
	_, err = shell.in.Write([]byte("still here\n"))
	must(t, err)
	shell.awaits(t, "still here")
}

func TestALimitEndsASessionOverTCP(t *testing.T) {
	w := newWorldWithoutDevices(t)
	place, _ := w.addEcho("erp", func(d *gatev1.Device) { d.IdleLimit = durationpb.New(time.Second) })
	k := start(t, w.reaches("alice", "erp", place))
	_, err := k.in.Write([]byte("begun"))
	must(t, err)
	k.awaits(t, "begun")
	k.ends(t, 10*time.Second)
	eventually(t, "no session is left", func() bool { return w.connector.Live() == 0 })
}

func TestASuspendedConnectionHoldsWhatIsSentAndLosesNothingOfIt(t *testing.T) {
	w := newWorldWithoutDevices(t)
	place, _ := w.addEcho("erp", nil)
	cmd := w.reaches("alice", "erp", place)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	says := func(text string) {
		t.Helper()
		_, err := io.WriteString(in, text)
		must(t, err)
	}
	hears := make(chan string, 100)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			hears <- lines.Text()
		}
		close(hears)
	}()
	heard := func(want string) {
		t.Helper()
		select {
		case got := <-hears:
			if got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("never heard %q", want)
		}
	}
	says("before\n")
	heard("before")
	w.hub.suspend(t, true, "An administrator holds it")
	says("one\ntwo\n")
	select {
	case got := <-hears:
		t.Errorf("what was sent has passed: %q", got)
	case <-time.After(300 * time.Millisecond): // in which an echo comes a hundred times over
	}
	w.hub.suspend(t, false, "It goes on")
	must(t, in.Close())
	for _, want := range []string{"one", "two", "heard 15"} {
		heard(want)
	}
}
