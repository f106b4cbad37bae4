// Package target runs real OpenSSH on both ends of the bastion: servers as devices, clients as people.
package target

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// ErrMissing says that OpenSSH is not installed.
var ErrMissing = errors.New("OpenSSH is not installed")

// Server is a running sshd that takes one key.
type Server struct {
	Host string
	Port int
	// HostKey is its authorized_keys-style line.
	HostKey string
	// User and PrivateKey are what signs in to it.
	User, PrivateKey string

	cmd *exec.Cmd
	log string
}

// StartServer runs sshd in a folder on a loopback port.
func StartServer(folder string, port int) (*Server, error) {
	return StartServerAt(folder, "127.0.0.1", port)
}

// StartServerAt runs sshd in a folder on another address of this machine.
func StartServerAt(folder, address string, port int) (*Server, error) {
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		if sshd, err = exec.LookPath("/usr/sbin/sshd"); err != nil {
			return nil, ErrMissing
		}
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	host, err := NewKey(filepath.Join(folder, "host_key"))
	if err != nil {
		return nil, err
	}
	login, err := NewKey(filepath.Join(folder, "login_key"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "authorized_keys"), []byte(login.Public+"\n"), 0o600); err != nil {
		return nil, err
	}
	s := &Server{
		Host: address, Port: port, HostKey: host.Public, User: me.Username, PrivateKey: login.Private,
		log: filepath.Join(folder, "sshd.log"),
	}
	config := filepath.Join(folder, "sshd_config")
	if err := os.WriteFile(config, []byte(serverConfig(folder, address, port)), 0o600); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // where privilege separation wants its folder, an image without systemd lacks it
		_ = os.MkdirAll("/run/sshd", 0o755)
	}
	s.cmd = exec.Command(sshd, "-D", "-f", config, "-E", s.log)
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting sshd: %w", err)
	}
	return s, s.await()
}

func serverConfig(folder, address string, port int) string {
	return fmt.Sprintf(`Port %d
ListenAddress %[3]s
HostKey %[2]s/host_key
AuthorizedKeysFile %[2]s/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200
MaxSessions 100
UseDNS no
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
`, port, folder, address)
}

func (s *Server) await() error {
	address := net.JoinHostPort(s.Host, fmt.Sprint(s.Port))
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			return c.Close()
		}
	}
	text, _ := os.ReadFile(s.log)
	s.Stop()
	return fmt.Errorf("sshd does not listen on %s:\n%s", address, text)
}

// Stop ends the server; what it serves goes on until the connections close.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// Key is an SSH key pair in a file.
type Key struct {
	// File holds the private part.
	File string
	// Public is an authorized_keys line, Private a PEM.
	Public, Private string
}

// NewKey makes an Ed25519 key.
func NewKey(file string) (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return Key{}, err
	}
	text := pem.EncodeToMemory(block)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return Key{}, err
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		return Key{}, err
	}
	authorized := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line)))
	return Key{File: file, Public: authorized, Private: string(text)}, nil
}
