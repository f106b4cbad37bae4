package target

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Postgres is a real PostgreSQL server, over TLS: the role "owner" may all and signs in from here without a word, "app" has a password.
type Postgres struct {
	Port     int
	CA       string // that its certificate is signed by
	Password string // of app
	cmd      *exec.Cmd
	folder   string
	said     bytes.Buffer
}

// StartPostgres starts one on loopback. It refuses to be root: as root it runs as nobody, in a folder of its own.
func StartPostgres() (*Postgres, error) {
	programs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // where Debian keeps them
	if _, err := exec.LookPath("psql"); err != nil || len(programs) == 0 {
		return nil, errNoPostgres
	}
	at := programs[len(programs)-1]
	p := &Postgres{Password: rand.Text()}
	var err error
	if p.folder, err = os.MkdirTemp("", "postgres-"); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.Port = listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	data := filepath.Join(p.folder, "data")
	if err := os.Chmod(p.folder, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(p.folder, nobody, nobody); err != nil {
			return nil, err
		}
	}
	if out, err := p.as(exec.Command(filepath.Join(at, "initdb"), "-D", data, "--no-sync", "-A", "trust", "-U", "owner", "--locale=C", "-E", "UTF8")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making a database: %w: %s", err, out)
	}
	if err := p.configure(data); err != nil {
		return nil, err
	}
	p.cmd = p.as(exec.Command(filepath.Join(at, "postgres"), "-D", data))
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, err := p.Ask("create role app login password '" + p.Password + "'")
		if err == nil {
			return p, nil
		}
		if time.Now().After(deadline) {
			p.Stop()
			return nil, fmt.Errorf("PostgreSQL does not answer: %w: %s", err, out)
		}
	}
}

const nobody = 65534

var errNoPostgres = errors.New("PostgreSQL is not installed (Debian: apt install postgresql postgresql-client); deploy/ci/prepare.sh does it")

// as has a program run as whoever the server is.
func (p *Postgres) as(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = p.folder
	dieWithParent(cmd)
	if os.Geteuid() == 0 {
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

func (p *Postgres) configure(data string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	itself := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, itself, itself, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	p.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	for name, text := range map[string]string{
		"server.crt": p.CA, "server.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		"postgresql.conf": fmt.Sprintf("listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = ''\nssl = on\nfsync = off\nmax_connections = 20\n", p.Port),
		"pg_hba.conf":     "host all owner 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
	} {
		file := filepath.Join(data, name)
		err := os.WriteFile(file, []byte(text), 0o600)
		if os.Geteuid() == 0 {
			err = errors.Join(err, os.Chown(file, nobody, nobody))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Ask runs a statement as the owner, past any bastion, and answers what it gives.
func (p *Postgres) Ask(statement string) (string, error) {
	out, err := exec.Command("psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port), "-U", "owner", "-d", "postgres", "-c", statement).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Stop ends it and takes its data away.
func (p *Postgres) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	_ = p.cmd.Wait()
	_ = os.RemoveAll(p.folder)
}
