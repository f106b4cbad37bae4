//go:build linux

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/deploy/e2e/chaos/room"
)

func TestMain(m *testing.M) { os.Exit(room.ForTests(m, "/run")) }

func newDisk(t *testing.T) *Disk {
	t.Helper()
	d, err := New(t.TempDir(), t.TempDir(), "disk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run("umount", d.Folder); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *Disk) write(name string, sync bool) error {
	f, err := os.Create(filepath.Join(d.Folder, name))
	if err != nil {
		return err
	}
	_, err = f.WriteString("hello")
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func TestAPowerCutTakesWhatWasNotSyncedAndNothingElse(t *testing.T) {
	d := newDisk(t)
	if err := errors.Join(d.write("synced", true), d.write("unsynced", false), d.Cut(), d.Restore()); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(d.Folder, "synced")); string(text) != "hello" {
		t.Errorf("of what was synced there is %q, %v", text, err)
	}
	if text, _ := os.ReadFile(filepath.Join(d.Folder, "unsynced")); string(text) == "hello" {
		t.Error("what was not synced is there")
	}
}

func TestAFullDiskTakesNothingUntilItIsEmptied(t *testing.T) {
	d := newDisk(t)
	empty, err := d.Fill()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.write("x", true); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing to a full disk: %v", err)
	}
	if err := errors.Join(empty(), d.write("x", true)); err != nil {
		t.Error(err)
	}
}

func TestASlowDiskIsSlow(t *testing.T) {
	d := newDisk(t)
	ease, err := d.Throttle(os.Getpid(), 5)
	if err != nil {
		t.Skipf("*** LEFT OUT: a slow disk, for it can't be throttled here (root, and the cgroup controller blkio): %v", err)
	}
	began := time.Now()
	for range 10 {
		if err := d.write("x", true); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("ten syncs to a disk that takes five writes a second took %s", took)
	}
	if err := ease(); err != nil {
		t.Error(err)
	}
}
