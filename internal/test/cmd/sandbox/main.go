// The command sandbox keeps the sandbox running for the ordinary aws CLI, prints
// the lines to paste, and shows what the function logs and how rotations go.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"panther-token-rotation/internal/test/cmd/terminal"
	"panther-token-rotation/internal/test/sandbox"
)

const usage = `Usage: make sandbox ARGS='[flags]'

Keeps Secrets Manager, Lambda with the rotation function, and Panther running on 127.0.0.1, and
prints the lines that make the aws CLI rotate a token there. Ctrl-C ends it.

The flags set up the function, speed up the clock, and give the sandbox awkward quirks that the
real services have, or may have:

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}

// settings are what the command line says.
type settings struct {
	sandbox.Options
	tokenKey, standbyKey string
	drill                string // its name; empty for none
	drills               bool   // list them
}

// run does what the command line asks for until ctx ends, and returns the exit
// code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, getenv func(string) string) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case s.drills:
		listDrills(stdout)
		return 0
	}
	term := terminal.New(stdout, getenv)
	if err := serve(ctx, term, s); err != nil && ctx.Err() == nil {
		term.Printf("") // in place of the live line
		fmt.Fprintf(stderr, "The sandbox failed: %v.\n", err)
		return 1
	}
	term.Printf("\nThe sandbox has ended, with all that was in it.\n")
	return 0
}

func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{tokenKey: "PANTHER_API_TOKEN"}
	s.Timeout = 80 * time.Second // a minute more than PROPAGATION_TIMEOUT
	s.Panther.PropagationDelay = 4 * time.Second
	s.SecretsManager.Speed = 1440
	s.SecretsManager.RetryPause = 2 * time.Second
	s.Env = map[string]string{"PROPAGATION_TIMEOUT": "20s", "CHECK_SECRETS": sandbox.SecretName}

	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.Float64Var(&s.SecretsManager.Speed, "speed", s.SecretsManager.Speed,
		"How many `times` as often as scheduled secrets are rotated. At 1440, a day passes in a\n"+
			"minute. Dates are of the real clock.")
	flags.DurationVar(&s.Timeout, "timeout", s.Timeout,
		"The function's timeout in Lambda. With less than 37s it refuses to rotate.")
	setting := func(flagName, variable, about string) {
		flags.Func(flagName, about+"\nThe function's setting "+variable+".", func(value string) error {
			s.Env[variable] = value
			return nil
		})
	}
	setting("propagation-timeout", "PROPAGATION_TIMEOUT", "How long testSecret waits for a new token to work: a `duration` such as 90s.")
	setting("recovery-recipient", "RECOVERY_RECIPIENT", "The `age1…` key to which new tokens are sealed in the log before they are stored.")
	setting("log-level", "LOG_LEVEL", "The least `level` that the function logs: debug, info, warn or error.")
	flags.StringVar(&s.tokenKey, "token-key", s.tokenKey,
		"The `key` of the token in a JSON secret.\nThe function's setting SECRET_TOKEN_KEY.")
	flags.StringVar(&s.standbyKey, "standby-key", "",
		"The `key` of the standby token; empty means that of the token followed by _STANDBY.\nThe function's setting SECRET_STANDBY_KEY.")
	flags.StringVar(&s.drill, "drill", "", "Play the emergency of this `name`; make drill lists them.")
	flags.BoolVar(&s.drills, "drills", false, "List the emergencies to rehearse.")
	s.Quirks(flags)
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.standbyKey = cmp.Or(s.standbyKey, s.tokenKey+"_STANDBY")
	s.Env["SECRET_TOKEN_KEY"], s.Env["SECRET_STANDBY_KEY"] = s.tokenKey, s.standbyKey

	err := s.check(flags)
	if err != nil {
		fmt.Fprintf(stderr, "The sandbox does not start:\n%v\n", err)
	}
	return s, err
}

// serve starts the sandbox, says how to use it and waits until ctx ends.
func serve(ctx context.Context, term *terminal.Terminal, s settings) error {
	j := newJournal(term)
	s.Log = j.logged
	s.SecretsManager.OnEvent = j.happened
	s.OnFault = func(text string) { j.print(term.Bold(text) + "\n") }
	d, dir, err := prepareDrill(&s)
	defer os.RemoveAll(dir) // nothing, if there is no drill
	if err != nil {
		return err
	}
	term.Live("Building the function …")
	box, err := sandbox.Start(ctx, s.Options)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, box.Close())
	}
	c := &control{box, j}
	address := listener.Addr().String()
	server := &http.Server{Handler: c.handler(), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	if isTerminal(os.Stdin) {
		go c.keys(ctx, os.Stdin, address)
	}
	var failure error
	if s.drill != "" {
		failure = playDrill(ctx, c, d, dir, address)
	} else {
		j.print(instructions(term, box, s, address))
	}
	if failure == nil {
		<-ctx.Done()
	}
	j.close()
	return errors.Join(failure, server.Close(), box.Close())
}
