package stack

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// startNATS runs real NATS servers that sync before they acknowledge, speak TLS, and let each service do what the
// product says that it may. It then makes the streams, with as many copies as there are servers.
func (s *Stack) startNATS(servers, volume int) error {
	portcullis, err := s.binary("portcullis")
	if err != nil {
		return err
	}
	accounts, err := exec.Command(portcullis, "prepare", "nats").Output()
	if err != nil {
		return fmt.Errorf("asking for the accounts of NATS: %w", err)
	}
	for _, user := range []string{"nats", "bootstrap", "backup"} {
		if err := s.authority.issue(user); err != nil {
			return err
		}
	}
	for _, user := range append([]string{"bootstrap", "backup"}, services...) {
		s.passwords[user] = "p" + rand.Text()
	}
	ports, err := freePorts(2 * servers)
	if err != nil {
		return err
	}
	for i := range servers {
		s.brokers = append(s.brokers, s.at(Replica("nats", i), ports[i]))
	}
	s.Nats = s.brokers[0]
	for i := range servers {
		if err := s.volume(Replica("nats", i), volume); err != nil {
			return err
		}
		if err := s.broker(i, ports[servers:], string(accounts)); err != nil {
			return err
		}
	}
	for i, address := range s.brokers {
		if err := s.awaitPort(Replica("nats", i), address); err != nil {
			return err
		}
	}
	create := exec.Command(portcullis, "prepare", "streams", "--replicas", strconv.Itoa(servers))
	create.Env = environment(s.atNATS("bootstrap")...)
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("making the streams: %w\n%s", err, out)
	}
	return nil
}

// broker starts the i-th NATS server; routes are the ports at which they find each other.
func (s *Stack) broker(i int, routes []int, accounts string) error {
	binary, err := s.binary("nats-server")
	if err != nil {
		return err
	}
	name := Replica("nats", i)
	text := fmt.Sprintf(`listen: %q
server_name: %s
jetstream { store_dir: %q, %s }
tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }
%s`, s.brokers[i], name, s.place.Store(name), s.storage(), s.authority.file("nats.pem"), s.authority.file("nats.key"), s.authority.file("ca.pem"), accounts)
	port, err := FreePort()
	if err != nil {
		return err
	}
	text += fmt.Sprintf("\nhttp: %q\n", s.at(name, port))
	s.readiness[name] = "http://" + s.at(name, port) + "/healthz" // once it has all that the others have
	if len(s.brokers) > 1 {
		var all []string
		for i, port := range routes {
			all = append(all, fmt.Sprintf("%q", "nats://"+s.at(Replica("nats", i), port)))
		}
		text += fmt.Sprintf("\ncluster { name: portcullis, listen: %q, routes: [%s] }\n", s.at(name, routes[i]), strings.Join(all, ", "))
	}
	config := filepath.Join(s.Folder, name+".conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	env := environment()
	for user, password := range s.passwords {
		env = append(env, "PORTCULLIS_NATS_PASSWORD_"+strings.ToUpper(strings.ReplaceAll(user, "-", "_"))+"="+password)
	}
	s.starts[name] = func() (*Process, error) { return s.spawn(name, binary, env, "-c", config) }
	return s.Start(name)
}

// storage is how a NATS server is told when to sync, and that the streams' limits are no reservations of a small disk.
func (s *Stack) storage() string {
	syncs := "sync_interval: always"
	if s.options.Unsynced {
		syncs = "sync_interval: 10m"
	}
	return syncs + ", max_file_store: 64GB"
}

// atNATS is what tells a process where NATS is, and who it is there.
func (s *Stack) atNATS(user string) []string {
	return []string{
		"PORTCULLIS_NATS_SYNCED=" + strconv.FormatBool(s.options.Unsynced),
		"PORTCULLIS_NATS=tls://" + strings.Join(s.brokers, ",tls://"), "PORTCULLIS_NATS_TLS=true",
		"PORTCULLIS_NATS_USER=" + user, "PORTCULLIS_NATS_PASSWORD=" + s.passwords[user],
		"PORTCULLIS_TLS_CERT=" + s.authority.file(user+".pem"), "PORTCULLIS_TLS_KEY=" + s.authority.file(user+".key"),
		"PORTCULLIS_TLS_CA=" + s.authority.file("ca.pem"),
	}
}
