package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
)

// children are the other ends of what is measured, in processes of their own. Each says one line when
// it is ready.
var children = map[string]func(arguments []string) error{
	"empty": func(arguments []string) error { return serveEmpty(arguments[0]) },
}

func runChild(name string, arguments []string) error {
	run, ok := children[name]
	if !ok {
		return fmt.Errorf("there is no part %q", name)
	}
	return run(arguments)
}

// spawn starts a child and answers its first line.
func spawn(cmd *exec.Cmd) (*exec.Cmd, string, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line := bufio.NewScanner(out)
	if !line.Scan() {
		_ = cmd.Process.Kill()
		return nil, "", fmt.Errorf("%s said nothing: %w", cmd.Path, cmd.Wait())
	}
	go func() { // nobody reads the rest, and it must not wait
		for line.Scan() {
		}
	}()
	return cmd, line.Text(), nil
}
