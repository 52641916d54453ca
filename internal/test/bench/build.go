package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	functionPackage = "panther-token-rotation/function"
	helloPackage    = "panther-token-rotation/internal/test/bench/hello"
	zipPackage      = "github.com/aws/aws-lambda-go/cmd/build-lambda-zip"
)

// buildFlags are those of "make build", for the function and for hello-world.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w"}

// build builds a package for a system and architecture, into a folder of its
// own, and returns the path of the binary, which Lambda wants to be named
// bootstrap.
func (b *bench) build(ctx context.Context, pkg, goos, arch string) (string, error) {
	binary := filepath.Join(b.dir, goos+"-"+arch, filepath.Base(pkg), "bootstrap")
	args := append([]string{"build"}, buildFlags...)
	return binary, b.runGo(ctx, []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + arch}, append(args, "-o", binary, pkg)...)
}

// deploy builds a package for this machine and writes the binary anew, in one
// go, as it is unpacked from a zip. How many of a binary's pages count as its
// process's memory depends on how the file was written, and linkers write here
// and there: that alone makes a twentieth, another one after each build.
func (b *bench) deploy(ctx context.Context, pkg string) (string, error) {
	built, err := b.build(ctx, pkg, runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	binary, err := os.ReadFile(built)
	if err != nil {
		return "", err
	}
	deployed := filepath.Join(b.dir, filepath.Base(pkg))
	return deployed, os.WriteFile(deployed, binary, 0o700)
}

// runGo runs the go command. The error holds what it said.
func (b *bench) runGo(ctx context.Context, env []string, args ...string) error {
	return execute(ctx, append(append(os.Environ(), "GOTMPDIR="+b.dir), env...), "go", args...)
}

func execute(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}
