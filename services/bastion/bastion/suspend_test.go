package bastion

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"portcullis.dev/pkg/connector/conformance"
	emergencyv1 "portcullis.dev/proto/portcullis/emergency/v1"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
)

func TestTheBastionIsASessionHost(t *testing.T) {
	w := newWorld(t)
	w.stop() // what it was with its own broker
	for _, user := range conformance.Users() {
		w.people.keys[user] = newKey(t, filepath.Join(w.dir, user)).Marshal()
	}
	conformance.Run(t, func(t *testing.T, address string) conformance.Host {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		must(t, err)
		w.t.Cleanup(func() { _ = conn.Close() })
		w.run(gatev1.NewAccessClient(conn), sessionv1.NewConnectorsClient(conn))
		return hosting{w}
	})
}

// hosting is the bastion as a session host.
type hosting struct{ *world }

func (h hosting) Kill() { h.stop() }

// Open is an ssh that runs cat.
func (h hosting) Open(t *testing.T, user string) io.ReadWriteCloser {
	cmd := h.ssh(user, conformance.Device, nil, "cat")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, all, err := os.Pipe()
	must(t, err)
	cmd.Stdout, cmd.Stderr = all, all
	must(t, cmd.Start())
	_ = all.Close()
	h.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = out.Close() })
	return seat{out, in}
}

// seat is where a person sits.
type seat struct {
	io.Reader
	io.WriteCloser
}

func TestASuspendedShellHoldsTheKeysAndGoesOnWithThem(t *testing.T) {
	w := newWorld(t)
	pty := openPTY(t, 24, 80)
	cmd := w.ssh("alice", "db-1", []string{"-tt"}, "stty -echo; (while :; do stty size </dev/tty; sleep 0.1; done) & while read -r l; do echo \"got $l\"; done")
	k := pty.start(t, cmd)
	k.awaits(t, "24 80")
	w.hub.suspend(t, true, "An administrator holds it")
	k.awaits(t, "An administrator holds it")
	pty.resize(t, 50, 132) // which goes on, as output does
	must(t, cmd.Process.Signal(syscall.SIGWINCH))
	pty.types(t, "one\rtwo\r")
	k.awaits(t, "50 132")
	if said := k.said(); strings.Contains(said, "got") {
		t.Errorf("what was typed has passed: %q", said)
	}
	w.hub.suspend(t, false, "It goes on")
	k.awaits(t, "It goes on")
	k.awaits(t, "got one")
	k.awaits(t, "got two")
}

func TestWhatIsSentToASuspendedSessionWaitsAndNothingOfItIsLost(t *testing.T) {
	w := newWorld(t)
	there := filepath.Join(w.dir, "there")
	k := start(t, w.ssh("alice", "db-1", nil, "echo begun; cat > "+there))
	k.awaits(t, "begun")
	size := func() int64 {
		info, err := os.Stat(there)
		if err != nil {
			return -1
		}
		return info.Size()
	}
	content := bytes.Repeat([]byte("0123456789abcdef\n"), 500_000) // 8 MB: more than all windows on the way
	half := content[:64<<10]
	_, err := k.in.Write(half)
	must(t, err)
	eventually(t, "some has arrived", func() bool { return size() == int64(len(half)) })
	w.hub.suspend(t, true, "An administrator holds it")
	sent := make(chan error, 1)
	go func() {
		_, err := k.in.Write(content[len(half):])
		sent <- err
		_ = k.in.Close()
	}()
	k.awaits(t, "An administrator holds it")
	if got := outcome(t, w.ssh("alice", "db-1", nil, "echo in")); got.out != "in\n" {
		t.Errorf("another session meanwhile: %+v", got)
	}
	select {
	case <-sent:
		t.Error("all of it was taken")
	default:
	}
	if got := size(); got != int64(len(half)) {
		t.Errorf("%d bytes have arrived, of %d before", got, len(half))
	}
	w.hub.suspend(t, false, "It goes on")
	k.ends(t, 20*time.Second)
	if got, err := os.ReadFile(there); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes arrived, of %d, %v", len(got), len(content), err)
	}
}

func TestASuspendedConnectionOpensNoChannelAndIsCutAsAnyOther(t *testing.T) {
	w := newWorld(t)
	control := filepath.Join(w.dir, "control")
	master := start(t, w.ssh("alice", "db-1", []string{"-o", "ControlMaster=yes", "-o", "ControlPath=" + control}, "echo begun; cat"))
	master.awaits(t, "begun")
	w.hub.suspend(t, true, "An administrator holds it")
	got := outcome(t, w.ssh("alice", "db-1", []string{"-o", "ControlMaster=no", "-o", "ControlPath=" + control}, "echo in"))
	if got.status == 0 || got.out != "" || !strings.Contains(got.err, "An administrator holds it") {
		t.Errorf("a new channel: %+v", got)
	}
	_, err := master.in.Write([]byte("held\n"))
	must(t, err)
	w.strike(termination(&emergencyv1.Selector{All: true}))
	master.ends(t, time.Second)
	if said := master.said(); !strings.Contains(said, "Terminated by an administrator") || strings.Contains(said, "\nheld") {
		t.Errorf("it shows %q", said)
	}
}
