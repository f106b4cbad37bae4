package stack

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Separate starts each service by itself, beside a real NATS server and a real Redis, with mutual TLS
// between all of them.
func Separate(folder string, o Options) (*Stack, error) {
	s := newStack(folder)
	s.Separate, s.options = true, o
	if o.Place != nil {
		s.place = o.Place
	}
	_, err := s.binary("portcullis") // building takes its time, and nobody should wait for it once started
	if err != nil {
		return s, err
	}
	if s.authority, err = newAuthority(filepath.Join(folder, "tls")); err != nil {
		return s, err
	}
	names := s.layOut(o)
	ports, err := freePorts(4)
	if err != nil {
		return s, err
	}
	s.HTTP, s.GRPC, s.SSH = "http://"+s.at("gateway", ports[0]), s.at("gateway", ports[1]), s.at("bastion", ports[2])
	if err := s.startRedis(ports[3]); err != nil {
		return s, err
	}
	if err := s.startNATS(max(1, o.Brokers), o.Volume); err != nil {
		return s, err
	}
	if err := s.makeKeys(); err != nil {
		return s, err
	}
	for _, name := range names {
		port, err := FreePort()
		if err != nil {
			return s, err
		}
		s.addresses[name] = s.at(name, port)
		if ServiceOf(name) != "gateway" {
			continue
		}
		if err := s.gateway(name); err != nil {
			return s, err
		}
	}
	for _, name := range names {
		if err := s.service(name, o); err != nil {
			return s, err
		}
	}
	return s, s.WaitReady()
}

// layOut names every service's processes, and has certificates hold where any process is.
func (s *Stack) layOut(o Options) []string {
	var names []string
	for _, service := range services {
		for i := range max(1, o.Replicas[service]) {
			names = append(names, Replica(service, i))
		}
	}
	for i := range max(1, o.Brokers) {
		s.authority.holds(s.place.Host(Replica("nats", i)))
	}
	for _, name := range names {
		s.authority.holds(s.place.Host(name))
	}
	return names
}

// replicas are the addresses of a service's processes.
func (s *Stack) replicas(service string) string {
	var all []string
	for i := 0; s.addresses[Replica(service, i)] != ""; i++ {
		all = append(all, s.addresses[Replica(service, i)])
	}
	return strings.Join(all, ";")
}

func (s *Stack) makeKeys() error {
	portcullis, err := s.binary("portcullis")
	if err != nil {
		return err
	}
	if out, err := exec.Command(portcullis, "prepare", "keys", s.keys("")).CombinedOutput(); err != nil {
		return fmt.Errorf("making the keys: %w\n%s", err, out)
	}
	return nil
}

func (s *Stack) keys(service string) string { return filepath.Join(s.Folder, "keys", service) }

// service starts one replica of a service.
func (s *Stack) service(name string, o Options) error {
	kind := ServiceOf(name)
	binary, err := s.binary(kind)
	if err != nil {
		return err
	}
	if err := s.authority.issue(kind); err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	var peers []string
	for _, peer := range services {
		peers = append(peers, peer+"="+s.replicas(peer))
	}
	env := environment(s.atNATS(kind)...)
	env = append(env,
		"PORTCULLIS_INSTANCE="+name+"-1", "PORTCULLIS_LISTEN="+s.addresses[name], "PORTCULLIS_HEALTH="+s.at(name, port),
		"PORTCULLIS_PEERS="+strings.Join(peers, ","), "PORTCULLIS_KEYS="+s.keys(kind),
		"PORTCULLIS_HOLDS="+filepath.Join(s.Folder, "holds", name),
	)
	env = append(append(env, s.own(name)...), o.Environment...)
	s.binaries[name] = binary
	s.starts[name] = func() (*Process, error) { return s.spawn(name, s.binaries[name], env) }
	s.readiness[name] = "http://" + s.at(name, port) + "/readyz"
	return s.Start(name)
}

// gateway gives a replica of the gateway its public addresses.
func (s *Stack) gateway(name string) error {
	g := Gateway{Name: name, HTTP: s.HTTP, GRPC: s.GRPC}
	if len(s.Gateways) > 0 {
		ports, err := freePorts(2)
		if err != nil {
			return err
		}
		g.HTTP, g.GRPC = "http://"+s.at(name, ports[0]), s.at(name, ports[1])
	}
	s.Gateways = append(s.Gateways, g)
	return nil
}

// own is what one service is told and no other.
func (s *Stack) own(name string) []string {
	switch ServiceOf(name) {
	case "gateway":
		i := slices.IndexFunc(s.Gateways, func(g Gateway) bool { return g.Name == name })
		return []string{"PORTCULLIS_HTTP=" + strings.TrimPrefix(s.Gateways[i].HTTP, "http://"), "PORTCULLIS_GRPC=" + s.Gateways[i].GRPC}
	case "bastion":
		return []string{"PORTCULLIS_SSH=" + s.SSH, "PORTCULLIS_DATA=" + filepath.Join(s.Folder, "bastion")}
	case "session-broker":
		return []string{"PORTCULLIS_REDIS=redis://" + s.Redis}
	case "identity":
		return []string{
			"PORTCULLIS_ADMIN_USER=" + s.Admin.User, "PORTCULLIS_ADMIN_PASSWORD=" + s.Admin.Password,
			"PORTCULLIS_ADMIN_TOTP_SECRET=" + s.Admin.TOTPSecret,
		}
	}
	return nil
}
