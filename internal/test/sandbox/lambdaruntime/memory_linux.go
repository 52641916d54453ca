package lambdaruntime

import (
	"fmt"
	"os"
	"strings"
)

// peakMemoryMB returns the peak resident memory of a live process in MB, rounded
// up, and 0 if it is not known. The kernel counts it from the start of the
// program (VmHWM in proc_pid_status(5)), unlike the rusage of a process that
// ended, which also covers its parent's memory at the fork.
func peakMemoryMB(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int
	if _, err := fmt.Sscanf(after, "%d kB", &kilobytes); err != nil {
		return 0
	}
	return (kilobytes + 1023) / 1024
}
