//go:build linux

// Package disk gives a NATS server a file system of its own, in a file in memory: what is in that file is what a power cut
// leaves, for what was not synced is not in it yet. It can be filled, throttled, and set back to what it was when the power
// was cut. It needs root and a mount namespace that is nobody else's (see package room).
package disk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// size is what a run of some minutes fills by a tenth.
const size = 512 << 20

// throttles is where the kernel takes limits of what a group of processes writes to a disk.
const throttles = "/sys/fs/cgroup/blkio"

// Disk is mounted at Folder.
type Disk struct{ Folder, image string }

// New makes one, with its file in images.
func New(images, folder, name string) (*Disk, error) {
	d := &Disk{Folder: filepath.Join(folder, name), image: filepath.Join(images, name)}
	if err := errors.Join(os.MkdirAll(d.Folder, 0o700), os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, size)); err != nil {
		return nil, err
	}
	if err := run("mkfs.ext4", "-q", "-m", "0", d.image); err != nil {
		return nil, err
	}
	return d, d.mount()
}

func (d *Disk) mount() error { return run("mount", "-o", "loop", d.image, d.Folder) }

// Cut keeps what a power cut at this moment would leave. Nobody may write meanwhile.
func (d *Disk) Cut() error { return run("cp", "--sparse=always", d.image, d.cut()) }

func (d *Disk) cut() string { return d.image + ".cut" }

// Restore puts what Cut kept in the disk's place. Nobody may have a file of it open.
func (d *Disk) Restore() error {
	if err := run("umount", d.Folder); err != nil {
		return err
	}
	if err := os.Rename(d.cut(), d.image); err != nil {
		return err
	}
	return d.mount()
}

// Fill leaves not one free block, until empty is called.
func (d *Disk) Fill() (empty func() error, err error) {
	name := filepath.Join(d.Folder, "filler")
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for at, chunk := int64(0), int64(64<<20); chunk >= 512; {
		if err := syscall.Fallocate(int(f.Fd()), 0, at, chunk); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				return nil, fmt.Errorf("filling the disk %s: %w", d.Folder, err)
			}
			chunk /= 2
			continue
		}
		at += chunk
	}
	return func() error { return os.Remove(name) }, nil
}

// Throttle lets a process write so many times a second to this disk, until ease is called.
func (d *Disk) Throttle(pid, writes int) (ease func() error, err error) {
	var is syscall.Stat_t
	if err := syscall.Stat(d.Folder, &is); err != nil {
		return nil, err
	}
	device := fmt.Sprintf("%d:%d", is.Dev>>8&0xfff, is.Dev&0xff|is.Dev>>12&0xfff00)
	// Named by the device: two runs, each in its own process namespace, share these groups.
	group := filepath.Join(throttles, "portcullis-chaos-"+device)
	if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("throttling takes the controller blkio at %s: %w", throttles, err)
	}
	limit := func(n int) error {
		return os.WriteFile(filepath.Join(group, "blkio.throttle.write_iops_device"), fmt.Appendf(nil, "%s %d", device, n), 0o600)
	}
	if err := errors.Join(limit(writes), os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600)); err != nil {
		return nil, errors.Join(err, os.Remove(group))
	}
	return func() error {
		// Away from the group, so that it can go.
		_ = os.WriteFile(filepath.Join(throttles, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600)
		return errors.Join(limit(0), os.Remove(group))
	}, nil
}

func run(name string, arguments ...string) error {
	if out, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, out)
	}
	return nil
}
