//go:build linux

// Package wire gives each process an address of its own, on a network whose every packet passes one router, and cuts or
// spoils it between any two of them, connections that stand included. It needs root, a network namespace that is nobody
// else's, and a /run of its own (see package room).
package wire

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Router is the address of whoever runs the network: each process reaches it, and is reached from it, whatever is cut.
const Router = "10.83.0.1"

// Net is a running network.
type Net struct{ hosts map[string]string }

// How is what becomes of packets from one process to another.
type How int

const (
	Lost  How = iota // every one
	Holey            // a third of them: what gets through is slow
)

func (h How) String() string { return [...]string{"cut", "lossy"}[h] }

// New builds the network of some processes.
func New(processes []string) (*Net, error) {
	n := &Net{hosts: map[string]string{}}
	batch := []string{"link set lo up", "addr add " + Router + "/32 dev lo"}
	for i, p := range processes {
		n.hosts[p] = fmt.Sprintf("10.83.1.%d", i+1)
		batch = append(batch, fmt.Sprintf("netns add %s", p))
		batch = append(batch, fmt.Sprintf("link add v%d type veth peer name eth0 netns %s", i, p), fmt.Sprintf("link set v%d up", i),
			fmt.Sprintf("route add %s dev v%d src %s", n.hosts[p], i, Router))
	}
	if err := ip(batch); err != nil {
		return nil, err
	}
	for _, p := range processes {
		err := ip([]string{"link set lo up", "addr add " + n.hosts[p] + "/32 dev eth0", "link set eth0 up", "route add " + Router + " dev eth0",
			"route add default via " + Router + " dev eth0"}, "-n", p)
		if err != nil {
			return nil, err
		}
	}
	return n, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600)
}

func ip(batch []string, where ...string) error {
	cmd := exec.Command("ip", append(where, "-batch", "-")...)
	cmd.Stdin = strings.NewReader(strings.Join(batch, "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the network: %w: %s", err, out)
	}
	return nil
}

// Host is the address of a process.
func (n *Net) Host(process string) string { return n.hosts[process] }

// Enter is a command line as it runs at the process's address; it keeps its process id.
func (n *Net) Enter(process string, command []string) []string {
	return append([]string{"nsenter", "--net=/run/netns/" + process}, command...)
}

// Spoil takes packets from one process to another, until mend is called.
func (n *Net) Spoil(from, to string, how How) (mend func() error, err error) {
	rule := []string{"FORWARD", "-s", n.hosts[from], "-d", n.hosts[to]}
	if how == Holey {
		rule = append(rule, "-m", "statistic", "--mode", "random", "--probability", "0.3")
	}
	rule = append(rule, "-j", "DROP")
	return func() error { return iptables("-D", rule) }, iptables("-A", rule)
}

// Mend undoes several.
func Mend(all ...func() error) error {
	var wrong []error
	for _, mend := range all {
		wrong = append(wrong, mend())
	}
	return errors.Join(wrong...)
}

func iptables(act string, rule []string) error {
	if out, err := exec.Command("iptables", append([]string{"-w", act}, rule...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("cutting the network: %w: %s", err, out)
	}
	return nil
}
