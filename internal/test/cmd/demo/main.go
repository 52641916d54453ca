// The demo rotates a Panther API token in the sandbox and shows each step of the
// rotation and each call beneath it. It exits with 0 only if what it says at the
// end was checked and is true.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"panther-token-rotation/internal/test/cmd/terminal"
	"panther-token-rotation/internal/test/sandbox"
)

const usage = `Usage: make demo ARGS='[flags]'

Builds the Lambda function, rotates a token in the sandbox and shows what happens. Exits with 0
if the rotation was checked and is in order, 1 if not, 130 if it was interrupted.

The flags give the sandbox awkward quirks that the real services have, or may have:

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}

// run does what the command line asks for and returns the exit code. When ctx
// ends, so does the demo.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, getenv func(string) string) int {
	var options sandbox.Options
	options.Panther.PropagationDelay = 4 * time.Second
	options.SecretsManager.RetryPause = 2 * time.Second
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	single := flags.Bool("single", false, "The secret holds one token instead of two, so that a rotation shuts readers out.")
	options.Quirks(flags)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "The demo takes flags only, not %q.\n", flags.Arg(0))
		return 2
	}

	term := terminal.New(stdout, getenv)
	f := twoTokens
	if *single {
		f = oneToken
	}
	err := rotate(ctx, term, options, f)
	switch {
	case ctx.Err() != nil:
		term.Printf("\nInterrupted. Everything that was started has ended.\n")
		return 130
	case err != nil:
		term.Printf("\n") // in place of the live line
		fmt.Fprintf(stderr, "The demo failed: %v.\n", err)
		return 1
	}
	return 0
}
