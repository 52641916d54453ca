//go:build unix

package lambdaruntime

import (
	"os/exec"
	"syscall"
)

// setProcessGroup puts the process into a group of its own, so that what it
// starts ends with it and Ctrl-C in a terminal does not reach it.
func setProcessGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// killGroup kills all that is left of the group of cmd, which was started.
func killGroup(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
