package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/panther"
	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

const (
	stepsOfRotation = 4

	memoryTarget = 1.5 // times hello-world's, at most
	callsTarget  = 12  // at most

	// templateCalls is what AWS's template calls for the same job, by its source.
	// DescribeSecret: 1 in each step. createSecret: GetSecretValue of AWSCURRENT
	// and of the new version, PutSecretValue; no GetRandomPassword, because
	// Panther makes the token. testSecret: GetSecretValue. finishSecret:
	// DescribeSecret again, UpdateSecretVersionStage for each of two labels.
	templateCalls = 4 + 3 + 1 + 3
)

// memoryAndCalls compares the peak of resident memory over a whole rotation with
// that of hello-world over as many invocations. It counts the calls to Secrets
// Manager in the same rotations.
func (b *bench) memoryAndCalls(ctx context.Context) ([]figure, error) {
	var ours, hello, calls sample
	for range b.rounds(15, 3) {
		r, err := b.rotateOnce(ctx, 1, time.Second) // testSecret asks Panther several times
		if err != nil {
			return nil, err
		}
		_, peak, err := invoke(ctx, b.hello, stepsOfRotation)
		if err != nil {
			return nil, err
		}
		ours = append(ours, float64(r.peakMemory)/1024)
		hello = append(hello, float64(peak)/1024)
		calls = append(calls, float64(r.calls))
	}
	return []figure{
		timesAsMuch("peak memory over a whole rotation", "MiB", "hello-world, four invocations", ours, hello, memoryTarget),
		{
			name:     "calls to Secrets Manager in a whole rotation",
			ours:     calls.in("calls"),
			baseline: fmt.Sprintf("%d, AWS's template for the same job", templateCalls),
			ratio:    times(calls.median() / templateCalls),
			target:   fmt.Sprintf("at most %d", callsTarget),
			verdict:  metIf(calls.median() <= callsTarget),
		},
	}, nil
}

// outage measures how long AWSCURRENT holds no working token.
func (b *bench) outage(ctx context.Context) (figures []figure, err error) {
	for _, c := range []struct{ propagation, target time.Duration }{
		{0, time.Second}, {2 * time.Second, 3300 * time.Millisecond}, {10 * time.Second, 12500 * time.Millisecond},
	} {
		p, target := c.propagation.Seconds(), c.target.Seconds()
		var s sample
		var single, two requests
		for range b.rounds(5, 1) {
			r, err := b.rotateOnce(ctx, 1, c.propagation)
			if err != nil {
				return nil, err
			}
			if r.outage < c.propagation {
				return nil, fmt.Errorf("the new token was AWSCURRENT after %s, but it works after %s", r.outage, c.propagation)
			}
			s = append(s, r.outage.Seconds())
			single.add(r)
			if r, err = b.rotateOnce(ctx, 2, c.propagation); err != nil {
				return nil, err
			}
			two.add(r)
		}
		figures = append(figures, figure{
			name:     fmt.Sprintf("requests of a reader refused in a rotation, two tokens, P = %.0f s", p),
			ours:     two.String(),
			baseline: "one token, in the same run: " + single.String(),
			ratio:    "–",
			target:   "0 refused",
			verdict:  metIf(two.refused == 0 && two.asked > 0),
		}, figure{
			name:     fmt.Sprintf("outage with one token at P = %.0f s (with two: none)", p),
			ours:     s.in("s"),
			baseline: fmt.Sprintf("P itself, %.0f s", p),
			ratio:    fmt.Sprintf("P + %.3f s", s.median()-p),
			target:   fmt.Sprintf("at most %.1f s", target),
			verdict:  metIf(s.median() <= target),
		})
	}
	return figures, nil
}

// rotation is what was measured of one.
type rotation struct {
	calls      int // to Secrets Manager
	peakMemory int // of the function's process, in kB; 0 if unknown
	outage     time.Duration
	requests   requests
}

// requests is what a reader asked Panther with the token of AWSCURRENT.
type requests struct{ refused, asked int }

func (r *requests) add(other rotation) {
	r.refused += other.requests.refused
	r.asked += other.requests.asked
}

func (r requests) String() string { return fmt.Sprintf("%d of %d refused", r.refused, r.asked) }

// rotateOnce rotates one secret in a new sandbox and checks the result.
func (b *bench) rotateOnce(ctx context.Context, tokens int, propagation time.Duration) (r rotation, err error) {
	var mu sync.Mutex
	var calls int
	var current time.Time // when the new token became AWSCURRENT
	o := sandbox.Options{Binary: b.function}
	o.Panther.PropagationDelay = propagation
	o.SecretsManager.OnCall = func(c secretsmanager.Call) {
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(c.UserAgent, "panther-token-rotation/") {
			return // called by the benchmark or its reader
		}
		calls++
		if c.Operation == "UpdateSecretVersionStage" && c.ErrorCode == "" {
			current = c.Time.Add(c.Duration)
		}
	}
	a, err := openAccount(ctx, o)
	if err != nil {
		return rotation{}, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()

	s, err := a.createSecret(ctx, "bench", tokens)
	if err != nil {
		return rotation{}, err
	}
	reader := a.StartReader(s.arn, tokenKey)
	defer reader.Stop()
	if err := errors.Join(a.rotateSecret(ctx, s), a.SecretsManager.AwaitIdle(ctx)); err != nil {
		return rotation{}, err
	}
	time.Sleep(200 * time.Millisecond) // the reader goes on
	reader.Stop()
	accepted, asked := reader.Count()
	r.requests = requests{asked - accepted, asked}
	mu.Lock()
	r.calls = calls
	end := current
	mu.Unlock()
	r.peakMemory = peakMemory(b.function)
	if err := a.checkRotated(ctx, s); err != nil {
		return rotation{}, err
	}
	for _, c := range a.Panther.Calls() {
		if c.Rotated {
			r.outage = end.Sub(c.Time)
		}
	}
	if r.calls < stepsOfRotation || r.outage <= 0 {
		return rotation{}, fmt.Errorf("the rotation was not observed: %+v", r)
	}
	return r, nil
}

// account is a sandbox with a client of its Secrets Manager.
type account struct {
	*sandbox.Sandbox
	client *sdk.Client
}

// secret is a secret and the token that it was created with.
type secret struct{ arn, token string }

const tokenKey = "PANTHER_API_TOKEN"

func openAccount(ctx context.Context, o sandbox.Options) (*account, error) {
	box, err := sandbox.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	return &account{box, sdk.New(sdk.Options{
		Region:       box.Region,
		BaseEndpoint: &box.SecretsManagerURL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "bench", SecretAccessKey: "bench"}, nil
		}),
	})}, nil
}

func (a *account) createSecret(ctx context.Context, name string, tokens int) (secret, error) {
	token := a.Panther.NewToken(name)
	value := fmt.Sprintf(`{"owner":"detection engineering",%q:%q}`, tokenKey, token)
	if tokens == 2 {
		value = fmt.Sprintf(`{"owner":"detection engineering",%q:%q,"%s_STANDBY":%q}`, tokenKey, token, tokenKey, a.Panther.NewToken(name))
	}
	created, err := a.client.CreateSecret(ctx, &sdk.CreateSecretInput{Name: &name, SecretString: &value})
	if err != nil {
		return secret{}, err
	}
	return secret{*created.ARN, token}, nil
}

func (a *account) rotateSecret(ctx context.Context, s secret) error {
	_, err := a.client.RotateSecret(ctx, &sdk.RotateSecretInput{SecretId: &s.arn, RotationLambdaARN: aws.String(a.Function.ARN())})
	return err
}

// checkRotated returns an error unless AWSCURRENT holds a new, living token.
func (a *account) checkRotated(ctx context.Context, s secret) error {
	out, err := a.client.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: &s.arn})
	if err != nil {
		return err
	}
	var value map[string]string
	if err := json.Unmarshal([]byte(*out.SecretString), &value); err != nil {
		return err
	}
	if status := a.Panther.Status(value[tokenKey]); status != panther.Living {
		return fmt.Errorf("%s: the token of AWSCURRENT is %s", s.arn, status)
	}
	if value[tokenKey] == s.token {
		return fmt.Errorf("%s: the token was not rotated", s.arn)
	}
	return nil
}
