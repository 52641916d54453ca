// Package rotation rotates a Panther API token kept in AWS Secrets Manager,
// in the four steps that Secrets Manager drives, without losing a token.
//
// Rotating a Panther token kills it and shows its successor once, so
// everything here turns on one moment: between Panther's answer and a
// successful write, the living token exists only in this process. What may
// fail is tried before that moment; what fails after it is repeated, sealed
// into the log, kept in memory for the next attempt, and found again in the
// secret's other versions. createSecret, in createsecret.go, tells that story from
// top to bottom.
//
// The package knows neither the AWS SDK nor HTTP. It speaks to a [Store] of
// secret versions and an [Issuer] of tokens.
//
// The contract of the four steps is AWS's:
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
package rotation

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"panther-token-rotation/internal/secret"
)

// Step is one of the four steps of a rotation.
type Step string

// The steps, in the order in which Secrets Manager invokes them.
const (
	CreateSecret Step = "createSecret"
	SetSecret    Step = "setSecret"
	TestSecret   Step = "testSecret"
	FinishSecret Step = "finishSecret"
)

// Request is one invocation by Secrets Manager.
type Request struct {
	Step Step
	// SecretID is the secret's ARN, or anything else that names it.
	SecretID string
	// VersionID is the event's ClientRequestToken: the id of the version that
	// this rotation makes.
	VersionID string
	// RotationToken is as in Put. It is confidential.
	RotationToken secret.Text
}

// Config has what a Rotator works with. Store, Issuer and Meter are required.
type Config struct {
	Store  Store
	Issuer Issuer
	Meter  Meter

	// Sealer, if there is one, keeps each new value before it is stored.
	Sealer Sealer

	// TokenKey is the key of the token where a secret is a JSON object.
	TokenKey string

	// PropagationTimeout is how long a fresh token may take to start working.
	// Panther says 30 to 60 seconds
	// (https://docs.panther.com/panther-developer-workflows/api).
	PropagationTimeout time.Duration
}

// Meter takes measurements that operators watch.
type Meter interface {
	Measure(Measurement)
}

// Measurement is one event worth counting. Kind is set for failures, Duration
// where the event is the end of a wait.
type Measurement struct {
	Event     MeasuredEvent
	SecretARN string
	Step      Step
	Kind      Kind
	Duration  time.Duration
}

// MeasuredEvent says what a Measurement is of.
type MeasuredEvent int

const (
	// Rotated: AWSCURRENT moved to the new token. Duration is the time since
	// Panther replaced the old one, 0 if another process had it replaced.
	Rotated MeasuredEvent = iota
	// Failed: a step failed with Kind.
	Failed
	// Propagated: the new token works. Duration is how long testSecret waited.
	Propagated
	// Unstored: a new token could not be stored in this invocation.
	Unstored
)

// Sealer keeps a value outside the secret, readable only by the holder of a
// recovery key, before it is stored: a write-ahead log.
type Sealer interface {
	Seal(secretARN, versionID string, value secret.Text) error
}

// Rotator carries out rotation steps. It remembers, for as long as its process
// lives, tokens that it could not store. It is safe for concurrent use.
type Rotator struct {
	Config
	memory *memory
}

// New makes a Rotator.
func New(c Config) *Rotator { return &Rotator{Config: c, memory: newMemory()} }

// Handle carries out one rotation step. Each step may be repeated, by Secrets
// Manager after any failure or by a second invocation beside the first, and
// returns nil if there is nothing left to do. An error is an *Error.
// What happens goes to log.
func (r *Rotator) Handle(ctx context.Context, log *slog.Logger, req Request) error {
	inv := &invocation{Rotator: r, Request: req, secretARN: req.SecretID}
	step, err := inv.readEvent()
	inv.log = log.With("step", string(inv.Step), "secret", inv.secretARN, "version", inv.VersionID)
	started := time.Now()
	if err == nil {
		err = inv.run(ctx, step)
	}
	took := time.Since(started).Milliseconds()
	if err != nil {
		failure := inv.asError(err)
		EventStepFailed.Log(inv.log, "kind", string(failure.Kind), "error", failure.Error(), "duration_ms", took)
		inv.measure(Measurement{Event: Failed, Kind: failure.Kind})
		return failure
	}
	EventStepDone.Log(inv.log, "duration_ms", took)
	return nil
}

// invocation is one call of Handle.
type invocation struct {
	*Rotator
	Request
	log       *slog.Logger
	secretARN string
	described Description
	// doubt: a call of this invocation may have rotated the token, but its
	// answer was lost.
	doubt bool
	// rotatedAt is when Panther gave this invocation a token; zero if it did not.
	rotatedAt time.Time
}

type stepFunc func(*invocation, context.Context) error

var steps = map[Step]stepFunc{
	CreateSecret: (*invocation).createSecret,
	SetSecret:    (*invocation).setSecret,
	TestSecret:   (*invocation).testSecret,
	FinishSecret: (*invocation).finishSecret,
}

func (inv *invocation) run(ctx context.Context, step stepFunc) error {
	done, err := inv.checkLabels(ctx)
	if err != nil || done {
		return err
	}
	return step(inv, ctx)
}

// nameCharacters are what AWS allows in the name and the ARN of a secret
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html).
// Of a version's id it asks only for a length; the ids that it makes are UUIDs.
const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+=.@-:"

func isName(s string) bool { return s != "" && strings.Trim(s, nameCharacters) == "" }

// readEvent refuses an event that is not one of Secrets Manager's. Nothing of
// such an event gets into the error or the log: errors have commands to paste,
// and anybody may have written it.
func (inv *invocation) readEvent() (stepFunc, error) {
	var wrong []string
	step, known := steps[inv.Step]
	if !known {
		inv.Step = "no known step"
		wrong = append(wrong, "its Step is none of the four")
	}
	if !isName(inv.SecretID) {
		inv.secretARN = "<the secret>"
		wrong = append(wrong, "its SecretId is no name or ARN")
	}
	if !isName(inv.VersionID) {
		inv.VersionID = "<the version>"
		wrong = append(wrong, "its ClientRequestToken has other characters than letters, digits and /_+=.@-:, or none")
	}
	if len(wrong) > 0 {
		return nil, inv.fail(BadEvent, "nothing was done, since the event is none that this function takes: "+strings.Join(wrong, "; "), doLetSecretsManager, nil)
	}
	return step, nil
}

// checkLabels makes the checks that AWS's contract asks of every step. It
// reports done if the version is AWSCURRENT already.
func (inv *invocation) checkLabels(ctx context.Context) (done bool, err error) {
	if err := inv.describe(ctx); err != nil {
		return false, err
	}
	d := inv.described
	_, known := d.Labels[inv.VersionID]
	switch {
	case !d.RotationEnabled:
		return false, inv.fail(NotRotating, "rotation is not enabled for the secret", doStartRotation, nil)
	case !known:
		return false, inv.fail(NotRotating, "the secret has no such version, or it carries no staging label", doStartRotation, nil)
	case d.carries(inv.VersionID, LabelCurrent):
		EventNothingToDo.Log(inv.log, "reason", "the version is AWSCURRENT already")
		return true, nil
	case !d.carries(inv.VersionID, LabelPending):
		return false, inv.fail(NotRotating, "the version does not carry AWSPENDING, so this rotation was abandoned or cancelled", doStartRotation, nil)
	}
	return false, nil
}

func (inv *invocation) describe(ctx context.Context) error {
	err := within(ctx, callTime, func(ctx context.Context) (err error) {
		inv.described, err = inv.Store.Describe(ctx, inv.SecretID)
		return err
	})
	if err != nil {
		return inv.storeFailed("the secret could not be described", err)
	}
	inv.secretARN = inv.described.ARN
	return nil
}

// setSecret has nothing to set: Panther switched to the new token when
// createSecret asked for it.
func (inv *invocation) setSecret(context.Context) error { return nil }

func (inv *invocation) read(ctx context.Context, versionID string) (v Version, err error) {
	err = within(ctx, callTime, func(ctx context.Context) (err error) {
		v, err = inv.Store.Read(ctx, inv.secretARN, versionID)
		return err
	})
	return v, err
}

func (inv *invocation) readCurrent(ctx context.Context) (v Version, err error) {
	err = within(ctx, callTime, func(ctx context.Context) (err error) {
		v, err = inv.Store.ReadCurrent(ctx, inv.secretARN)
		return err
	})
	return v, err
}

func (inv *invocation) check(ctx context.Context, token secret.Text) error {
	return within(ctx, callTime, func(ctx context.Context) error {
		return inv.Issuer.Check(ctx, token)
	})
}

func (inv *invocation) measure(m Measurement) {
	m.SecretARN, m.Step = inv.secretARN, inv.Step
	inv.Meter.Measure(m)
}

func (inv *invocation) fail(kind Kind, what, do string, cause error) *Error {
	if kind != NotStored && len(inv.memory.of(inv.secretARN)) > 0 {
		do = stillHeld + do
	}
	return &Error{
		Kind: kind, Step: inv.Step, SecretARN: inv.secretARN, VersionID: inv.VersionID,
		What: what, Do: inv.fillIn(do), Cause: cause,
	}
}

func (inv *invocation) storeFailed(what string, cause error) *Error {
	return inv.fail(StoreUnavailable, what, doCheckStore, cause)
}

func (inv *invocation) asError(err error) *Error {
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure
	}
	return inv.storeFailed("the step failed", err)
}
