package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"time"

	"panther-token-rotation/internal/recoverylog"
	"panther-token-rotation/internal/test/sandbox/drill"
)

// setByDrills are the flags that a drill does not leave to the command line.
var setByDrills = []string{"recovery-recipient", "standby-key", "timeout", "token-key"}

// check returns all that is wrong with the flags, so that one run shows it.
func (s *settings) check(flags *flag.FlagSet) error {
	var problems []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	must(flags.NArg() == 0, "flags only, not %q", flags.Args())
	must(s.SecretsManager.Speed > 0 && !math.IsInf(s.SecretsManager.Speed, 0), "-speed must be above 0")
	must(s.Timeout >= time.Second && s.Timeout <= 15*time.Minute, "-timeout must be from 1s to 15m, as in Lambda")
	must(s.SecretsManager.ThrottleEvery >= 0, "-throttle-every must not be negative")
	must(s.Panther.Throttle >= 0, "-panther-throttle-every must not be negative")
	must(s.Panther.PropagationDelay >= 0, "-propagation must not be negative")
	must(s.Panther.OldTokenGrace >= 0, "-grace must not be negative")
	must(s.SecretsManager.RetryPause >= 0, "-retry-pause must not be negative")
	must(s.SecretsManager.ReadLag >= 0 && s.SecretsManager.ReadLag <= 12*time.Second,
		"-read-lag must be from 0s to 12s: the function reads again for 15 seconds")
	must(s.tokenKey != "", "-token-key must not be empty")
	must(s.standbyKey != s.tokenKey, "-standby-key must differ from -token-key")

	d, err := time.ParseDuration(s.Env["PROPAGATION_TIMEOUT"])
	must(err == nil && d >= time.Second && d <= 14*time.Minute, "-propagation-timeout must be from 1s to 14m")
	switch s.Env["LOG_LEVEL"] {
	case "", "debug", "info", "warn", "error":
	default:
		must(false, "-log-level must be debug, info, warn or error")
	}
	if recipient := s.Env["RECOVERY_RECIPIENT"]; recipient != "" {
		_, err := recoverylog.ParseRecipient(recipient)
		must(err == nil, "-recovery-recipient: %v", err)
	}
	if s.drill != "" {
		_, err := drill.Named(s.drill)
		must(err == nil, "-drill: %v", err)
		flags.Visit(func(f *flag.Flag) {
			must(!slices.Contains(setByDrills, f.Name), "-%s is set by the drill", f.Name)
		})
	}
	return errors.Join(problems...)
}
