package stack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// volume gives a NATS server a disk of its own, so many MiB in size, which Stop takes away. It takes root.
func (s *Stack) volume(server string, mib int) error {
	if mib == 0 {
		return nil
	}
	folder := filepath.Join(s.Folder, server)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("none", folder, "tmpfs", 0, "mode=700,size="+strconv.Itoa(mib)+"m"); err != nil {
		return fmt.Errorf("mounting a disk for %s: %w", server, err)
	}
	s.volumes = append(s.volumes, folder)
	return nil
}

func (s *Stack) ballast(server string) string { return filepath.Join(s.Folder, server, "ballast") }

// Fill leaves no room on the disk of a NATS server.
func (s *Stack) Fill(server string) error {
	f, err := os.OpenFile(s.ballast(server), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err = f.Write(block); errors.Is(err, syscall.ENOSPC) || errors.Is(err, io.ErrShortWrite) {
			block = block[:len(block)/2]
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Empty makes room there again.
func (s *Stack) Empty(server string) error { return os.Remove(s.ballast(server)) }

func (s *Stack) unmount() {
	for _, folder := range s.volumes {
		_ = syscall.Unmount(folder, syscall.MNT_DETACH)
	}
}
