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
)

var given sync.Map // ports that this process has handed out

// FreePort answers a loopback port that nothing listens on, and that is not answered twice.
func FreePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
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
	return 0, fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
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
