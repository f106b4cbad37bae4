package backup

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
)

func TestAFullDiskKeepsNothingAndSaysSo(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("NOT TESTED: a small disk takes root (%v)", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })
	k, _ := newOperator(t)
	err := k.take(t.Context(), filepath.Join(disk, "all.age"), []age.Recipient{must(age.GenerateX25519Identity())(t).Recipient()}, kept(t))
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v", err)
	}
	if has := must(os.ReadDir(disk))(t); len(has) > 0 {
		t.Errorf("left are %v", has)
	}
}
