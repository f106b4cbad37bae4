//go:build linux

// Package room runs a program again where it is alone: with a network, mounts and process ids of its own, all of which are
// gone once it ends.
package room

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Run runs this program in a new room, with other arguments.
func Run(arguments ...string) error {
	cmd := exec.Command("/proc/self/exe", arguments...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	return cmd.Run()
}

// ForTests runs tests in a room, with folders as Furnish takes them; it answers what to exit with.
func ForTests(tests interface{ Run() int }, folders ...string) int {
	const inside = "PORTCULLIS_TEST_ROOM"
	if os.Getenv(inside) != "" {
		if err := Furnish(folders...); err != nil {
			fmt.Println(err)
			return 1
		}
		return tests.Run()
	}
	if os.Getuid() != 0 {
		fmt.Println("NOT TESTED, a room of its own takes root")
		return 0
	}
	if err := errors.Join(os.Setenv(inside, "1"), Run(os.Args[1:]...)); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// Furnish is the first that a program in a room does. Folders in memory are put over those given, empty.
func Furnish(folders ...string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("a room of its own takes root: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	for _, folder := range folders {
		if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
	}
	return nil
}
