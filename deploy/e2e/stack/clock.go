package stack

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const wrongClock = `package run

import "time"

func clock() time.Time { return time.Now().Add(%d) }
`

// Skew restarts a process with a clock that is ahead by so much: the program is built anew with another file in the
// place of the one that asks for the time. Nothing else that is static could be told another.
func (s *Stack) Skew(name string, ahead time.Duration) error {
	binary, err := s.skewed(ServiceOf(name), ahead)
	if err != nil {
		return err
	}
	right := s.binaries[name]
	defer func() { s.binaries[name] = right }()
	s.binaries[name] = binary
	s.processes[name].Stop()
	return s.Restart(name)
}

func (s *Stack) skewed(service string, ahead time.Duration) (string, error) {
	folder, err := os.MkdirTemp(s.Folder, "skewed-")
	if err != nil {
		return "", err
	}
	file, overlay, binary := filepath.Join(folder, "clock.go"), filepath.Join(folder, "overlay.json"), filepath.Join(folder, service)
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(Root(), "services", "internal", "run", "clock.go"): file,
	}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, wrongClock, ahead), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-ldflags=-s", "-overlay", overlay, "-o", binary, "./services/"+service)
	cmd.Dir, cmd.Env = Root(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s with a wrong clock: %w\n%s", service, err, out)
	}
	return binary, nil
}
