// Package rotation rotates a Panther API token kept in AWS Secrets Manager, in
// the four steps that Secrets Manager drives, without losing a token.
//
// rotateAPIToken invalidates a token and returns the new one exactly once.
// Between Panther's answer and a successful write, the only copy is in this
// process. Whatever can fail is tried before that moment. What fails after it
// is retried, sealed into the log, kept in memory for the next attempt, and
// found again in the secret's other versions. Start reading at createSecret in
// createsecret.go.
//
// A secret holds one token, or two in turn: see [secret.Value]. Which token a
// rotation replaces, and what the value is after it, is decided there.
//
// The package knows neither the AWS SDK nor HTTP. It works on a [Store] of
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
	// this rotation fills.
	VersionID string
	// RotationToken is as in Put. It is confidential.
	RotationToken secret.Text
}

// Config has what a Rotator works with. Store, Issuer and Meter are required.
type Config struct {
	Store  Store
	Issuer Issuer
	Meter  Meter

	// Sealer, if not nil, seals each new value before it is stored.
	Sealer Sealer

	// Keys are the keys of the tokens in a secret that is a JSON object.
	Keys secret.Keys

	// PropagationTimeout is how long a new token may take to start working.
	// Panther says 30 to 60 seconds
	// (https://docs.panther.com/panther-developer-workflows/api).
	PropagationTimeout time.Duration
}

// Sealer keeps a value outside the secret, readable only by the holder of a
// recovery key, before it is stored: a write-ahead log.
type Sealer interface {
	Seal(secretARN, versionID string, value secret.Text) error
}

// Rotator carries out rotation steps. For as long as its process lives, it
// holds tokens that it could not store. It is safe for concurrent use.
type Rotator struct {
	Config
	memory *memory
}

// New makes a Rotator.
func New(c Config) *Rotator { return &Rotator{Config: c, memory: newMemory()} }

// Handle carries out one rotation step. Each step may be repeated, by Secrets
// Manager after any failure or by a concurrent invocation, and
// returns nil if there is nothing left to do. An error is an *Error. Handle
// logs to log.
func (r *Rotator) Handle(ctx context.Context, log *slog.Logger, req Request) error {
	ctx, cancel := withSteadyDeadline(ctx)
	defer cancel()
	inv := &invocation{Rotator: r, Request: req}
	step, err := inv.readEvent()
	inv.log = log.With("step", string(inv.Step), "secret", inv.SecretID, "version", inv.VersionID)
	started := time.Now()
	if err == nil {
		err = inv.run(ctx, step)
	}
	took := time.Since(started).Milliseconds()
	if err != nil {
		failure := inv.asError(err)
		log := inv.log
		if failure.Cause != nil {
			log = log.With("cause", failure.Cause.Error())
		}
		EventStepFailed.Log(log, "kind", string(failure.Kind), "error", failure.Error(), "duration_ms", took)
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
	log *slog.Logger
}

type stepFunc func(*invocation, context.Context) error

var steps = map[Step]stepFunc{
	CreateSecret: (*invocation).createSecret,
	SetSecret:    (*invocation).setSecret,
	TestSecret:   (*invocation).testSecret,
	FinishSecret: (*invocation).finishSecret,
}

// run stores a held token before anything else.
func (inv *invocation) run(ctx context.Context, step stepFunc) error {
	filled, err := inv.storeHeld(ctx)
	switch {
	case err != nil || filled && inv.Step == CreateSecret:
		return err
	case filled && inv.Step == FinishSecret:
		return inv.fail(NotRotating, "the version has its token only now, so testSecret has not tested it", nil)
	}
	return step(inv, ctx)
}

// setSecret has nothing to set: Panther switched to the new token in
// createSecret.
func (inv *invocation) setSecret(context.Context) error { return nil }

// nameCharacters are what AWS allows in the name and the ARN of a secret
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html).
// Of a version's id it asks only for a length; the ids that it makes are UUIDs.
const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+=.@-:"

// IsName reports whether s can be the name or the ARN of a secret, or a version
// id, and stand in a command that an error prints. A leading hyphen would make
// it an option.
func IsName(s string) bool {
	return s != "" && strings.Trim(s, nameCharacters) == "" && !strings.HasPrefix(s, "-")
}

// readEvent refuses an event that Secrets Manager would not send. It copies
// nothing of such an event into the error or the log: errors contain commands
// to paste, and anybody may have written the event.
func (inv *invocation) readEvent() (stepFunc, error) {
	var invalid []string
	step, known := steps[inv.Step]
	if !known {
		inv.Step = "unknown step"
		invalid = append(invalid, "unknown Step")
	}
	if !IsName(inv.SecretID) {
		inv.SecretID = "<secret>"
		invalid = append(invalid, "SecretId is not a name or an ARN")
	}
	if !IsName(inv.VersionID) {
		inv.VersionID = "<version>"
		invalid = append(invalid, "ClientRequestToken is not a version id")
	}
	if len(invalid) > 0 {
		return nil, inv.fail(BadEvent, "invalid rotation event: "+strings.Join(invalid, ", "), nil)
	}
	return step, nil
}

// look reads the labels and makes the checks that AWS's contract asks of every
// step. It reports done if the version is AWSCURRENT already.
func (inv *invocation) look(ctx context.Context) (d Description, done bool, err error) {
	d, err = inv.describe(ctx)
	if err != nil {
		return d, false, inv.storeFailed("cannot describe the secret", err)
	}
	_, known := d.Labels[inv.VersionID]
	switch {
	case !d.RotationEnabled:
		return d, false, inv.fail(NotRotating, "rotation is not enabled for the secret", nil)
	case !known:
		return d, false, inv.fail(NotRotating, "the secret has no such version, or it carries no staging label", nil)
	case d.carries(inv.VersionID, LabelCurrent):
		EventNothingToDo.Log(inv.log, "reason", "the version is AWSCURRENT already")
		return d, true, nil
	case !d.carries(inv.VersionID, LabelPending):
		return d, false, inv.fail(NotRotating, "the version does not carry AWSPENDING, so this rotation was abandoned or cancelled", nil)
	}
	return d, false, nil
}

// tokens returns the tokens in a value, the active one first.
func (inv *invocation) tokens(value secret.Text) []secret.Text { return secret.Tokens(value, inv.Keys) }

func (inv *invocation) holds(value, token secret.Text) bool {
	for _, t := range inv.tokens(value) {
		if t.Equal(token) {
			return true
		}
	}
	return false
}

func (inv *invocation) measure(m Measurement) {
	m.SecretARN, m.Step = inv.SecretID, inv.Step
	inv.Meter.Measure(m)
}

// fail makes the error of a step that failed with kind.
func (inv *invocation) fail(kind Kind, what string, cause error) *Error {
	return inv.failWith(kind, what, nextActions[kind], cause)
}

func (inv *invocation) failWith(kind Kind, what, next string, cause error) *Error {
	next = strings.NewReplacer("<secret>", inv.SecretID, "<version>", inv.VersionID).Replace(next)
	return &Error{
		Kind: kind, Step: inv.Step, SecretARN: inv.SecretID, VersionID: inv.VersionID,
		What: what, Next: next, Cause: cause,
	}
}

func (inv *invocation) storeFailed(what string, cause error) *Error {
	return inv.fail(StoreUnavailable, what, cause)
}

func (inv *invocation) asError(err error) *Error {
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure
	}
	return inv.storeFailed("the step failed", err)
}
