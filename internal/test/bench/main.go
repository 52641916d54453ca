// The benchmark measures what the function costs, compares each figure with a
// baseline, and writes benchmarks.md. Everything runs on 127.0.0.1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const usage = `Usage: make bench ARGS='[flags]'

Measures and writes benchmarks.md. Exits with 0 if every target that counts is met, 1 if one is
missed or the measurement failed, 3 if one could not be measured, 130 if interrupted. With -quick,
speeds are printed but do not count, because CI machines are too busy. The Python baseline runs
$BENCH_PYTHON, or python3. It needs boto3.

`

// The exit codes.
const (
	exitMet         = 0
	exitMissed      = 1
	exitUsage       = 2
	exitNotMeasured = 3
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (exitCode int) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	quick := flags.Bool("quick", false, "measure less often, in about a minute, as CI does")
	dir := flags.String("o", "deploy/docs", "write into this `folder`")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitMet
	} else if err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	}

	report, err := measure(ctx, *quick, stdout)
	file := filepath.Join(*dir, "benchmarks.md")
	if err == nil {
		err = os.WriteFile(file, []byte(report.markdown()), 0o644)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "Interrupted. All processes have ended.")
		return exitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "The benchmark failed: %v.\n", err)
		return exitMissed
	}
	fmt.Fprintf(stdout, "\n%s\nWritten: %s\n", report.summary(), file)
	return report.exitCode()
}

// bench is one run of the benchmark.
type bench struct {
	quick           bool
	out             io.Writer
	dir             string // temporary, for binaries
	function, hello string // binaries for this machine
}

func measure(ctx context.Context, quick bool, out io.Writer) (_ *report, err error) {
	b := &bench{quick: quick, out: out}
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	if b.dir, err = filepath.EvalSymlinks(b.dir); err != nil { // as /proc shows paths
		return nil, err
	}

	if b.function, err = b.deploy(ctx, functionPackage); err != nil {
		return nil, err
	}
	if b.hello, err = b.deploy(ctx, helloPackage); err != nil {
		return nil, err
	}

	r := &report{quick: quick}
	for _, part := range []struct {
		name    string
		measure func(context.Context) ([]figure, error)
	}{
		{"deployment zip", b.zipSize},
		{"cold start", b.coldStart},
		{"memory and calls", b.memoryAndCalls},
		{"outage", b.outage},
		{"many secrets", b.manySecrets},
	} {
		started := time.Now()
		figures, err := part.measure(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintf(out, "%s, measured in %.1f s\n", part.name, time.Since(started).Seconds())
		for _, f := range figures {
			f = r.add(f)
			fmt.Fprintf(out, "  %s: %s (%s); target: %s: %s\n", f.name, f.ours, f.ratio, f.target, f.verdict)
		}
	}
	return r, nil
}

// rounds is how often something is measured.
func (b *bench) rounds(full, quick int) int {
	if b.quick {
		return quick
	}
	return full
}
