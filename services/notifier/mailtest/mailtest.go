// Package mailtest runs a real mail server for tests: Exim takes mail in, Dovecot keeps it. Both are on loopback, as a
// user without rights, and end with the test.
package mailtest

import (
	"crypto/x509"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// Host is the servers'; their certificate is for it.
const Host = "localhost"

// Alice, Bounces and Bob have a mailbox each; Alice alone may send. Mail to Nobody comes back.
const (
	Alice, AlicePassword     = "alice@mail.test", "alice-pw-7431"
	Bob, BobPassword         = "bob@mail.test", "bob-pw-9920"
	Bounces, BouncesPassword = "bounces@mail.test", "bounces-pw-5512"
	Nobody                   = "nobody-here@mail.test"
)

//go:embed *.in
var forms embed.FS

// Servers are where they listen.
type Servers struct {
	// Roots have signed their certificate.
	Roots                                       *x509.CertPool
	SMTP, SMTPS, IMAP, IMAPS, POP3, POP3S, LMTP int
	Dir, User, Group                            string
}

// Start starts both, or skips the test where they are not installed.
func Start(t testing.TB) *Servers {
	t.Helper()
	exim, dovecot := program(t, "exim4"), program(t, "dovecot")
	s := prepare(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.logs())
		}
	})
	s.run(t, s.LMTP, dovecot, "-F", "-c", s.write(t, "dovecot.conf"))
	s.run(t, s.SMTP, exim, "-bdf", "-C", s.write(t, "exim.conf"))
	return s
}

func program(t testing.TB, name string) string {
	t.Helper()
	for _, folder := range []string{"", "/usr/sbin"} {
		if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return path
		}
	}
	t.Skipf("LEFT OUT: %s is not installed; on Debian: apt-get install --no-install-recommends "+
		"exim4-daemon-light dovecot-imapd dovecot-pop3d dovecot-lmtpd", name)
	return ""
}

// prepare makes the folders, certificates and accounts. t.TempDir would be closed to the servers' user.
func prepare(t testing.TB) *Servers {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, dir) })
	s := &Servers{Dir: dir}
	s.ports(t)
	for _, name := range []string{"home", "run", "state", "tls", "exim/spool", "exim/log"} {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	authority := NewAuthority(t)
	s.Roots = authority.Roots
	certificate, key := authority.PEM(t, time.Now().Add(time.Hour), Host)
	must(t, os.WriteFile(filepath.Join(dir, "tls/srv.pem"), certificate, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "tls/srv.key"), key, 0o600))
	lines := fmt.Sprintf("%s:{PLAIN}%s\n%s:{PLAIN}%s\n%s:{PLAIN}%s\n",
		Alice, AlicePassword, Bob, BobPassword, Bounces, BouncesPassword)
	must(t, os.WriteFile(filepath.Join(dir, "passwd"), []byte(lines), 0o600))
	s.own(t)
	return s
}

// remove waits for deliveries that outlive their server and still write.
func remove(t testing.TB, dir string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var err error
	for range 250 {
		if err = os.RemoveAll(dir); err == nil {
			return
		}
		<-tick.C
	}
	t.Errorf("removing the servers' folder: %v", err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// own gives the folder to the user that the servers run as: nobody where the test is root.
func (s *Servers) own(t testing.TB) {
	t.Helper()
	who, err := user.Current()
	if os.Geteuid() == 0 {
		who, err = user.Lookup("nobody")
	}
	must(t, err)
	group, err := user.LookupGroupId(who.Gid)
	must(t, err)
	s.User, s.Group = who.Username, group.Name
	if os.Geteuid() != 0 {
		return
	}
	must(t, filepath.Walk(s.Dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, number(t, who.Uid), number(t, who.Gid))
	}))
}

func number(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// ports asks for free ones, all at a time so that they differ.
func (s *Servers) ports(t testing.TB) {
	t.Helper()
	for _, port := range []*int{&s.SMTP, &s.SMTPS, &s.IMAP, &s.IMAPS, &s.POP3, &s.POP3S, &s.LMTP} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		*port = l.Addr().(*net.TCPAddr).Port
	}
}

func (s *Servers) write(t testing.TB, name string) string {
	t.Helper()
	form, err := forms.ReadFile(name + ".in")
	must(t, err)
	pairs := []string{"@DIR@", s.Dir, "@USER@", s.User, "@GROUP@", s.Group}
	for _, port := range []struct {
		name   string
		number int
	}{
		{"@SMTP@", s.SMTP}, {"@SMTPS@", s.SMTPS}, {"@IMAP@", s.IMAP}, {"@IMAPS@", s.IMAPS},
		{"@POP3@", s.POP3}, {"@POP3S@", s.POP3S}, {"@LMTP@", s.LMTP},
	} {
		pairs = append(pairs, port.name, strconv.Itoa(port.number))
	}
	path := filepath.Join(s.Dir, name)
	must(t, os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(form))), 0o644))
	return path
}

// run starts a program, and waits until it listens on the port.
func (s *Servers) run(t testing.TB, port int, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = s.Dir
	out, err := os.Create(filepath.Join(s.Dir, filepath.Base(name)+".out"))
	must(t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		who, err := user.Lookup(s.User)
		must(t, err)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(number(t, who.Uid)), Gid: uint32(number(t, who.Gid))}
	}
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		// What it left running is in its own group: deliveries under way.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	})
	s.await(t, port, ended, name)
}

func (s *Servers) await(t testing.TB, port int, ended <-chan struct{}, name string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("%s ended", name)
		case <-late:
			t.Fatalf("%s does not listen", name)
		}
	}
}

func (s *Servers) logs() string {
	var all strings.Builder
	names, _ := filepath.Glob(filepath.Join(s.Dir, "*.out"))
	more, _ := filepath.Glob(filepath.Join(s.Dir, "exim/log/*"))
	for _, name := range append(append(names, more...), filepath.Join(s.Dir, "dovecot.log")) {
		text, _ := os.ReadFile(name)
		fmt.Fprintf(&all, "== %s\n%s", name, text)
	}
	return all.String()
}

// Deliver puts a mail into a mailbox, as a server that received it would.
func (s *Servers) Deliver(t testing.TB, from, to string, raw []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.LMTP))
	must(t, err)
	client := smtp.NewClientLMTP(conn)
	defer client.Close()
	must(t, client.Mail(from, nil))
	must(t, client.Rcpt(to, nil))
	w, err := client.Data()
	must(t, err)
	_, err = w.Write(raw)
	must(t, err)
	must(t, w.Close())
	must(t, client.Quit())
}
