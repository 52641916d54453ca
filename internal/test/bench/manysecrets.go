package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/panther"
	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

const (
	secretsAtATime = 20
	failingCalls   = 10 // percent
	rotateAttempts = 10 // rotate-secret calls for one secret, at most
	crowdLimit     = 10 * time.Minute
)

var errAbandoned = errors.New("the rotation was abandoned")

// crowd is many secrets rotated by one function.
type crowd struct {
	took        time.Duration
	lost        []error // of each secret that did not end live
	invocations int64
	calls       int64 // of the function
	failed      int64 // of these
	again       int64 // rotate-secret calls beyond the first of each secret
}

// wasTroubled says whether about as many calls failed as should have. Without
// that, that no secret is lost would say nothing.
func (c *crowd) wasTroubled() error {
	if c.failed*100 < c.calls*failingCalls/2 || c.failed == 0 {
		return fmt.Errorf("only %d of %d calls failed, and %d %% should", c.failed, c.calls, failingCalls)
	}
	return nil
}

// manySecrets rotates 200 secrets by one function, 20 at a time, once without
// failing calls and once with a tenth of them failing.
func (b *bench) manySecrets(ctx context.Context) ([]figure, error) {
	secrets := b.rounds(200, 60)
	calm := sample{name: fmt.Sprintf("%d secrets, no call failing", secrets), unit: "s"}
	rough := sample{name: fmt.Sprintf("%d secrets, %d %% of calls failing", secrets, failingCalls), unit: "s"}
	calmInvocations := sample{name: "invocations, no call failing", unit: "invocations"}
	roughInvocations := sample{name: fmt.Sprintf("invocations, %d %% of calls failing", failingCalls), unit: "invocations"}
	var lost []error
	var lostInTrouble int
	var calls, failed, again int64
	rounds := b.rounds(3, 1)
	for round := range rounds {
		c, err := b.rotateMany(ctx, secrets, nil)
		if err != nil {
			return nil, err
		}
		lost = append(lost, c.lost...)
		calm.add(c.took.Seconds())
		calmInvocations.add(float64(c.invocations))

		t := &trouble{random: rand.New(rand.NewPCG(uint64(round), 0))}
		if c, err = b.rotateMany(ctx, secrets, t); err != nil {
			return nil, err
		}
		if err := c.wasTroubled(); err != nil {
			return nil, err
		}
		lost = append(lost, c.lost...)
		lostInTrouble += len(c.lost)
		rough.add(c.took.Seconds())
		roughInvocations.add(float64(c.invocations))
		calls, failed, again = calls+c.calls, failed+c.failed, again+c.again
	}
	for _, err := range lost {
		fmt.Fprintf(b.out, "  not live: %v\n", err)
	}
	return []figure{{
		name:      fmt.Sprintf("%d secrets by one function, %d at a time, %d %% of calls failing", secrets, secretsAtATime, failingCalls),
		ours:      fmt.Sprintf("%d lost; %s, %.0f invocations", len(lost), rough.inShort(), roughInvocations.median()),
		yardstick: fmt.Sprintf("without failing calls: %s, %.0f invocations", calm.inShort(), calmInvocations.median()),
		ratio:     times(rough.median()/calm.median()) + " the time",
		aim:       "none lost, every secret ends live",
		verdict:   metIf(len(lost) == 0),
		samples:   []sample{rough, calm, roughInvocations, calmInvocations},
		note: fmt.Sprintf("Of many secrets, in all runs with failing calls: %d of the function's %d calls failed, %d of %d secrets ended\n"+
			"live, and rotate-secret had to be called again %d times.", failed, calls, rounds*secrets-lostInTrouble, rounds*secrets, again),
	}}, nil
}

// rotateMany rotates many secrets, each with as many calls of rotate-secret as
// it takes.
func (b *bench) rotateMany(ctx context.Context, secrets int, t *trouble) (c crowd, err error) {
	var ended sync.Map // ARN of a secret → chan error, filled at the end of each of its rotations
	o := sandbox.Options{
		Binary:  b.function,
		Panther: panther.Options{PropagationDelay: 500 * time.Millisecond},
		SecretsManager: secretsmanager.Options{
			RetryPause: 100 * time.Millisecond,
			OnEvent: func(e secretsmanager.Event) {
				switch e.Name {
				case "StepStarted":
					atomic.AddInt64(&c.invocations, 1)
				case "RotationSucceeded", "RotationFailed":
					told(&ended, e.SecretARN) <- e.Err
				case "RotationAbandoned":
					told(&ended, e.SecretARN) <- errAbandoned
				}
			},
		},
	}
	if t != nil {
		o.Panther.Fault, o.SecretsManager.Fault = t.ofPanther, t.ofSecretsManager
	}
	a, err := openAccount(ctx, o)
	if err != nil {
		return crowd{}, err
	}
	defer func() { err = errors.Join(err, a.close()) }()

	type kept struct{ arn, token string }
	all := make([]kept, secrets)
	for i := range all {
		if all[i].arn, all[i].token, err = a.createSecret(ctx, fmt.Sprintf("bench-%d", i)); err != nil {
			return crowd{}, err
		}
		ended.Store(all[i].arn, make(chan error, rotateAttempts))
	}

	limited, cancel := context.WithTimeout(ctx, crowdLimit)
	defer cancel()
	t.turn(true)
	started := time.Now()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range secretsAtATime {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(secrets) && limited.Err() == nil; i = next.Add(1) - 1 {
				again := a.rotateUntilDone(limited, all[i].arn, told(&ended, all[i].arn))
				atomic.AddInt64(&c.again, int64(again))
			}
		})
	}
	workers.Wait()
	c.took = time.Since(started)
	if ctx.Err() != nil {
		return crowd{}, ctx.Err()
	}
	c.calls, c.failed = t.turn(false)

	for _, secret := range all {
		if err := a.checkRotated(ctx, secret.arn, secret.token); err != nil {
			c.lost = append(c.lost, err)
		}
	}
	return c, nil
}

func told(ended *sync.Map, arn string) chan error {
	end, _ := ended.Load(arn)
	return end.(chan error)
}

// rotateUntilDone calls RotateSecret until a rotation went through, as somebody
// who was alarmed does, and returns how often it had to be called again. Whether
// the secret is live in the end is checked elsewhere.
func (a *account) rotateUntilDone(ctx context.Context, arn string, end <-chan error) (again int) {
	for again = range rotateAttempts {
		if err := a.rotateSecret(ctx, arn); err != nil {
			continue
		}
		select {
		case err := <-end:
			if err == nil {
				return again
			}
		case <-ctx.Done():
			return again
		}
	}
	return again
}

// trouble has calls of the function fail, at random. Most faults strike before
// the call has an effect, some after it. The answer of rotateAPIToken is never
// lost: the token would be too, and nobody on this side could help.
type trouble struct {
	mu            sync.Mutex
	on            bool
	random        *rand.Rand
	calls, failed int64
}

// turn switches trouble on or off, and returns what there was of it so far.
func (t *trouble) turn(on bool) (calls, failed int64) {
	if t == nil {
		return 0, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on = on
	return t.calls, t.failed
}

func (t *trouble) ofSecretsManager(operation, _ string) *secretsmanager.Fault {
	if operation == "RotateSecret" {
		return nil // the benchmark's own
	}
	return strike(t, []secretsmanager.Fault{
		{Code: "ThrottlingException", Message: "Rate exceeded", HTTPStatus: http.StatusBadRequest},
		{Code: "InternalServiceError", Message: "try again"},
		{Code: "InternalServiceError", Message: "try again", AfterEffect: true},
		{DropConnection: true},
		{DropConnection: true, AfterEffect: true},
	})
}

func (t *trouble) ofPanther(r panther.Request) *panther.Fault {
	faults := []panther.Fault{
		{Kind: panther.NotGraphQL, Status: http.StatusTooManyRequests},
		{Kind: panther.WebPage, Status: http.StatusBadGateway},
		{Kind: panther.NotGraphQL, Status: http.StatusServiceUnavailable},
		{Kind: panther.Reset},
	}
	if r.Operation == panther.RotateAPIToken {
		// The answer is damaged, but what matters of it arrives.
		return strike(t, append(faults, panther.Fault{Kind: panther.ErrorsBesideData}, panther.Fault{Kind: panther.CutBehindToken}))
	}
	return strike(t, append(faults, panther.Fault{Kind: panther.WebPage, AfterEffect: true}, panther.Fault{Kind: panther.Reset, AfterEffect: true}))
}

// strike picks one of the faults for a tenth of the calls.
func strike[Fault any](t *trouble, faults []Fault) *Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on {
		return nil
	}
	t.calls++
	if t.random.IntN(100) >= failingCalls {
		return nil
	}
	t.failed++
	return &faults[t.random.IntN(len(faults))]
}
