package stack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is one program that the stack has started, and stops by its pid alone.
type Process struct {
	Name string

	cmd    *exec.Cmd
	log    string
	exited chan struct{}
	err    error
	once   sync.Once
}

// spawn starts a program whose output goes to a file of its name in folder.
func spawn(folder, name, binary string, environment []string, arguments ...string) (*Process, error) {
	log := filepath.Join(folder, name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(binary, arguments...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = environment, out, out, folder
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &Process{Name: name, cmd: cmd, log: log, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed once the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// ExitCode is what a process that is gone ended with; -1 if a signal ended it.
func (p *Process) ExitCode() int {
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}

// Kill is kill -9: it returns once the process is gone.
func (p *Process) Kill() {
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return
	}
	<-p.exited
}

// Stop asks the process to end, and kills it if it has not within ten seconds.
func (p *Process) Stop() {
	p.once.Do(func() {
		_ = p.Signal(syscall.SIGCONT) // one that is stopped hears nothing
		_ = p.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(10 * time.Second):
			p.Kill()
		}
	})
}

// Log is all that the process has written.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Tail is the end of what the process has written.
func (p *Process) Tail(lines int) string {
	f, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if at, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, at-64<<10), io.SeekStart)
	}
	text, _ := io.ReadAll(f)
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
