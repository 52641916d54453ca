package rotation

import (
	"context"
	"errors"
	"time"

	"panther-token-rotation/internal/secret"
)

// testSecret waits until the version's token works, for at most the
// PropagationTimeout. It passes at once where the token works already, as when
// Secrets Manager runs it alone, on a copy of the current value, to check a
// new schedule (RotateImmediately=false,
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html).
func (inv *invocation) testSecret(ctx context.Context) error {
	pending, err := inv.readStored(ctx)
	if errors.Is(err, ErrNoValue) {
		return inv.fail(NotRotating, "the version has no value, so createSecret did not come to its end", doStartRotation, nil)
	}
	if err != nil && !errors.Is(err, secret.ErrBinary) {
		return inv.storeFailed("the AWSPENDING value could not be read", err)
	}
	var value secret.Value
	if err == nil {
		value, err = secret.ParseValue(pending.Value, inv.TokenKey)
	}
	if err != nil {
		return inv.failTest(ctx, pending, SecretUnusable, "the AWSPENDING value holds no token", doMendPending, err)
	}

	started := time.Now()
	waiting, stop := context.WithTimeout(ctx, testTime(ctx, inv.PropagationTimeout))
	defer stop()
	for attempt := 1; ; attempt++ {
		err := inv.check(ctx, value.Token())
		waited := time.Since(started)
		if err == nil {
			EventTokenWorks.Log(inv.log, "attempt", attempt, "duration_ms", waited.Milliseconds())
			inv.measure(Measurement{Event: Propagated, Duration: waited})
			return nil
		}
		answer := answerOf(err)
		EventTokenNotYetWorking.Log(inv.log, "attempt", attempt, "answer", answer.Summary)
		if answer.Answer == Misconfigured {
			return inv.failTest(ctx, pending, EndpointMisconfigured, "Panther's API does not answer at PANTHER_API_URL: "+answer.Summary, doMendEndpoint, nil)
		}
		if !sleep(waiting, max(pollAfter(waited), answer.RetryAfter)) {
			return inv.giveUpTesting(ctx, pending, value.Token(), waited, answer)
		}
	}
}

// readStored reads the version's value, and again for a few seconds while
// Secrets Manager says that there is none: reads can lag behind createSecret.
func (inv *invocation) readStored(ctx context.Context) (Version, error) {
	started := time.Now()
	for wait := newBackoff(); ; {
		v, err := inv.read(ctx, inv.VersionID)
		if err == nil || errors.Is(err, secret.ErrBinary) || time.Since(started) > lagTime || !wait.pause(ctx, 0) {
			return v, err
		}
	}
}

// failTest is fail, but where the version has the value of AWSCURRENT.
func (inv *invocation) failTest(ctx context.Context, pending Version, kind Kind, what, do string, cause error) error {
	if current, err := inv.readCurrent(ctx); err == nil && current.Value.Equal(pending.Value) {
		return inv.failOnCopy(kind, what, cause)
	}
	return inv.fail(kind, what, do, cause)
}

// failOnCopy says that nothing was rotated: Secrets Manager runs this step alone,
// on a copy of AWSCURRENT. What is to be done in a rotation would be wrong.
func (inv *invocation) failOnCopy(kind Kind, what string, cause error) error {
	return inv.fail(kind, "in a test of the rotation, on a copy of AWSCURRENT: "+what, doMendTest, cause)
}

// giveUpTesting finds out why the token does not work.
func (inv *invocation) giveUpTesting(ctx context.Context, pending Version, token secret.Text, waited time.Duration, answer *AnswerError) error {
	what := "the AWSPENDING token did not work within " + waited.Round(time.Second).String() + " (" + answer.Summary + ")"
	current, err := inv.readCurrent(ctx)
	switch {
	case err == nil && current.Value.Equal(pending.Value):
		return inv.failOnCopy(NotYetWorking, what, nil)
	case answer.Answer != Unauthorized:
		return inv.fail(NotYetWorking, what, doWaitForPanther, nil)
	case err != nil:
		return inv.fail(NotYetWorking, what, doWaitForToken, err)
	}
	value, err := secret.ParseValue(current.Value, inv.TokenKey)
	if err != nil || value.Token().Equal(token) {
		return inv.fail(NotYetWorking, what, doWaitForToken, nil)
	}
	err = inv.check(ctx, value.Token())
	if err == nil {
		return inv.fail(ReplacedByHand, what+", but the AWSCURRENT token does, so the new one was probably replaced or deleted in Panther", doDropPending, nil)
	}
	if answer := answerOf(err); answer.Answer != Unauthorized {
		return inv.fail(NotYetWorking, what+", and whether the AWSCURRENT one does is not clear ("+answer.Summary+")", doWaitForPanther, nil)
	}

	_, err = inv.searchVersions(ctx, current, token)
	if err != nil {
		return inv.fail(NotYetWorking, what+", and neither does the AWSCURRENT one", doWaitForToken, nil)
	}
	err = within(ctx, callTime, func(ctx context.Context) error {
		return inv.Store.DropPending(ctx, inv.secretARN, inv.VersionID)
	})
	if err != nil {
		return inv.storeFailed("the new token is dead and another version holds its living successor, but AWSPENDING could not be taken off the dead one", err)
	}
	return inv.fail(Superseded, what+", but another version holds a living successor; AWSPENDING was taken off the dead one, and the next rotation goes on with the successor", doStartRotation, nil)
}
