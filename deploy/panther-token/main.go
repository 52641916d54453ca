// The command panther-token is the operator's tool: it says what is wrong with
// a secret, which one command comes next, and runs it.
//
// It never prints a token and never takes one as an argument.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"panther-token-rotation/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, machine{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv:      os.Getenv,
		interactive: term.IsTerminal(int(os.Stdin.Fd())),
		awsConfig:   config.LoadDefaultConfig,
		pauses:      pauses{ask: 2 * time.Second, poll: 2 * time.Second, quiet: 2 * time.Minute},
	}, os.Args[1:])
	stop()
	os.Exit(code)
}

// machine is what a command finds on the machine it runs on.
type machine struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	interactive    bool // a person answers on stdin
	awsConfig      func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error)
	pauses         pauses
}

// pauses are how long to wait: ask before Panther is asked again, poll before
// Secrets Manager is, quiet for another attempt after a step failed.
type pauses struct{ ask, poll, quiet time.Duration }

// Exit codes.
const (
	exitDone    = 0
	exitProblem = 1 // a problem was found, or the command was refused or failed
	exitUnknown = 2 // the command could not look, or its usage is wrong
)

// problem is an error that was found out, not one of looking. It ends a command
// with exitProblem.
type problem struct{ what, next string }

func (p *problem) Error() string { return p.what }

func refuse(next, format string, args ...any) error {
	return &problem{fmt.Sprintf(format, args...), next}
}

// errUnhealthy ends status, which has printed the problems.
var errUnhealthy = errors.New("unhealthy")

// tool is what all commands share.
type tool struct {
	machine
	*terminal

	url, tokenKey, standbyKey string
	region, profile           string
	yes                       bool
	// interrupted says what is true when the command is interrupted.
	interrupted string
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, m machine, args []string) int {
	t := &tool{machine: m, terminal: newTerminal(m)}
	root := t.root()
	root.SetArgs(args)
	root.SetIn(m.stdin)
	root.SetOut(m.stdout)
	root.SetErr(m.stderr)
	err := root.ExecuteContext(ctx)
	t.clear()
	p, found := errors.AsType[*problem](err)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errUnhealthy):
		return exitProblem
	case ctx.Err() != nil && !found:
		t.say("%s %s", t.bad("Interrupted."), t.interrupted)
		return exitProblem
	case found:
		t.say("%s %s", t.bad("error:"), sentence(p.what))
		if p.next != "" {
			t.say("%s %s", t.bold("next: "), p.next)
		}
		return exitProblem
	}
	t.say("%s %s", t.bad("error:"), sentence(err.Error()))
	return exitUnknown
}

func sentence(s string) string {
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func (t *tool) root() *cobra.Command {
	t.interrupted = "Nothing was changed."
	root := &cobra.Command{
		Use:   "panther-token",
		Short: "Look at, rotate and repair a Panther API token in AWS Secrets Manager",
		Long: `Look at, rotate and repair a Panther API token in AWS Secrets Manager.

Start with: panther-token status SECRET

SECRET is the name or the ARN of a secret. AWS credentials and the Region are
those of the aws CLI. The address of Panther and the keys of the tokens come
from the settings of the function that rotates the secret.

Exit codes: 0 done or healthy, 1 a problem or a refusal, 2 could not look.`,
		Version:       version.Number,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&t.url, "url", "", "address of Panther (default: PANTHER_API_URL of the shell, then of the function)")
	flags.StringVar(&t.tokenKey, "token-key", "", "key of the active token (default: SECRET_TOKEN_KEY, likewise)")
	flags.StringVar(&t.standbyKey, "standby-key", "", "key of the standby token (default: SECRET_STANDBY_KEY, likewise)")
	flags.StringVar(&t.region, "region", "", "AWS Region (default: that of the shell)")
	flags.StringVar(&t.profile, "profile", "", "AWS profile (default: that of the shell)")
	root.AddCommand(t.statusCommand(), t.rotateCommand(), t.putCommand(), t.restoreCommand(), t.initCommand())
	return root
}

// command makes a command that takes the secret as its only argument.
func (t *tool) command(use, short, long, example string, run func(ctx context.Context, secretID string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: short + ".\n\n" + long, Example: example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("give one secret, by name or ARN. A token is never an argument")
			}
			return nil
		},
		ValidArgsFunction: t.completeSecrets,
		RunE:              func(c *cobra.Command, args []string) error { return run(c.Context(), args[0]) },
	}
}

func (t *tool) yesFlag(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVarP(&t.yes, "yes", "y", false, "answer yes to the questions of this command")
	return c
}
