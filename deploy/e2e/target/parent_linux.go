package target

import (
	"os/exec"
	"syscall"
)

// dieWithParent leaves nothing behind when the test itself is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
