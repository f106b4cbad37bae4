package stack

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"time"
)

// startRedis runs a real redis-server that keeps nothing on disk.
func (s *Stack) startRedis(port int) error {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("redis-server %w", errNotThere)
	}
	s.Redis = s.at("redis", port)
	s.starts["redis"] = func() (*Process, error) {
		return s.spawn("redis", binary, environment(), "--bind", s.place.Host("redis"), "--protected-mode", "no",
			"--port", strconv.Itoa(port), "--save", "", "--appendonly", "no", "--dir", s.Folder)
	}
	if err := s.Start("redis"); err != nil {
		return err
	}
	return s.awaitPort("redis", s.Redis)
}

func (s *Stack) awaitPort(name, address string) error {
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-s.processes[name].Exited():
			return fmt.Errorf("%s ended at once:\n%s", name, s.processes[name].Tail(20))
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen on %s:\n%s", name, address, s.processes[name].Tail(20))
}

// Wipe empties Redis in one go, as an operator's FLUSHALL would.
func (s *Stack) Wipe() error {
	c, err := net.DialTimeout("tcp", s.Redis, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("FLUSHALL\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 16)
	n, err := c.Read(answer)
	if err != nil {
		return err
	}
	if got := string(answer[:n]); got != "+OK\r\n" {
		return fmt.Errorf("FLUSHALL answered %q", got)
	}
	return nil
}
