// Package ports finds addresses for servers that a test starts, stops and starts again.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports, below those that the kernel gives out by itself: no other listener and no connection gets one between its being found
// free and its being listened on.
const first, count = 10_000, 22_000

// Free answers so many addresses of the loopback, host and port, that nothing listens on.
func Free(n int) ([]string, error) {
	var all []string
	from := rand.IntN(count) // others look as well
	for i := 0; len(all) < n; i++ {
		if i == count {
			return nil, errors.New("too few ports of the loopback are free")
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+(from+i)%count))
		if err != nil {
			continue
		}
		all = append(all, l.Addr().String())
		_ = l.Close()
	}
	return all, nil
}
