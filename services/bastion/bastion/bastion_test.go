package bastion

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"portcullis.dev/pkg/emergency"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

func window(kind emergencyv1.Emergency_Kind, until time.Time) func(emergency.Revision) *emergencyv1.Emergency {
	return func(r emergency.Revision) *emergencyv1.Emergency {
		return &emergencyv1.Emergency{Id: fmt.Sprintf("%.1s-%04d", kind, r.Sequence), Kind: kind, Revision: r.String(), CutoffRevision: r.String(),
			Started: true, CreateTime: timestamppb.Now(), StartTime: timestamppb.Now(), EndTime: timestamppb.New(until)}
	}
}

func termination(sel *emergencyv1.Selector) func(emergency.Revision) *emergencyv1.Emergency {
	return func(r emergency.Revision) *emergencyv1.Emergency {
		return &emergencyv1.Emergency{Id: fmt.Sprintf("T-%04d", r.Sequence), Kind: emergencyv1.Emergency_TERMINATION, Revision: r.String(),
			CutoffRevision: r.String(), CreateTime: timestamppb.Now(), Selector: sel}
	}
}

func TestACommandRunsOnTheDeviceAndItsStatusComesBack(t *testing.T) {
	w := newWorld(t)
	cmd := w.ssh("alice", "db-1", []string{"-o", "SendEnv=GREETING"}, `echo "$GREETING"; echo loud >&2; cat; exit 7`)
	cmd.Env = append(os.Environ(), "GREETING=hello")
	cmd.Stdin = strings.NewReader("from here\n")
	got := outcome(t, cmd)
	if got.status != 7 || got.out != "hello\nfrom here\n" || got.err != "loud\n" {
		t.Errorf("got %+v", got)
	}
	if got := outcome(t, w.ssh("alice", "db-1", nil, "kill -TERM $$")); got.status != 255 && got.status != 143 {
		t.Errorf("a command that a signal ended: %+v", got)
	}
	eventually(t, "no session is left", func() bool { return w.connector.Live() == 0 })
}

func TestAShellHasATerminalThatResizes(t *testing.T) {
	w := newWorld(t)
	pty := openPTY(t, 24, 80)
	cmd := w.ssh("alice", "db-1", []string{"-tt"})
	k := pty.start(t, cmd)
	pty.types(t, "stty size; echo first-$((1+1))\r")
	k.awaits(t, "first-2")
	if !strings.Contains(k.said(), "24 80") {
		t.Errorf("the terminal is not 24 by 80: %q", k.said())
	}
	pty.resize(t, 50, 132)
	must(t, cmd.Process.Signal(syscall.SIGWINCH))
	eventually(t, "the device's terminal is 50 by 132", func() bool {
		pty.types(t, "stty size\r")
		time.Sleep(50 * time.Millisecond)
		return strings.Contains(k.said(), "50 132")
	})
	pty.types(t, "exit 3\r")
	k.ends(t, 5*time.Second)
	if got := cmd.ProcessState.ExitCode(); got != 3 {
		t.Errorf("the status is %d", got)
	}
}

func TestAWholeTerminalIsInterrupted(t *testing.T) {
	w := newWorld(t)
	pty := openPTY(t, 24, 80)
	k := pty.start(t, w.ssh("alice", "db-1", []string{"-tt"}, "echo begun; sleep 60"))
	k.awaits(t, "begun")
	pty.types(t, "\x03")
	k.ends(t, 5*time.Second)
}

func TestFilesGoBothWaysByScpAndSftp(t *testing.T) {
	w := newWorld(t)
	here, there, back := filepath.Join(w.dir, "here"), filepath.Join(w.dir, "there"), filepath.Join(w.dir, "back")
	content := strings.Repeat("0123456789abcdef\n", 300_000) // 5 MB: more than any window
	must(t, os.WriteFile(here, []byte(content), 0o600))
	for _, protocol := range [][]string{{"-s"}, {"-O"}} { // SFTP, and the old SCP
		scp := func(from, to string) result {
			args := append(append(w.options("alice"), "-P", w.port()), protocol...)
			return outcome(t, command(t, "scp", append(args, from, to)...))
		}
		remote := "scp://alice%25db-1@127.0.0.1:" + w.port() + "/" + there
		if protocol[0] == "-O" {
			remote = "alice%db-1@127.0.0.1:" + there
		}
		if got := scp(here, remote); got.status != 0 {
			t.Fatalf("%v to the device: %+v", protocol, got)
		}
		if got := scp(remote, back); got.status != 0 {
			t.Fatalf("%v from the device: %+v", protocol, got)
		}
		if got, _ := os.ReadFile(back); string(got) != content {
			t.Errorf("%v: %d bytes came back, of %d", protocol, len(got), len(content))
		}
		must(t, os.Remove(there))
	}
	sftp := command(t, "sftp", append(w.options("alice"), "-P", w.port(), "-b", "-", "alice%db-1@127.0.0.1")...)
	sftp.Stdin = strings.NewReader("put " + here + " " + there + "\nls " + there + "\n")
	if got := outcome(t, sftp); got.status != 0 || !strings.Contains(got.out, there) {
		t.Errorf("sftp: %+v", got)
	}
}

func TestAFreezeRefusesWithItsTimeAndSparesAdministratorsAndLiveSessions(t *testing.T) {
	w := newWorld(t)
	live := w.live("alice", "db-1")
	until := time.Now().Add(time.Hour)
	w.strike(window(emergencyv1.Emergency_FREEZE, until))
	got := outcome(t, w.ssh("alice", "db-1", nil, "echo in"))
	if got.status != 255 || !strings.Contains(got.err, "db-1 is frozen until "+texts().Time(until)) || got.out != "" {
		t.Errorf("got %+v", got)
	}
	if got := outcome(t, w.ssh("root", "db-1", nil, "echo in")); got.status != 0 || got.out != "in\n" {
		t.Errorf("an administrator: %+v", got)
	}
	_, err := live.in.Write([]byte("still here\n"))
	must(t, err)
	live.awaits(t, "still here")
	pty := openPTY(t, 24, 80)
	k := pty.start(t, w.ssh("alice", "db-1", []string{"-tt"}))
	k.awaits(t, "db-1 is frozen until ")
	k.ends(t, 5*time.Second)
	sftp := command(t, "sftp", append(w.options("alice"), "-P", w.port(), "-b", "-", "alice%db-1@127.0.0.1")...)
	if got := outcome(t, sftp); got.status == 0 || !strings.Contains(got.err, "db-1 is frozen until ") {
		t.Errorf("sftp: %+v", got)
	}
}

func TestANewChannelOnALiveConnectionAsksTheGate(t *testing.T) {
	w := newWorld(t)
	control := filepath.Join(w.dir, "control")
	master := start(t, w.ssh("alice", "db-1", []string{"-o", "ControlMaster=yes", "-o", "ControlPath=" + control}, "echo begun; cat"))
	master.awaits(t, "begun")
	second := func() result {
		return outcome(t, w.ssh("alice", "db-1", []string{"-o", "ControlMaster=no", "-o", "ControlPath=" + control}, "echo in"))
	}
	if got := second(); got.status != 0 || got.out != "in\n" {
		t.Errorf("before: %+v", got)
	}
	w.strike(window(emergencyv1.Emergency_FREEZE, time.Now().Add(time.Hour)))
	if got := second(); got.status == 0 || !strings.Contains(got.err, "frozen until") {
		t.Errorf("during a freeze: %+v", got)
	}
	_, err := master.in.Write([]byte("goes on\n"))
	must(t, err)
	master.awaits(t, "goes on")
}

func TestALockdownEndsLiveSessionsWithinASecondAndSaysWhyAndUntilWhen(t *testing.T) {
	w := newWorld(t)
	pty := openPTY(t, 24, 80)
	all := []*client{w.live("alice", "db-1"), w.live("root", "db-1"), pty.start(t, w.ssh("alice", "db-1", []string{"-tt"}, "echo begun; cat"))}
	all[2].awaits(t, "begun")
	busy := start(t, w.ssh("alice", "db-1", nil, "cat /dev/zero | head -c 10000000000 | tr '\\0' x")) // output as fast as it goes
	busy.awaits(t, "xxxx")
	until := time.Now().Add(time.Hour)
	struck := time.Now()
	w.strike(window(emergencyv1.Emergency_LOCKDOWN, until))
	for _, k := range append(all, busy) {
		k.ends(t, time.Second-time.Since(struck))
		if !strings.Contains(k.said(), "under lockdown") || !strings.Contains(k.said(), "until "+texts().Time(until)) {
			t.Errorf("a client shows %q", tail(k.said()))
		}
		if status := k.ProcessState.ExitCode(); status != 255 {
			t.Errorf("a client ends with %d", status)
		}
	}
	eventually(t, "the broker has heard of the ends", func() bool {
		w.hub.mu.Lock()
		defer w.hub.mu.Unlock()
		return len(w.hub.ended) == 4 && len(w.hub.open) == 0
	})
	got := outcome(t, w.ssh("alice", "db-1", nil, "echo in"))
	if got.status != 255 || !strings.Contains(got.err, "under Lockdown until "+texts().Time(until)) {
		t.Errorf("a new one: %+v", got)
	}
}

func tail(text string) string { return text[max(0, len(text)-300):] }

func TestASessionThatOpensAfterATerminationGoesOn(t *testing.T) {
	w := newWorld(t)
	old := w.live("alice", "db-1")
	w.strike(termination(&emergencyv1.Selector{Users: []string{"alice"}}))
	old.ends(t, time.Second)
	if !strings.Contains(old.said(), "Terminated by an administrator") || !strings.Contains(old.said(), "New sessions may start") {
		t.Errorf("it shows %q", old.said())
	}
	fresh := w.live("alice", "db-1")
	w.hub.send(w.hub.standing)
	_, err := fresh.in.Write([]byte("goes on\n"))
	must(t, err)
	fresh.awaits(t, "goes on")
}

func TestAPeerThatReadsNothingIsCutOffAllTheSame(t *testing.T) {
	w := newWorld(t)
	k := start(t, w.ssh("alice", "db-1", nil, "echo begun; sleep 0.5; cat /dev/zero"))
	k.awaits(t, "begun")
	must(t, k.Process.Signal(syscall.SIGSTOP))
	defer func() { _ = k.Process.Signal(syscall.SIGCONT) }()
	time.Sleep(time.Second) // until every buffer is full
	struck := time.Now()
	w.strike(termination(&emergencyv1.Selector{All: true}))
	eventually(t, "the session is over", func() bool { return w.connector.Live() == 0 })
	if took := time.Since(struck); took > 700*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

func TestACutWhileTheDeviceIsDialledIsToldToo(t *testing.T) {
	w := newWorld(t)
	slow := make(chan struct{})
	w.gate.mu.Lock()
	w.gate.slow = slow
	w.gate.mu.Unlock()
	k := start(t, w.ssh("alice", "db-1", nil, "echo in"))
	eventually(t, "the session is being opened", func() bool { return w.hub.sessions(sessionv1.Session_OPENING) == 1 })
	w.strike(termination(&emergencyv1.Selector{All: true}))
	k.ends(t, time.Second)
	close(slow)
	if strings.Contains(k.said(), "in\n") || !strings.Contains(k.said(), "Terminated by an administrator") {
		t.Errorf("it shows %q", k.said())
	}
}

func TestForwardingIsRefused(t *testing.T) {
	w := newWorld(t)
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = echo.Close() }()
	reached := make(chan struct{}, 1)
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			_ = conn.Close()
		}
	}()
	got := outcome(t, w.ssh("alice", "db-1", []string{"-W", echo.Addr().String()}))
	if got.status == 0 || !strings.Contains(got.err, "forwarding failed") {
		t.Errorf("-W: %+v", got)
	}
	got = outcome(t, w.ssh("alice", "db-1", []string{"-o", "ExitOnForwardFailure=yes", "-R", "0:" + echo.Addr().String()}, "echo in"))
	if got.status == 0 || got.out != "" {
		t.Errorf("-R: %+v", got)
	}
	agent := w.ssh("alice", "db-1", []string{"-A"}, `echo "agent=$SSH_AUTH_SOCK display=$DISPLAY"`)
	agent.Env = append(os.Environ(), "SSH_AUTH_SOCK="+filepath.Join(w.dir, "no-agent"), "DISPLAY=:0")
	if got := outcome(t, agent); got.out != "agent= display=\n" {
		t.Errorf("-A: %+v", got)
	}
	select {
	case <-reached:
		t.Error("something came through")
	default:
	}
}

func TestADeviceThatShowsAnotherHostKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	other := newKey(t, filepath.Join(w.dir, "other"))
	w.gate.edit("db-1", func(d *gatev1.Device) { d.HostKey = string(authorized(other)) })
	got := outcome(t, w.ssh("alice", "db-1", nil, "echo in"))
	if got.status != 255 || got.out != "" || !strings.Contains(got.err, "shows another host key") {
		t.Errorf("got %+v", got)
	}
	w.gate.edit("db-1", func(d *gatev1.Device) { d.HostKey = "" })
	got = outcome(t, w.ssh("alice", "db-1", nil, "echo in"))
	if got.status != 255 || !strings.Contains(got.err, "device trust db-1") {
		t.Errorf("without a pinned key: %+v", got)
	}
	shown, err := w.ShowHostKey(t.Context(), &sessionv1.ShowHostKeyRequest{Host: "127.0.0.1", Port: w.gate.devices["db-1"].GetPort()})
	must(t, err)
	w.gate.edit("db-1", func(d *gatev1.Device) { d.HostKey = shown.GetAuthorizedKeyLine() })
	if got := outcome(t, w.ssh("alice", "db-1", nil, "echo in")); got.out != "in\n" {
		t.Errorf("with the key that it shows: %+v", got)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	w := newWorld(t)
	w.addSSHD("db-2")
	w.setCredential("db-2", &gatev1.Credential{Username: "nobody-at-all", Password: "wrong"})
	for _, c := range []struct {
		change func()
		want   string
	}{
		{func() {}, "check its credential"},
		{func() { w.setCredential("db-2", &gatev1.Credential{Username: "root", PrivateKey: "no key"}) }, "set it again"},
		{func() {
			w.setCredential("db-2", &gatev1.Credential{Username: "root", Password: "another device's"})
			w.gate.edit("db-2", func(d *gatev1.Device) { d.CredentialSet = false })
		}, "no credential yet"},
		{func() {
			w.gate.edit("db-2", func(d *gatev1.Device) { d.CredentialSet = true })
			w.clearCredential("db-2")
		}, "no credential yet"},
		{func() {
			w.setCredential("db-2", &gatev1.Credential{Username: "root"})
			w.gate.edit("db-2", func(d *gatev1.Device) { d.Port = 1 })
		}, "does not answer"},
		{func() { w.gate.edit("db-2", func(d *gatev1.Device) { d.Protocol = gatev1.Protocol_KUBERNETES }) }, "does not speak SSH"},
	} {
		c.change()
		got := outcome(t, w.ssh("alice", "db-2", nil, "echo in"))
		if got.status != 255 || got.out != "" || !strings.Contains(got.err, c.want) {
			t.Errorf("want %q: %+v", c.want, got)
		}
	}
	if got := outcome(t, w.ssh("alice", "nothing", nil, "echo in")); got.status != 255 || !strings.Contains(got.err, "You have no access to nothing") {
		t.Errorf("a device that is not there: %+v", got)
	}
	eventually(t, "no session is left", func() bool { return w.connector.Live() == 0 })
}

func TestOnlyARegisteredKeyOpensTheDoor(t *testing.T) {
	w := newWorld(t)
	args := append(w.options("stranger"), "-p", w.port(), "alice%db-1@127.0.0.1", "echo in")
	if got := outcome(t, command(t, "ssh", args...)); got.status != 255 || got.out != "" || !strings.Contains(got.err, "Permission denied") {
		t.Errorf("another's key: %+v", got)
	}
	for _, name := range []string{"alice", "alice%", "%db-1", "%"} {
		args := append(w.options("alice"), "-p", w.port(), "-l", name, "127.0.0.1", "echo in")
		if got := outcome(t, command(t, "ssh", args...)); got.status != 255 || got.out != "" {
			t.Errorf("logging in as %q: %+v", name, got)
		}
	}
	w.people.mu.Lock()
	defer w.people.mu.Unlock()
	for _, address := range w.people.addresses {
		if address != "127.0.0.1" {
			t.Errorf("identity heard of the address %q", address)
		}
	}
}

func TestAPasswordTakesTheCodeTooOnceThereIsOne(t *testing.T) {
	w := newWorld(t)
	w.gate.change(func(b *emergency.Builder) { b.PutGroup("more", []string{"carol"}, []string{"db-1"}, false) })
	for _, c := range []struct {
		answers []string
		in      bool
	}{
		{[]string{"right", "123456"}, true},
		{[]string{"right", "000000"}, false},
		{[]string{"wrong", "123456"}, false},
	} {
		got := outcome(t, w.withAnswers("carol", c.answers))
		if (got.out == "in\n") != c.in {
			t.Errorf("%v: %+v", c.answers, got)
		}
	}
	w.people.mu.Lock()
	w.people.codes["carol"] = ""
	w.people.mu.Unlock()
	if got := outcome(t, w.withAnswers("carol", []string{"right"})); got.out != "in\n" {
		t.Errorf("a password of somebody without MFA: %+v", got)
	}
	w.people.mu.Lock()
	w.people.locked = true
	w.people.mu.Unlock()
	if got := outcome(t, w.withAnswers("carol", []string{"right"})); !strings.Contains(got.err, "Try again in ten minutes") {
		t.Errorf("locked out: %+v", got)
	}
}

func TestWhoOnlyHoldsConnectionsOpenLocksNobodyOut(t *testing.T) {
	w := newWorld(t)
	for range maxUnproven + 20 {
		conn, err := net.Dial("tcp", w.addr)
		must(t, err)
		defer func() { _ = conn.Close() }()
	}
	if got := outcome(t, w.ssh("alice", "db-1", nil, "echo in")); got.out != "in\n" {
		t.Errorf("got %+v", got)
	}
}

func TestTheHostKeyIsMadeOnceAndKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a", "host.pem")
	first, err := hostKey(file)
	must(t, err)
	second, err := hostKey(file)
	must(t, err)
	if string(first.PublicKey().Marshal()) != string(second.PublicKey().Marshal()) {
		t.Error("it was made anew")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	must(t, os.WriteFile(file, []byte("no key"), 0o600))
	if _, err := hostKey(file); err == nil {
		t.Error("a broken key was taken")
	}
}

func TestShowHostKeySaysWhenThereIsNone(t *testing.T) {
	w := newWorldWithoutDevices(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := silent.Addr().(*net.TCPAddr).Port
	must(t, silent.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := w.ShowHostKey(ctx, &sessionv1.ShowHostKeyRequest{Host: "127.0.0.1", Port: uint32(port)}); err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("got %v", err)
	}
}
