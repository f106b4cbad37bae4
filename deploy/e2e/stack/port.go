package stack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports below the kernel's own choice, so that no outgoing connection takes one between its being
// found free and its being listened on.
const (
	firstPort = 10_000
	lastPort  = 32_000
	// perProcess is how many of them one process may use.
	perProcess = 2000
)

var given sync.Map // ports that this process has handed out

// own is the first port of those that are this process's alone: what another package's tests find free may only be
// down for a moment, between a kill and a restart here. The port itself stays taken, which keeps the others away.
var own = sync.OnceValues(func() (net.Listener, error) {
	for first := firstPort; first < lastPort; first += perProcess {
		if l, err := net.Listen("tcp", loopback(first)); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("all ports between %d and %d are somebody's", firstPort, lastPort)
})

// FreePort answers a loopback port that nothing listens on, and that is not answered twice.
func FreePort() (int, error) {
	claim, err := own()
	if err != nil {
		return 0, err
	}
	first := claim.Addr().(*net.TCPAddr).Port
	for range 1000 {
		port := first + 1 + rand.IntN(perProcess-1)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port, nil
	}
	return 0, fmt.Errorf("no free port from %d on", first)
}

func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		ports[i] = port
	}
	return ports, nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
