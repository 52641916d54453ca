// The function rotates a Panther API token kept in AWS Secrets Manager. Secrets
// Manager invokes it once for each of the four steps of a rotation.
//
// This package reads the settings and wires the parts. internal/rotation has the
// four steps.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"panther-token-rotation/internal/health"
	"panther-token-rotation/internal/metrics"
	"panther-token-rotation/internal/panther"
	"panther-token-rotation/internal/recoverylog"
	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secretsmanager"
	"panther-token-rotation/internal/version"
)

func main() {
	// The first line written to a closed standard output would otherwise end the
	// process, and with it a token that is not stored yet.
	signal.Ignore(syscall.SIGPIPE)
	c, err := readConfig(os.Getenv)
	if err != nil {
		rotation.EventSettingsInvalid.Log(newLogger(os.Stdout, slog.LevelInfo), "error", err.Error())
		os.Exit(1)
	}
	// Wiring takes as long as registering for SIGTERM does, so both happen at once.
	wired := lazy(sync.OnceValue(func() *handler { return newHandler(c, os.Stdout) }))
	go wired()
	lambda.StartWithOptions(wired, lambda.WithEnableSIGTERM(func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		wired().flush(ctx)
	}))
}

// lazy is a handler that may not be wired yet.
type lazy func() *handler

// Invoke is that of the handler.
func (l lazy) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return l().Invoke(ctx, payload)
}

// flushTime is how long a process that Lambda retires may work. Lambda ends it
// 300 to 500 ms after the notice
// (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown).
const flushTime = 290 * time.Millisecond

// newHandler wires the parts. Logs and metrics go to out, a line each.
func newHandler(c config, out io.Writer) *handler {
	log := newLogger(out, c.logLevel)
	rotation.EventStarted.Log(log, "functionVersion", version.Number)
	userAgent := "panther-token-rotation/" + version.Number
	store := secretsmanager.New(secretsmanager.NewClient(c.aws, userAgent))
	issuer := panther.New(c.pantherURL, userAgent)
	meter := metrics.New(out, c.functionName)
	parts := rotation.Config{
		Store:              store,
		Issuer:             issuer,
		Meter:              meter,
		Keys:               c.keys,
		PropagationTimeout: c.propagationTimeout,
	}
	if c.recipient != nil {
		parts.Sealer = recoverylog.New(log, c.recipient)
	}
	daily := check{secrets: c.checkSecrets, meter: meter, checker: func(functionARN string) checker {
		return health.Checker{
			Store: store, Issuer: issuer, Expirer: issuer, Keys: c.keys,
			FunctionARN: functionARN, PropagationTimeout: c.propagationTimeout,
		}
	}}
	return &handler{rotator: rotation.New(parts), check: daily, log: log}
}

// newLogger logs as Lambda's JSON log format wants it
// (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html).
func newLogger(out io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: lambdacontext.ReplaceAttr}))
}
