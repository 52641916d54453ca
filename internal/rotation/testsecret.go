package rotation

import (
	"context"
	"errors"
	"time"

	"panther-token-rotation/internal/secret"
)

// givingUpTime is kept free in testSecret for finding out why a token does
// not work.
const givingUpTime = 20 * time.Second

// testSecret waits until the version's token works, for at most the
// PropagationTimeout. It passes at once where the token works already, as when
// Secrets Manager runs it alone, on a copy of the current value, to check a
// new schedule (RotateImmediately=false,
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html).
func (inv *invocation) testSecret(ctx context.Context) error {
	_, done, err := inv.look(ctx)
	if err != nil || done {
		return err
	}
	pending, err := inv.readPending(ctx)
	if errors.Is(err, ErrNoValue) {
		return inv.fail(NotRotating, "the version has no value, because createSecret did not finish", nil)
	}
	if err != nil && !errors.Is(err, secret.ErrBinary) {
		return inv.storeFailed("cannot read the AWSPENDING value", err)
	}
	var value secret.Value
	if err == nil {
		value, err = secret.ParseValue(pending.Value, inv.Keys)
	}
	if err != nil {
		return inv.failTest(ctx, pending, SecretUnusable, "the AWSPENDING value holds no token", nextKeepPending, err)
	}

	waited, answer := inv.awaitToken(ctx, value)
	switch {
	case answer == nil:
		return inv.checkStandby(ctx, pending, value)
	case answer.Answer == Misconfigured:
		return inv.failTest(ctx, pending, EndpointMisconfigured, "cannot reach Panther's API at PANTHER_API_URL: "+answer.Summary, nextActions[EndpointMisconfigured], nil)
	}
	return inv.giveUpTesting(ctx, pending, value, waited, answer)
}

// awaitToken asks until the active token works; then the answer is nil.
func (inv *invocation) awaitToken(ctx context.Context, value secret.Value) (waited time.Duration, last *AnswerError) {
	started := time.Now()
	waiting, stop := context.WithTimeout(ctx, testTime(ctx, inv.PropagationTimeout))
	defer stop()
	ask := inv.pollingFor(value)
	if !sleep(waiting, ask.first) {
		return time.Since(started), &AnswerError{Summary: "too little time was left to ask"}
	}
	for attempt := 1; ; attempt++ {
		last = inv.check(ctx, value.Active())
		waited = time.Since(started)
		if last == nil {
			EventTokenWorks.Log(inv.log, "attempt", attempt, "duration_ms", waited.Milliseconds())
			if since := inv.memory.sinceRotation(inv.SecretID, inv.VersionID); since > 0 {
				waited = since
			}
			inv.measure(Measurement{Event: Propagated, Duration: waited})
			return waited, nil
		}
		EventTokenNotYetWorking.Log(inv.log, "attempt", attempt, "answer", last.Summary)
		if last.Answer == Misconfigured {
			return waited, last
		}
		wait := max(ask.after(waited), min(last.RetryAfter, timeLeft(waiting)-lastAttempt)) // ask once more at the end
		if !sleep(waiting, wait) {
			return waited, last
		}
	}
}

// polling is how often testSecret asks.
type polling struct{ first, least, most time.Duration }

// pollingFor returns how to ask for a token. With one token readers are shut
// out meanwhile, so asking often costs less than waiting. With two nobody
// waits, and a gateway that caches a refusal would keep it: ask gently.
func (inv *invocation) pollingFor(value secret.Value) polling {
	if _, two := value.Standby(); !two {
		return polling{0, 250 * time.Millisecond, 5 * time.Second}
	}
	tenth := inv.PropagationTimeout / 10
	return polling{min(2*time.Second, tenth), min(3*time.Second, tenth), min(5*time.Second, tenth)}
}

// after returns the pause after having waited so long. It adds at most about a
// tenth to the wait.
func (p polling) after(waited time.Duration) time.Duration {
	return min(max(waited/10, p.least), p.most)
}

// testTime is how long testSecret may wait for a token to start working.
func testTime(ctx context.Context, propagationTimeout time.Duration) time.Duration {
	left := timeLeft(ctx)
	return min(propagationTimeout, max(left-givingUpTime, left/2)) + margin
}

// checkStandby asks whether the standby works, which was active until now. The
// next rotation needs it, so that it is dead must be known today. Run alone, on
// a copy of AWSCURRENT, the step fails for it.
func (inv *invocation) checkStandby(ctx context.Context, pending Version, value secret.Value) error {
	standby, two := value.Standby()
	if !two {
		return nil
	}
	answer := inv.checkTwice(ctx, standby)
	if answer == nil || answer.Answer != Unauthorized {
		return nil
	}
	inv.tellStandbyDead()
	if current, err := inv.readCurrent(ctx); err == nil && current.Value.Equal(pending.Value) {
		return inv.failOnCopy(StandbyRefused, "Panther refuses the standby token ("+answer.Summary+")", nil)
	}
	return nil
}

// failTest is fail, but on a copy of AWSCURRENT nothing was rotated, and the
// next action in a rotation would be wrong.
func (inv *invocation) failTest(ctx context.Context, pending Version, kind Kind, what, next string, cause error) error {
	if current, err := inv.readCurrent(ctx); err == nil && current.Value.Equal(pending.Value) {
		return inv.failOnCopy(kind, what, cause)
	}
	return inv.failWith(kind, what, next, cause)
}

// failOnCopy fails a test of the rotation, in which nothing was rotated.
func (inv *invocation) failOnCopy(kind Kind, what string, cause error) error {
	return inv.failWith(kind, "test of the rotation, on a copy of AWSCURRENT: "+what, nextOnCopy, cause)
}

// giveUpTesting finds out why the token does not work. It asks the token that
// was replaced.
func (inv *invocation) giveUpTesting(ctx context.Context, pending Version, value secret.Value, waited time.Duration, last *AnswerError) error {
	what := "the AWSPENDING token did not work in " + waited.Round(time.Second).String() + " (" + last.Summary + ")"
	current, err := inv.readCurrent(ctx)
	switch {
	case current.Value.Equal(pending.Value):
		return inv.failOnCopy(NotYetWorking, what, nil)
	case last.Answer != Unauthorized:
		return inv.failWith(NotYetWorking, what, nextCheckPanther, nil)
	}
	replaced, ok := replacedToken(inv.tokens(current.Value), value)
	if !ok {
		return inv.fail(NotYetWorking, what, err)
	}
	switch answer := inv.check(ctx, replaced); {
	case answer == nil:
		return inv.fail(ReplacedByHand, "the new token does not work ("+last.Summary+"), but the replaced one does", nil)
	case answer.Answer != Unauthorized:
		return inv.failWith(NotYetWorking, what+"; the replaced one could not be checked", nextCheckPanther, nil)
	}
	return inv.supersede(ctx, current, value, what)
}

// replacedToken returns the one token of AWSCURRENT that the version does not
// hold. If there is none, or two, AWSCURRENT says nothing.
func replacedToken(current []secret.Text, value secret.Value) (replaced secret.Text, ok bool) {
	for _, token := range current {
		if value.Holds(token) {
			continue
		}
		if ok {
			return secret.Text{}, false
		}
		replaced, ok = token, true
	}
	return replaced, ok
}

// supersede looks for a version that holds the living token. If there is one,
// the version's own token is certainly dead: it takes AWSPENDING off, so that
// the next rotation can adopt the living one. Otherwise AWSPENDING stays.
func (inv *invocation) supersede(ctx context.Context, current Version, value secret.Value, what string) error {
	what += ", and neither does the one it replaced"
	theirs, err := secret.ParseValue(current.Value, inv.Keys)
	if err != nil {
		return inv.fail(NotYetWorking, what, nil)
	}
	versions, err := inv.readLineage(ctx)
	if err != nil {
		return inv.fail(NotYetWorking, what, nil)
	}
	made, ok := versions.made(theirs.Next())
	if !ok {
		made = origin{at: current.Created}
	}
	excluded := append(theirs.Tokens(), value.Tokens()...)
	standby, _ := theirs.Standby()
	found, _ := inv.findLiving(ctx, versions.candidates(made, standby, excluded...), versions.partial)
	if found == nil {
		return inv.fail(NotYetWorking, what, nil)
	}
	if err := inv.dropPending(ctx); err != nil {
		return inv.storeFailed("the new token is dead and version "+found.version.ID+" holds the living one, but AWSPENDING cannot be removed", err)
	}
	return inv.fail(Superseded, "the AWSPENDING token is dead; version "+found.version.ID+" holds the living one. AWSPENDING was removed", nil)
}
