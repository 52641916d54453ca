package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"panther-token-rotation/internal/test/sandbox/lambdaruntime"
)

const (
	functionPackage = "panther-token-rotation/function"
	helloPackage    = "panther-token-rotation/internal/test/bench/hello"
	zipPackage      = "github.com/aws/aws-lambda-go/cmd/build-lambda-zip"

	zipTarget       = 1.7 // times hello-world's, at most
	coldStartTarget = 1.5 // times hello-world's, at most
	pythonTarget    = 40  // times as fast as Python, at least
)

// buildFlags are those of "make build".
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w"}

// zipSize compares the zips that "make zip" makes. It measures once, because the
// build is reproducible.
func (b *bench) zipSize(ctx context.Context) (figures []figure, err error) {
	for _, arch := range []string{"arm64", "amd64"} {
		sizes := map[string]sample{}
		for _, pkg := range []string{functionPackage, helloPackage} {
			binary, err := b.build(ctx, pkg, "linux", arch)
			if err != nil {
				return nil, err
			}
			if err := b.runGo(ctx, nil, "run", zipPackage, "-o", binary+".zip", binary); err != nil {
				return nil, err
			}
			zip, err := os.Stat(binary + ".zip")
			if err != nil {
				return nil, err
			}
			sizes[pkg] = sample{float64(zip.Size()) / 1000}
		}
		figures = append(figures, timesAsMuch("deployment zip, "+arch, "kB", "hello-world on aws-lambda-go",
			sizes[functionPackage], sizes[helloPackage], zipTarget))
	}
	return figures, nil
}

// build returns the path of the binary, which Lambda requires to be named
// bootstrap.
func (b *bench) build(ctx context.Context, pkg, goos, arch string) (string, error) {
	binary := filepath.Join(b.dir, goos+"-"+arch, filepath.Base(pkg), "bootstrap")
	args := append([]string{"build"}, buildFlags...)
	return binary, b.runGo(ctx, []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + arch}, append(args, "-o", binary, pkg)...)
}

// deploy builds a package for this machine and copies the binary in one write,
// as Lambda unpacks a zip. The linker writes in another order, which changes
// how many pages of the binary count as resident memory by about 5 %.
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

func (b *bench) runGo(ctx context.Context, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(append(os.Environ(), "GOTMPDIR="+b.dir), env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}

// pythonFunction does what AWS's rotation template does before its first
// invocation: its imports and its client. Lambda's Python runtime is left out.
const pythonFunction = `#!%s
import boto3, json, logging, os
client = boto3.client("secretsmanager", endpoint_url="https://secretsmanager.us-east-1.amazonaws.com")
from http.client import HTTPConnection
api = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
api.request("GET", "/2018-06-01/runtime/invocation/next")
api.getresponse()
`

// coldStart measures process starts on this machine.
func (b *bench) coldStart(ctx context.Context) ([]figure, error) {
	script := filepath.Join(b.dir, "function.py")
	python, version := findPython(ctx)
	if python != "" {
		if err := os.WriteFile(script, fmt.Appendf(nil, pythonFunction, python), 0o700); err != nil {
			return nil, err
		}
	}
	samples := map[string]sample{}
	for round := range b.rounds(300, 100) + 1 {
		binaries := []string{b.function, b.hello}
		if python != "" && round%10 == 0 {
			binaries = append(binaries, script)
		}
		for _, binary := range binaries {
			took, err := processStart(ctx, binary)
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first start fills caches
				samples[binary] = append(samples[binary], took)
			}
		}
	}
	f := timesAsMuch("cold start (process start on this machine, not Lambda's cold start)", "ms", "hello-world on aws-lambda-go",
		samples[b.function], samples[b.hello], coldStartTarget)
	f.isSpeed = true
	return []figure{f, comparedWithPython(samples[b.function], samples[script], version)}, nil
}

// processStart returns the milliseconds from the start of the process to its
// first request for an invocation, which Lambda calls init.
func processStart(ctx context.Context, binary string) (ms float64, err error) {
	log, _, invokeErr := invoke(ctx, binary, 1)
	_, report, _ := strings.Cut(log, "\tInit Duration: ") // missing if init failed
	if _, err := fmt.Sscanf(report, "%f ms", &ms); err != nil {
		return 0, fmt.Errorf("%s did not start: %w\n%s", binary, cmp.Or(invokeErr, err), log)
	}
	return ms, nil // an invocation may fail, because only init counts
}

// invoke starts a binary as Lambda does and invokes it so many times. It returns
// Lambda's log and the peak memory in kB.
func invoke(ctx context.Context, binary string, times int) (log string, peak int, err error) {
	f, err := lambdaruntime.New(lambdaruntime.Options{
		Binary:  binary,
		Name:    "bench",
		Timeout: time.Minute,
		Env:     map[string]string{"PANTHER_API_URL": "https://api.acme.runpanther.net"},
		Log:     func(line string) { log += line + "\n" },
	})
	if err != nil {
		return "", 0, err
	}
	for range times {
		_, invokeErr := f.Invoke(ctx, []byte("{}"))
		err = errors.Join(err, invokeErr)
	}
	peak = peakMemory(binary)
	err = errors.Join(err, f.Close())
	return log, peak, err
}

// peakMemory returns VmHWM, in kB, of the process that runs a binary. It is 0
// without /proc.
func peakMemory(binary string) (kB int) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		if exe, err := os.Readlink(filepath.Join(process, "exe")); err != nil || exe != binary {
			continue
		}
		fmt.Sscanf(procField(filepath.Join(process, "status"), "VmHWM"), "%d kB", &kB)
	}
	return kB
}

// procField returns the value of the first line "name : value" of a file.
func procField(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func comparedWithPython(ours, python sample, version string) figure {
	f := figure{name: "cold start, compared with Python (the same process start)", ours: ours.in("ms"), isSpeed: true,
		target: fmt.Sprintf("at least %d × as fast", pythonTarget)}
	if len(python) == 0 {
		f.baseline, f.ratio, f.verdict = "not measured: no Python with boto3", "–", notMeasured
		return f
	}
	faster := python.median() / ours.median()
	f.baseline, f.ratio = python.in("ms")+", "+version, fmt.Sprintf("%.0f × as fast", faster)
	f.verdict = metIf(faster >= pythonTarget)
	return f
}

// findPython returns a Python that has boto3, or "". It asks the interpreter for
// its path, because the command may be a wrapper script.
func findPython(ctx context.Context) (path, version string) {
	const script = `import sys, platform, boto3; print(sys.executable); print("Python", platform.python_version(), "with boto3", boto3.__version__)`
	output, err := exec.CommandContext(ctx, cmp.Or(os.Getenv("BENCH_PYTHON"), "python3"), "-c", script).Output()
	if err != nil {
		return "", ""
	}
	path, version, _ = strings.Cut(strings.TrimSpace(string(output)), "\n")
	return path, version
}
