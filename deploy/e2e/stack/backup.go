package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Backup takes everything into an encrypted file, while it runs, as an operator would.
func (s *Stack) Backup(file, passphrase string) (string, error) {
	if s.Separate {
		return s.operate("backup", "backup", file, "--keys", s.keys("all"), "--passphrase-file", passphrase)
	}
	return s.operate("", "backup", file, "--data", s.data(), "--passphrase-file", passphrase)
}

// Destroy kills every process that keeps something and removes what it kept, keys too.
func (s *Stack) Destroy() error {
	for name, p := range s.processes {
		if name != "redis" {
			p.Kill()
		}
	}
	for _, folder := range append(s.stores(), s.data(), s.keys("")) {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) stores() []string {
	var all []string
	for i := range s.brokers {
		all = append(all, filepath.Join(s.Folder, Replica("nats", i)))
	}
	return all
}

func (s *Stack) data() string { return filepath.Join(s.Folder, "data") }

// Recreate puts everything back from a backup after Destroy, and starts it.
func (s *Stack) Recreate(file, passphrase string) (string, error) {
	if !s.Separate {
		out, err := s.operate("", "restore", file, "--data", s.data(), "--passphrase-file", passphrase)
		if err != nil {
			return out, err
		}
		return out, s.Restart("portcullis")
	}
	for i := range s.brokers {
		if err := s.Start(Replica("nats", i)); err != nil {
			return "", err
		}
	}
	for i, address := range s.brokers {
		if err := s.awaitPort(Replica("nats", i), address); err != nil {
			return "", err
		}
	}
	out, err := s.operate("bootstrap", "restore", file, "--keys", s.keys("all"), "--replicas", strconv.Itoa(len(s.brokers)), "--passphrase-file", passphrase)
	if err != nil {
		return out, err
	}
	if err := s.makeKeys(); err != nil {
		return out, err
	}
	for name := range s.starts {
		if ServiceOf(name) == "nats" || name == "redis" {
			continue
		}
		if err := s.Start(name); err != nil {
			return out, err
		}
	}
	return out, s.WaitReady()
}

// operates is how long an operator waits for an answer.
const operates = 3 * time.Minute

// operate runs the command line as a user of NATS, or as nobody of them.
func (s *Stack) operate(user string, arguments ...string) (string, error) {
	portcullis, err := s.binary("portcullis")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), operates)
	defer cancel()
	command := exec.CommandContext(ctx, portcullis, arguments...)
	command.Env = environment()
	if user != "" {
		command.Env = environment(s.atNATS(user)...)
	}
	out, err := command.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("portcullis %s: %w\n%s", arguments[0], err, out)
	}
	return string(out), nil
}
