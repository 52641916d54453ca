package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// buildFlags are those of "make build".
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w"}

// Build builds the function for this machine, otherwise as "make build" does,
// and returns the path of the binary in dir. It needs Go, and a working directory
// within this module. The error holds what the compiler said.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "bootstrap")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	arguments := slices.Concat([]string{"build"}, buildFlags, []string{"-o", binary, "panther-token-rotation/function"})
	build := exec.CommandContext(ctx, "go", arguments...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH,
		"GOTMPDIR="+dir) // so that an interrupted build leaves nothing anywhere else
	build.Cancel = func() error { return build.Process.Signal(os.Interrupt) }
	build.WaitDelay = 5 * time.Second
	output, err := build.CombinedOutput()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("the function could not be built with Go (%w)\n%s", err, strings.TrimSpace(string(output)))
	}
	return binary, nil
}
