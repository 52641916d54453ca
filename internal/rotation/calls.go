package rotation

import (
	"context"
	"errors"
	"slices"
	"time"

	"panther-token-rotation/internal/secret"
)

// This file has the time limits and retries of all calls to the outside.

const (
	// answerTime is the least that one rotateAPIToken call gets: Panther's own
	// client says that the backend takes several seconds, and an answer that is
	// cut off is a token lost.
	answerTime = 15 * time.Second

	// storeTime is kept free after the call, for storing the token.
	storeTime = 15 * time.Second

	// neededTime must be left when rotateAPIToken is called: the call, one
	// retry, the storing.
	neededTime = answerTime + 5*time.Second + storeTime

	// longestAnswer ends a call that hangs while there is time to find out
	// whether it took effect.
	longestAnswer = 60 * time.Second

	// callTime bounds every other call, so that one that hangs leaves time for
	// another.
	callTime = 5 * time.Second

	// preflightTime bounds the retries of what is checked before a token is
	// rotated. Failing there costs nothing.
	preflightTime = 30 * time.Second

	// resolveTime bounds the reads that decide where a token in hand goes.
	resolveTime = 10 * time.Second

	// lastAttempt is when to try for the last time, before the margin.
	lastAttempt = 2 * time.Second

	// margin is left before Lambda's deadline, for the last log lines.
	margin = time.Second

	// lagTime is how long a step reads again for a value that must be there
	// (https://github.com/aws/aws-sdk-js-v3/issues/7701 reports such reads).
	lagTime = 15 * time.Second
)

// withSteadyDeadline returns ctx with a deadline on the monotonic clock.
// Lambda's is a wall clock time, which moves if the clock is set.
func withSteadyDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)-time.Millisecond)
}

// timeLeft returns how long may be worked before Lambda ends the process.
func timeLeft(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Hour // only tests and hand-made calls have no deadline
	}
	return time.Until(deadline) - margin
}

// backoff is the pauses between attempts: each twice as long as the one
// before, up to longest.
type backoff struct{ next, longest time.Duration }

func newBackoff() backoff { return backoff{500 * time.Millisecond, 8 * time.Second} }

// pause waits for the next attempt, or for as long as the other side asked. Where
// the deadline comes first, it leaves time for one last attempt. It returns false,
// at once, if there is no time for that either.
func (b *backoff) pause(ctx context.Context, retryAfter time.Duration) bool {
	wait := max(b.next, retryAfter)
	b.next = min(2*b.next, b.longest)
	if retryAfter < wait {
		wait = min(wait, timeLeft(ctx)-lastAttempt)
	}
	return wait > 0 && sleep(ctx, wait)
}

func sleep(ctx context.Context, d time.Duration) bool {
	if timeLeft(ctx) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// within runs one call with a time limit of its own.
func within(ctx context.Context, limit time.Duration, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, min(limit, max(timeLeft(ctx), 0)))
	defer cancel()
	return call(ctx)
}

// persist repeats a call to the Store until it succeeds, its error decides
// something, or ctx ends. Of several failures it returns the last one that
// Secrets Manager itself answered.
func (inv *invocation) persist(ctx context.Context, failed Event, call func(context.Context) error) error {
	var told error
	wait := newBackoff()
	for attempt := 1; ; attempt++ {
		err := within(ctx, callTime, call)
		if err == nil || errors.Is(err, ErrNoSecret) || errors.Is(err, ErrNoValue) || errors.Is(err, ErrVersionTaken) || errors.Is(err, secret.ErrBinary) {
			return err
		}
		if told == nil || !errors.Is(err, ErrNoAnswer) {
			told = err
		}
		failed.Log(inv.log, "attempt", attempt, "error", err.Error())
		if !wait.pause(ctx, 0) {
			return told
		}
	}
}

func (inv *invocation) describe(ctx context.Context) (d Description, err error) {
	err = inv.persist(ctx, EventReadFailed, func(ctx context.Context) (err error) {
		d, err = inv.Store.Describe(ctx, inv.SecretID)
		return err
	})
	return d, err
}

func (inv *invocation) read(ctx context.Context, versionID string) (v Version, err error) {
	err = inv.persist(ctx, EventReadFailed, func(ctx context.Context) (err error) {
		v, err = inv.Store.Read(ctx, inv.SecretID, versionID)
		return err
	})
	return v, err
}

// readStored reads a version that must have a value, and reads again for a
// while where it has none: reads can lag behind writes.
func (inv *invocation) readStored(ctx context.Context, read func(context.Context) (Version, error)) (Version, error) {
	deadline := time.Now().Add(lagTime)
	for wait := newBackoff(); ; {
		v, err := read(ctx)
		if !errors.Is(err, ErrNoValue) || time.Now().After(deadline) || !wait.pause(ctx, 0) {
			return v, err
		}
	}
}

// readPending reads the version being rotated, which createSecret filled.
func (inv *invocation) readPending(ctx context.Context) (Version, error) {
	return inv.readStored(ctx, func(ctx context.Context) (Version, error) { return inv.read(ctx, inv.VersionID) })
}

// readCurrent reads the version that carries AWSCURRENT.
func (inv *invocation) readCurrent(ctx context.Context) (Version, error) {
	return inv.readStored(ctx, func(ctx context.Context) (v Version, err error) {
		err = inv.persist(ctx, EventReadFailed, func(ctx context.Context) (err error) {
			v, err = inv.Store.ReadCurrent(ctx, inv.SecretID)
			return err
		})
		return v, err
	})
}

func (inv *invocation) versions(ctx context.Context) (versions []VersionInfo, err error) {
	err = inv.persist(ctx, EventReadFailed, func(ctx context.Context) (err error) {
		versions, err = inv.Store.Versions(ctx, inv.SecretID)
		return err
	})
	return versions, err
}

func (inv *invocation) put(ctx context.Context, versionID string, labels []string, value secret.Text) error {
	return inv.persist(ctx, EventStoreFailed, func(ctx context.Context) error {
		return inv.Store.Put(ctx, Put{
			SecretARN: inv.SecretID, VersionID: versionID, Labels: slices.Clone(labels),
			Value: value, RotationToken: inv.RotationToken,
		})
	})
}

// dropPending takes AWSPENDING off the version. That it is off is success.
func (inv *invocation) dropPending(ctx context.Context) error {
	return inv.persist(ctx, EventStoreFailed, func(ctx context.Context) error {
		err := inv.Store.DropPending(ctx, inv.SecretID, inv.VersionID)
		if err == nil {
			return nil
		}
		if d, lookErr := inv.Store.Describe(ctx, inv.SecretID); lookErr == nil && !d.carries(inv.VersionID, LabelPending) {
			return nil
		}
		return err
	})
}

// askAgainTime is the pause before a refusal is confirmed.
const askAgainTime = 2 * time.Second

// checkTwice is check, but one refusal is not the last word.
func (inv *invocation) checkTwice(ctx context.Context, token secret.Text) *AnswerError {
	answer := inv.check(ctx, token)
	if answer != nil && answer.Answer == Unauthorized && sleep(ctx, askAgainTime) {
		answer = inv.check(ctx, token)
	}
	return answer
}

// check asks Panther whether a token works; nil means it does.
func (inv *invocation) check(ctx context.Context, token secret.Text) *AnswerError {
	err := within(ctx, callTime, func(ctx context.Context) error { return inv.Issuer.Check(ctx, token) })
	if err == nil {
		return nil
	}
	return answerOf(err)
}
