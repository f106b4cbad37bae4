package bastion

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"google.golang.org/protobuf/proto"

	"portcullis.dev/pkg/emergency"
	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	sessionv1 "portcullis.dev/proto/portcullis/session/v1"
	"portcullis.dev/services/internal/journal"
	"portcullis.dev/services/internal/local"
	"portcullis.dev/services/internal/ports"
	"portcullis.dev/services/internal/seal"
)

// world is a bastion between real OpenSSH clients and a real sshd.
type world struct {
	*Service
	t      testing.TB
	people *people
	gate   *gate
	hub    *hub
	sealer seal.Sealer
	stream *journal.Stream
	addr   string
	served string // where PostgreSQL is
	dir    string
	data   string // the bastion's folder
	stop   func()

	journal *journal.Journal
	opener  seal.Opener
}

func program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("LEFT OUT: %s is not installed (Debian: apt install openssh-server openssh-client), so nothing here was tried with real OpenSSH", names[0])
	return ""
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newKey writes a key pair, and answers the public part.
func newKey(t testing.TB, file string) ssh.PublicKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	key, err := ssh.NewPublicKey(public)
	must(t, err)
	must(t, os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(key), 0o600))
	return key
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := newWorldWithoutDevices(t)
	w.addSSHD("db-1")
	return w
}

func newWorldWithoutDevices(t testing.TB) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "bastion")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, seal.Create(filepath.Join(dir, "keys")))
	keys := seal.Open(filepath.Join(dir, "keys"))
	opener, err := keys.Opener()
	must(t, err)
	sealer, err := keys.Sealer()
	must(t, err)
	server, err := local.Start(local.Config{Dir: filepath.Join(dir, "journal")})
	must(t, err)
	t.Cleanup(server.Shutdown)
	j, err := journal.Connect(t.Context(), journal.Config{InProcess: server.InProcess()})
	must(t, err)
	t.Cleanup(j.Close)
	must(t, journal.Create(t.Context(), j, journal.Streams(1)))
	stream, err := j.Stream(t.Context(), "CREDENTIAL")
	must(t, err)
	w := &world{t: t, dir: dir, data: filepath.Join(dir, "data"), gate: newGate(), hub: newHub(), sealer: sealer, stream: stream, journal: j, opener: opener,
		people: &people{keys: map[string][]byte{}, passwords: map[string]string{"carol": "right"}, codes: map[string]string{"carol": "123456"}}}
	for _, name := range []string{"root", "alice"} {
		w.people.keys[name] = newKey(t, filepath.Join(dir, name)).Marshal()
	}
	newKey(t, filepath.Join(dir, "stranger"))
	w.run(w.gate, w.hub)
	return w
}

// run starts the bastion, another if there is one, against a gate and a broker.
func (w *world) run(gate gatev1.AccessClient, broker sessionv1.ConnectorsClient) {
	t := w.t
	if shared := os.Getenv(inherited); shared != "" { // what another process has left
		w.data = shared
	}
	key, err := hostKey(filepath.Join(w.data, "host.pem"))
	must(t, err)
	served, err := Settings{Data: w.data, Postgres: "localhost:0"}.postgres()
	must(t, err)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	listening := map[string]chan net.Listener{"127.0.0.1:0": make(chan net.Listener, 1), "localhost:0": make(chan net.Listener, 1)}
	w.Service, err = New(Config{Address: "127.0.0.1:0", ID: "bastion-1", HostKey: key, Postgres: served, PostgresAddress: "localhost:0"}, Deps{
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			listening[address] <- l
			return l, err
		},
		Journal: w.journal, Opener: w.opener, Identity: w.people, Gate: gate, Devices: w.gate, Broker: broker, Now: time.Now, Log: log,
	})
	must(t, err)
	w.gate.live = w.connector.Live
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.addr, w.served = (<-listening["127.0.0.1:0"]).Addr().String(), (<-listening["localhost:0"]).Addr().String()
	w.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run answered %v when its context ended", err)
		}
	})
	t.Cleanup(w.stop)
	host, port, _ := net.SplitHostPort(w.addr)
	known := fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(key.PublicKey()))
	must(t, os.WriteFile(filepath.Join(w.dir, "known_hosts"), []byte(known), 0o600))
	eventually(t, "the bastion is attached", func() bool { return !w.connector.Held().IsZero() && w.vault.stream.Load() != nil })
}

// addSSHD starts a real sshd and makes it a device, with its host key pinned and a credential.
func (w *world) addSSHD(name string) *gatev1.Device {
	t := w.t
	sshd := program(t, "sshd", "/usr/sbin/sshd")
	dir := filepath.Join(w.dir, name)
	must(t, os.Mkdir(dir, 0o700))
	hostKey := newKey(t, filepath.Join(dir, "host"))
	login := newKey(t, filepath.Join(dir, "login"))
	must(t, os.WriteFile(filepath.Join(dir, "authorized"), ssh.MarshalAuthorizedKey(login), 0o600))
	free, err := ports.Free(1)
	must(t, err)
	port := int(netip.MustParseAddrPort(free[0]).Port())
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nAcceptEnv GREETING\nSubsystem sftp internal-sftp\nAllowAgentForwarding yes\nX11Forwarding yes\n",
		port, filepath.Join(dir, "host"), filepath.Join(dir, "authorized"))
	must(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	if os.Getuid() == 0 {
		must(t, os.MkdirAll("/run/sshd", 0o755))
	}
	server := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "config"))
	must(t, server.Start())
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	eventually(t, "sshd answers", func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	private, err := os.ReadFile(filepath.Join(dir, "login"))
	must(t, err)
	me, err := user.Current()
	must(t, err)
	d := &gatev1.Device{Name: name, Host: "127.0.0.1", Port: uint32(port), Protocol: gatev1.Protocol_SSH, HostKey: string(ssh.MarshalAuthorizedKey(hostKey)), CredentialSet: true}
	w.gate.add(d)
	w.setCredential(name, &gatev1.Credential{Username: me.Username, PrivateKey: string(private)})
	return d
}

func (w *world) setCredential(device string, c *gatev1.Credential) {
	w.t.Helper()
	subject := "credential.device." + device
	plain, err := proto.Marshal(c)
	must(w.t, err)
	sealed, err := w.sealer.Seal(plain, subject)
	must(w.t, err)
	data, err := proto.Marshal(&gatev1.CredentialRecord{Sealed: sealed})
	must(w.t, err)
	_, err = w.stream.Append(w.t.Context(), journal.Message{Subject: subject, Data: data})
	must(w.t, err)
}

// options are what every OpenSSH client is started with, as one person.
func (w *world) options(person string) []string {
	return []string{"-F", "none", "-o", "UserKnownHostsFile=" + filepath.Join(w.dir, "known_hosts"), "-o", "StrictHostKeyChecking=yes",
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "IdentityFile=" + filepath.Join(w.dir, person), "-o", "LogLevel=ERROR"}
}

func (w *world) port() string { _, port, _ := net.SplitHostPort(w.addr); return port }

// ssh is a client, not started: what is in front of the command goes to ssh itself.
func (w *world) ssh(person, device string, front []string, command ...string) *exec.Cmd {
	args := append(w.options(person), "-p", w.port())
	args = append(append(args, front...), person+"%"+device+"@127.0.0.1")
	return exec.CommandContext(w.t.Context(), program(w.t, "ssh"), append(args, command...)...)
}

// result is how a client ended.
type result struct {
	out, err string
	status   int
}

func outcome(t testing.TB, c *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	_ = c.Run() // the status says
	return result{out.String(), errs.String(), c.ProcessState.ExitCode()}
}

// client is one that runs.
type client struct {
	*exec.Cmd
	in     io.WriteCloser
	mu     sync.Mutex
	text   bytes.Buffer
	errs   bytes.Buffer
	exited chan struct{}
}

// complaints is the client's other output, apart: nothing that it had still to show pushes it out of sight.
type complaints struct{ *client }

func (e complaints) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.errs.Write(p)
}

// start runs a client whose output, both kinds, is kept.
func start(t testing.TB, c *exec.Cmd) *client {
	t.Helper()
	k := &client{Cmd: c, exited: make(chan struct{})}
	var err error
	k.in, err = c.StdinPipe()
	must(t, err)
	c.Stdout, c.Stderr = k, complaints{k}
	must(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill(); <-k.exited })
	go func() { _ = c.Wait(); close(k.exited) }()
	return k
}

func (k *client) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.text.Len() > 1<<16 { // the last of it is enough
		k.text.Next(k.text.Len() - 1<<15)
	}
	return k.text.Write(p)
}

func (k *client) said() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.String() + k.errs.String()
}

func (k *client) awaits(t testing.TB, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the client shows %q", text), func() bool { return strings.Contains(k.said(), text) })
}

func (k *client) ends(t testing.TB, within time.Duration) {
	t.Helper()
	select {
	case <-k.exited:
	case <-time.After(within):
		t.Errorf("a client still runs %v later; it shows %q", within, k.said())
	}
}

// live starts a command that goes on, and waits until it does.
func (w *world) live(person, device string) *client {
	w.t.Helper()
	k := start(w.t, w.ssh(person, device, nil, "echo begun; cat"))
	k.awaits(w.t, "begun")
	return k
}

func texts() emergency.Texts { return emergency.Texts{} }
