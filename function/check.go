package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"panther-token-rotation/internal/health"
	"panther-token-rotation/internal/rotation"
)

// checkEvent is what the daily schedule sends: {"Check": "secrets"}. It does
// not name the secrets: a caller of the function must not choose them or forge
// the heartbeat of another secret.
type checkEvent struct{ Check string }

func isCheckEvent(payload []byte) bool {
	var event checkEvent
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	return decoder.Decode(&event) == nil && event.Check == "secrets"
}

// checker checks one secret: a [health.Checker].
type checker interface {
	Check(ctx context.Context, secretID string) ([]health.Problem, error)
}

// check is the daily check of the secrets in the setting CHECK_SECRETS. It
// stores what the process holds, as each step of a rotation does, and otherwise
// writes nothing.
type check struct {
	secrets []string
	meter   rotation.Meter
	checker func(functionARN string) checker
}

// run checks all secrets. Problems become metrics, not errors: Lambda would
// repeat a failed invocation. A secret that could not be looked at has no
// heartbeat.
func (c check) run(ctx context.Context, log *slog.Logger) {
	checker := c.checker(functionARN(ctx))
	var failed atomic.Bool
	var working sync.WaitGroup
	for _, secretID := range c.secrets {
		working.Go(func() {
			if !c.one(ctx, log.With("secret", secretID), checker, secretID) {
				failed.Store(true)
			}
		})
	}
	working.Wait()
	if len(c.secrets) > 0 && !failed.Load() {
		c.meter.Measure(rotation.Measurement{Event: rotation.AllChecked})
	}
}

func (c check) one(ctx context.Context, log *slog.Logger, checker checker, secretID string) (looked bool) {
	problems, err := checker.Check(ctx, secretID)
	for _, p := range problems {
		rotation.EventProblemFound.Log(log, "kind", string(p.Kind), "error", p.What+". "+p.Next)
		c.meter.Measure(rotation.Measurement{Event: rotation.ProblemFound, SecretARN: secretID, Kind: p.Kind})
	}
	if err != nil {
		rotation.EventCheckFailed.Log(log, "kind", string(rotation.StoreUnavailable), "error", err.Error())
		c.meter.Measure(rotation.Measurement{Event: rotation.ProblemFound, SecretARN: secretID, Kind: rotation.StoreUnavailable})
		return false
	}
	rotation.EventSecretChecked.Log(log, "problems", len(problems))
	c.meter.Measure(rotation.Measurement{Event: rotation.Checked, SecretARN: secretID})
	return true
}

// functionARN returns the function's ARN without a version or alias, as secrets
// name it.
func functionARN(ctx context.Context) string {
	lc, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return ""
	}
	const unqualified = 7 // arn:aws:lambda:<region>:<account>:function:<name>
	parts := strings.SplitN(lc.InvokedFunctionArn, ":", unqualified+1)
	return strings.Join(parts[:min(len(parts), unqualified)], ":")
}
