package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/panther"
	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

const (
	secretsAtATime   = 20
	failingCalls     = 10 // percent
	rotationAttempts = 30 // of one secret, at most
	crowdLimit       = 10 * time.Minute
)

var secretsManagerFaults = []secretsmanager.Fault{
	{Code: "ThrottlingException", Message: "Rate exceeded", HTTPStatus: http.StatusBadRequest},
	{Code: "InternalServiceError", Message: "try again"},
	{Code: "InternalServiceError", Message: "try again", AfterEffect: true},
	{DropConnection: true},
	{DropConnection: true, AfterEffect: true},
}

// pantherFaults strike before rotateAPIToken takes effect, or damage its answer
// but not the token. No function could recover a token that does not arrive.
var pantherFaults = []panther.Fault{
	{Kind: panther.NotGraphQL, Status: http.StatusTooManyRequests},
	{Kind: panther.WebPage, Status: http.StatusBadGateway},
	{Kind: panther.NotGraphQL, Status: http.StatusServiceUnavailable},
	{Kind: panther.Reset},
	{Kind: panther.ErrorsBesideData},
	{Kind: panther.CutBehindToken},
}

// crowd is many secrets rotated by one function, in all rounds.
type crowd struct {
	tokens  int         // of a secret
	percent int         // of calls that fail
	on      atomic.Bool // the benchmark's own calls do not fail

	took          sample
	secrets       int
	lost          []error      // one for each secret that did not end live
	calls, failed atomic.Int64 // of the function
}

// manySecrets rotates many secrets without failing calls and with them.
func (b *bench) manySecrets(ctx context.Context) ([]figure, error) {
	var figures []figure
	for tokens := 1; tokens <= 2; tokens++ {
		calm, rough := &crowd{tokens: tokens}, &crowd{tokens: tokens, percent: failingCalls}
		for range b.rounds(3, 1) {
			if err := errors.Join(b.rotateMany(ctx, calm), b.rotateMany(ctx, rough)); err != nil {
				return nil, err
			}
		}
		for _, err := range append(calm.lost, rough.lost...) {
			fmt.Fprintf(b.out, "  not live: %v\n", err)
		}
		f, err := manySecretsFigure(calm, rough)
		if err != nil {
			return nil, err
		}
		f.name = fmt.Sprintf("%d secrets by one function, %d at a time, %d %% of calls failing, tokens in each: %d", b.rounds(200, 60), secretsAtATime, failingCalls, tokens)
		figures = append(figures, f)
	}
	return figures, nil
}

// manySecretsFigure returns an error if few calls failed: that no secret was
// lost would then prove nothing.
func manySecretsFigure(calm, rough *crowd) (figure, error) {
	calls, failed := rough.calls.Load(), rough.failed.Load()
	if failed == 0 || failed*100 < calls*failingCalls/2 {
		return figure{}, fmt.Errorf("only %d of %d calls failed instead of %d %%", failed, calls, failingCalls)
	}
	lost := len(calm.lost) + len(rough.lost)
	return figure{
		ours: fmt.Sprintf("%d of %d lost; %s; %d of %d calls failed",
			lost, calm.secrets+rough.secrets, rough.took.in("s"), failed, calls),
		baseline: "without failing calls: " + calm.took.in("s"),
		ratio:    times(rough.took.median()/calm.took.median()) + " the time",
		target:   "none lost, every secret ends live",
		verdict:  metIf(lost == 0),
	}, nil
}

// rotateMany rotates new secrets. Secrets Manager retries rotations that fail.
func (b *bench) rotateMany(ctx context.Context, c *crowd) (err error) {
	slots := make(chan struct{}, secretsAtATime) // one is taken for each rotation
	o := sandbox.Options{Binary: b.function}
	o.Panther = panther.Options{
		PropagationDelay: 500 * time.Millisecond,
		Fault:            func(panther.Request) *panther.Fault { return pick(c, pantherFaults) },
	}
	o.SecretsManager = secretsmanager.Options{
		RotationAttempts: rotationAttempts,
		RetryPause:       100 * time.Millisecond,
		Fault: func(operation, _ string) *secretsmanager.Fault {
			if operation == "RotateSecret" {
				return nil // called by the benchmark
			}
			return pick(c, secretsManagerFaults)
		},
		OnEvent: func(e secretsmanager.Event) {
			if e.Name == "RotationSucceeded" || e.Name == "RotationFailed" {
				<-slots
			}
		},
	}
	a, err := openAccount(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()

	all := make([]secret, b.rounds(200, 60))
	for i := range all {
		if all[i], err = a.createSecret(ctx, fmt.Sprintf("bench-%d", i), c.tokens); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	c.on.Store(true)
	started := time.Now()
	for _, s := range all {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if err := a.rotateSecret(ctx, s); err != nil {
			return err
		}
	}
	if err := a.SecretsManager.AwaitIdle(ctx); err != nil {
		return err
	}
	c.took = append(c.took, time.Since(started).Seconds())
	c.on.Store(false)
	c.secrets += len(all)
	for _, s := range all {
		if err := a.checkRotated(ctx, s); err != nil {
			c.lost = append(c.lost, err)
		}
	}
	return nil
}

// pick returns one of the faults for some of the calls, and nil for the others.
func pick[Fault any](c *crowd, faults []Fault) *Fault {
	if !c.on.Load() {
		return nil
	}
	c.calls.Add(1)
	if rand.IntN(100) >= c.percent {
		return nil
	}
	c.failed.Add(1)
	return &faults[rand.IntN(len(faults))]
}
