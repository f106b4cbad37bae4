package stack

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// startNATS runs a real NATS server that syncs before it acknowledges, speaks TLS, and lets each service
// do what the product says that it may. It then makes the streams.
func (s *Stack) startNATS(port int) error {
	binary, err := Binary("nats-server")
	if err != nil {
		return err
	}
	portcullis, err := Binary("portcullis")
	if err != nil {
		return err
	}
	accounts, err := exec.Command(portcullis, "prepare", "nats").Output()
	if err != nil {
		return fmt.Errorf("asking for the accounts of NATS: %w", err)
	}
	if err := s.authority.issue("nats"); err != nil {
		return err
	}
	config := filepath.Join(s.Folder, "nats.conf")
	text := fmt.Sprintf(`listen: "127.0.0.1:%d"
server_name: nats-1
jetstream { store_dir: %q, sync_interval: always }
tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }
%s`, port, filepath.Join(s.Folder, "nats"), s.authority.file("nats.pem"), s.authority.file("nats.key"), s.authority.file("ca.pem"), accounts)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	env := environment()
	for _, user := range append([]string{"bootstrap"}, services...) {
		s.passwords[user] = "p" + rand.Text()
		env = append(env, "PORTCULLIS_NATS_PASSWORD_"+strings.ToUpper(strings.ReplaceAll(user, "-", "_"))+"="+s.passwords[user])
	}
	s.Nats = loopback(port)
	s.starts["nats"] = func() (*Process, error) { return spawn(s.Folder, "nats", binary, env, "-c", config) }
	if err := s.Start("nats"); err != nil {
		return err
	}
	if err := s.awaitPort("nats", s.Nats); err != nil {
		return err
	}
	if err := s.authority.issue("bootstrap"); err != nil {
		return err
	}
	create := exec.Command(portcullis, "prepare", "streams")
	create.Env = environment(s.atNATS("bootstrap")...)
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("making the streams: %w\n%s", err, out)
	}
	return nil
}

// atNATS is what tells a process where NATS is, and who it is there.
func (s *Stack) atNATS(user string) []string {
	return []string{
		"PORTCULLIS_NATS=tls://" + s.Nats, "PORTCULLIS_NATS_TLS=true",
		"PORTCULLIS_NATS_USER=" + user, "PORTCULLIS_NATS_PASSWORD=" + s.passwords[user],
		"PORTCULLIS_TLS_CERT=" + s.authority.file(user+".pem"), "PORTCULLIS_TLS_KEY=" + s.authority.file(user+".key"),
		"PORTCULLIS_TLS_CA=" + s.authority.file("ca.pem"),
	}
}
