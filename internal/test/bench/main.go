// The benchmark measures what the function costs, each figure beside its
// yardstick in the same run, and writes down in benchmarks.md which aims are
// met. Everything runs on 127.0.0.1.
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

Measures and writes benchmarks.md. Exits with 0 if all aims are met, 1 if one is
missed or the measuring failed, 3 if none is missed but one could not be measured, 130 if it was
interrupted. With -quick, speeds are told but do not count: machines of CI are too busy for them. The Python to compare with is $BENCH_PYTHON, or else python3; it needs boto3.

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

// run does what the command line asks for and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	quick := flags.Bool("quick", false, "measure less often, in less than a minute, as for CI")
	dir := flags.String("o", "deploy/docs", "write into this `folder`")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitMet
	} else if err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "The benchmark takes flags only, not %q.\n", flags.Arg(0))
		return exitUsage
	}

	report, err := measure(ctx, *quick, stdout)
	if err == nil {
		err = report.write(*dir)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "Interrupted. Everything that was started has ended.")
		return exitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "The benchmark failed: %v.\n", err)
		return exitMissed
	}
	fmt.Fprintf(stdout, "\n%s\nWritten: %s\n", report.summary(), filepath.Join(*dir, reportFile))
	return report.exitCode()
}

// bench is one run of the benchmark.
type bench struct {
	quick bool
	out   io.Writer
	dir   string // for what is built; removed in the end

	function, hello string // binaries for this machine

	rotations []rotation // those that memory and calls are taken from
}

// measure measures everything. It takes minutes, or one if quick.
func measure(ctx context.Context, quick bool, out io.Writer) (*report, error) {
	b := &bench{quick: quick, out: out}
	var err error
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	if b.dir, err = filepath.EvalSymlinks(b.dir); err != nil { // as /proc shows paths
		return nil, err
	}

	r := &report{quick: quick, date: time.Now(), machine: thisMachine()}
	for _, part := range []struct {
		name    string
		measure func(context.Context) ([]figure, error)
		isSpeed bool
	}{
		{"deployment zip", b.zipSize, false}, // first, since it builds
		{"cold start", b.coldStart, true},
		{"peak memory", b.memory, false},
		{"calls to Secrets Manager", b.calls, false},
		{"outage", b.outage, false},
		{"many secrets, failing calls", b.manySecrets, false},
	} {
		started := time.Now()
		figures, err := part.measure(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintf(out, "%s, in %.1f s\n", part.name, time.Since(started).Seconds())
		for i, f := range figures {
			figures[i].isSpeed = part.isSpeed
			fmt.Fprintf(out, "  %s: %s (%s); aim: %s: %s\n", f.name, f.ours, f.ratio, f.aim, f.verdict)
		}
		r.figures = append(r.figures, figures...)
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
