package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/panther"
	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// rotation is one that was measured, from RotateSecret to its success.
type rotation struct {
	propagation time.Duration
	coldStart   time.Duration
	steps       []step
	calls       []call
	peakMemory  int // of the function's process, in kB; 0 if it is not known

	// died is when Panther was asked to rotate, and so let the old token die;
	// current when the new one, which works by then, was AWSCURRENT.
	died, current time.Time
}

// step is one of the four.
type step struct {
	name     string
	from, to time.Time
}

// call is one that the function made. Its times are those of the other side.
type call struct {
	step             string
	service          service
	operation        string
	from, to         time.Time
	refused, ignored bool
	stages           []string
}

type service string

const (
	toSecretsManager service = "Secrets Manager"
	toPanther        service = "Panther"
)

// outage is how long AWSCURRENT held no working token.
func (r *rotation) outage() time.Duration { return r.current.Sub(r.died) }

// callsTo counts the calls in a step, in all steps if it is empty.
func (r *rotation) callsTo(s service, step string) (n int) {
	for _, c := range r.calls {
		if c.service == s && (step == "" || c.step == step) {
			n++
		}
	}
	return n
}

// rotateOnce rotates one secret in a sandbox of its own, whose Panther takes so
// long until a new token works, and makes sure that the new token is in place.
func (b *bench) rotateOnce(ctx context.Context, propagation time.Duration) (r rotation, err error) {
	rec := &recorder{rotation: rotation{propagation: propagation}}
	a, err := openAccount(ctx, sandbox.Options{
		Binary:         b.function,
		Log:            rec.logged,
		Panther:        panther.Options{PropagationDelay: propagation, OnCall: rec.pantherCalled},
		SecretsManager: secretsmanager.Options{OnCall: rec.secretsManagerCalled, OnEvent: rec.happened},
	})
	if err != nil {
		return rotation{}, err
	}
	defer func() { err = errors.Join(err, a.close()) }()

	arn, before, err := a.createSecret(ctx, "bench")
	if err != nil {
		return rotation{}, err
	}
	if err := a.rotateSecret(ctx, arn); err != nil {
		return rotation{}, err
	}
	if err := a.SecretsManager.AwaitIdle(ctx); err != nil {
		return rotation{}, err
	}
	peak := peakMemory(b.function) // as long as the process waits for more to do
	if err := a.checkRotated(ctx, arn, before); err != nil {
		return rotation{}, err
	}
	return rec.result(peak)
}

// recorder notes a rotation while it happens. The stand-ins call it, each from
// goroutines of its own.
type recorder struct {
	mu       sync.Mutex
	rotation rotation
	step     string // that runs; empty before and after
	failure  error
}

func (r *recorder) result(peakMemory int) (rotation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil || r.rotation.current.IsZero() || len(r.rotation.steps) != 4 {
		return rotation{}, fmt.Errorf("a rotation without faults did not go through at once: %v", r.failure)
	}
	r.rotation.peakMemory = peakMemory
	slices.SortFunc(r.rotation.calls, func(a, b call) int { return a.from.Compare(b.from) })
	return r.rotation, nil
}

func (r *recorder) happened(e secretsmanager.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Name {
	case "StepStarted":
		r.step = e.Step
	case "StepSucceeded":
		r.step = ""
		r.rotation.steps = append(r.rotation.steps, step{e.Step, e.Time.Add(-e.Duration), e.Time})
	case "StepFailed", "RotationFailed":
		r.failure = e.Err
	}
}

func (r *recorder) secretsManagerCalled(c secretsmanager.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.step == "" || c.Operation == "RotateSecret" {
		return // the benchmark's own
	}
	end := c.Time.Add(c.Duration)
	r.rotation.calls = append(r.rotation.calls, call{
		step: r.step, service: toSecretsManager, operation: c.Operation, from: c.Time, to: end,
		refused: c.ErrorCode != "", ignored: c.Ignored, stages: c.Stages,
	})
	if c.Operation == "UpdateSecretVersionStage" && c.ErrorCode == "" {
		r.rotation.current = end
	}
}

func (r *recorder) pantherCalled(c panther.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotation.calls = append(r.rotation.calls, call{
		step: r.step, service: toPanther, operation: string(c.Operation), from: c.Time, to: time.Now(),
		refused: c.Status != http.StatusOK,
	})
	if c.Rotated {
		r.rotation.died = c.Time
	}
}

// logged takes the cold start from Lambda's log.
func (r *recorder) logged(line string) {
	_, after, found := strings.Cut(line, "Init Duration: ")
	if !found {
		return
	}
	took, err := time.ParseDuration(strings.ReplaceAll(strings.TrimSpace(after), " ", ""))
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.rotation.coldStart = took
	}
}
