package bastion

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	gatev1 "portcullis.dev/proto/portcullis/gate/v1"
	"portcullis.dev/services/internal/ports"
)

// inherited names the folder of a bastion that another process has left.
const inherited = "BASTION_INHERITED_FOLDER"

// database is a real PostgreSQL, one for all tests: "owner" may all and "app" signs in with a password, over TLS.
type database struct {
	port   int
	ca     string
	dir    string
	server *exec.Cmd
}

const appPassword = "of the application"

var theDatabase = sync.OnceValues(newDatabase)

func TestMain(m *testing.M) {
	code := m.Run()
	if started {
		if d, err := theDatabase(); err == nil {
			d.close()
		}
	}
	os.Exit(code)
}

var started bool

func aDatabase(t testing.TB) *database {
	t.Helper()
	program(t, "psql")
	started = true
	d, err := theDatabase()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("LEFT OUT: PostgreSQL is not installed (Debian: apt install postgresql), so nothing here was tried with a real server")
	}
	must(t, err)
	return d
}

// serverProgram finds what Debian keeps out of the way.
func serverProgram(name string) (string, error) {
	if all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(all) > 0 {
		return all[len(all)-1], nil
	}
	return exec.LookPath(name)
}

func newDatabase() (*database, error) {
	initdb, err := serverProgram("initdb")
	if err != nil {
		return nil, err
	}
	postgres, err := serverProgram("postgres")
	if err != nil {
		return nil, err
	}
	d := &database{}
	if d.dir, err = os.MkdirTemp("", "postgres"); err != nil {
		return nil, err
	}
	as, err := unprivileged(d.dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(d.dir, "data")
	make := exec.Command(initdb, "-D", data, "--no-sync", "-A", "trust", "-U", "owner", "--locale=C", "-E", "UTF8")
	make.SysProcAttr, make.Dir = as, d.dir
	if out, err := make.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	if err := d.configure(data, as); err != nil {
		return nil, err
	}
	d.server = exec.Command(postgres, "-D", data)
	d.server.SysProcAttr, d.server.Dir = as, d.dir
	if err := d.server.Start(); err != nil {
		return nil, err
	}
	return d, d.begin()
}

// unprivileged is whom the server runs as: it refuses to be root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	who, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, os.Chown(dir, uid, gid)
}

func (d *database) configure(data string, as *syscall.SysProcAttr) error {
	free, err := ports.Free(1)
	if err != nil {
		return err
	}
	d.port = int(netip.MustParseAddrPort(free[0]).Port())
	ca, cert, key, err := signedCertificate()
	if err != nil {
		return err
	}
	d.ca = ca
	files := map[string]string{
		"server.crt": cert, "server.key": key,
		"postgresql.conf": fmt.Sprintf("listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\nssl = on\nfsync = off\nmax_connections = 40\npassword_encryption = scram-sha-256\n", d.port, d.dir),
		"pg_hba.conf":     "host all owner 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
	}
	for name, text := range files {
		file := filepath.Join(data, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		if as != nil {
			if err := os.Chown(file, int(as.Credential.Uid), int(as.Credential.Gid)); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin waits until the server answers, and makes the role that sessions have.
func (d *database) begin() error {
	var owner *pgconn.PgConn
	err := errors.New("not asked yet")
	for deadline := time.Now().Add(20 * time.Second); err != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		}
		owner, err = d.connect(context.Background(), "owner", "", "")
	}
	defer func() { _ = owner.Close(context.Background()) }()
	_, err = owner.Exec(context.Background(), "create role app login password '"+appPassword+"'").ReadAll()
	return err
}

// connect goes to the server itself, past any bastion.
func (d *database) connect(ctx context.Context, user, password, settings string) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=%s password='%s' dbname=postgres sslmode=prefer %s", d.port, user, password, settings))
}

func (d *database) close() {
	_ = d.server.Process.Signal(syscall.SIGQUIT)
	_ = d.server.Wait()
	_ = os.RemoveAll(d.dir)
}

// ask answers the first field of the first row.
func (d *database) ask(t testing.TB, query string) string {
	t.Helper()
	owner, err := d.connect(t.Context(), "owner", "", "")
	must(t, err)
	defer func() { _ = owner.Close(context.Background()) }()
	rows, err := owner.Exec(t.Context(), query).ReadAll()
	must(t, err)
	return string(rows[0].Rows[0][0])
}

// running is how many of the role's backends do something, or are there at all.
func (d *database) running(t testing.TB, like string) int {
	t.Helper()
	n, err := strconv.Atoi(d.ask(t, "select count(*) from pg_stat_activity where usename = 'app' and query like '%"+like+"%'"))
	must(t, err)
	return n
}

func signedCertificate() (ca, cert, key string, err error) {
	sign := func(template, parent *x509.Certificate, by *ecdsa.PrivateKey) (string, *ecdsa.PrivateKey, error) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "", nil, err
		}
		if by == nil {
			by = private
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), by)
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), private, err
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	ca, signer, err := sign(authority, authority, nil)
	if err != nil {
		return
	}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	cert, private, err := sign(server, authority, signer)
	if err != nil {
		return
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	return ca, cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}

// addDatabase makes the real PostgreSQL a device, and lets alice and root in by password.
func (w *world) addDatabase(name string, edit func(*gatev1.Device)) *database {
	w.t.Helper()
	d := aDatabase(w.t)
	device := &gatev1.Device{Name: name, Host: "127.0.0.1", Port: uint32(d.port), Protocol: gatev1.Protocol_POSTGRES, ServerCa: d.ca, CredentialSet: true}
	if edit != nil {
		edit(device)
	}
	w.gate.add(device)
	w.setCredential(name, &gatev1.Credential{Username: "app", Password: appPassword})
	w.people.mu.Lock()
	defer w.people.mu.Unlock()
	w.people.passwords["alice"], w.people.passwords["root"] = "of alice", "of root"
	return d
}

// psql is a client, not started, that does one thing after the other.
func (w *world) psql(person, device string, commands ...string) *exec.Cmd {
	return w.psqlAs(person+"%"+device, "of "+person, "sslmode=verify-full", commands...)
}

func (w *world) psqlAs(login, password, settings string, commands ...string) *exec.Cmd {
	host, port, _ := net.SplitHostPort(w.served)
	args := []string{"-X", "-At", fmt.Sprintf("host=localhost hostaddr=%s port=%s user=%s dbname=postgres sslrootcert=%s %s",
		host, port, login, filepath.Join(w.data, "bastion", "postgres.crt"), settings)}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	cmd := exec.CommandContext(w.t.Context(), program(w.t, "psql"), args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "PGCONNECT_TIMEOUT=20")
	return cmd
}

// sleeps starts a client whose server works for ten minutes, and waits until it does.
func (w *world) sleeps(d *database, person, device, mark string) *client {
	w.t.Helper()
	k := start(w.t, w.psql(person, device, "select pg_sleep(600) as "+mark))
	eventually(w.t, "the server works", func() bool { return d.running(w.t, mark) == 1 })
	return k
}

// kept are the backends that the bastion has on disk.
func (w *world) kept() []os.DirEntry {
	files, err := os.ReadDir(filepath.Join(w.data, "backends"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Error(err)
	}
	return files
}

// cable lies between the bastion and a server. The server does not notice when the bastion is gone.
type cable struct {
	net.Listener
	to string
}

func newCable(t testing.TB, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cable{l, to}
	ctx, cut := context.WithCancel(context.Background())
	t.Cleanup(func() { cut(); _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(ctx, near)
		}
	}()
	return c
}

func (c *cable) carry(ctx context.Context, near net.Conn) {
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		_ = near.Close()
		return
	}
	defer context.AfterFunc(ctx, func() { _ = near.Close(); _ = far.Close() })()
	go func() { _, _ = far.(*net.TCPConn).ReadFrom(near) }() // and not a word to the server when it ends
	_, _ = near.(*net.TCPConn).ReadFrom(far)
	_ = near.Close()
	_ = far.Close()
}

func (c *cable) port() uint32 { return uint32(c.Addr().(*net.TCPAddr).Port) }

// silent is a connection whose other end says nothing, and reads nothing.
func silent(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }
