package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

// Root is the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// services are the programs of the product, in an order in which they may start.
var services = []string{
	"emergency-control", "identity", "access-gate", "session-broker", "bastion", "notifier", "gateway",
}

var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(Root(), "build", "e2e", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(bin, ".lock")) // packages of tests run side by side
	if err != nil {
		return "", err
	}
	defer unlock()
	// The flags of the tests, but for what only the linker is told: with others every dependency is built again.
	arguments := []string{"install", "-ldflags=-s", "github.com/nats-io/nats-server/v2", "./services/portcullis"}
	for _, name := range services {
		arguments = append(arguments, "./services/"+name)
	}
	cmd := exec.Command("go", arguments...)
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the services: %w\n%s", err, out)
	}
	return bin, nil
})

// Binary builds everything, once, and answers the path of one program.
func Binary(name string) (string, error) {
	bin, err := build()
	return filepath.Join(bin, name), err
}

func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
