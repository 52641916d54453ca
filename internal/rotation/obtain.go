package rotation

import (
	"context"
	"errors"
	"time"

	"panther-token-rotation/internal/secret"
)

// errStoredMeanwhile says that another invocation made the token for this
// version while this one was about to.
var errStoredMeanwhile = errors.New("the version got its value meanwhile")

// obtain returns a living token for the version: the one that Panther answers
// with, or one that is in the secret already because an earlier rotation did
// not come to its end.
//
// It repeats rotateAPIToken only while that cannot cost a token. After an
// answer that leaves open what happened, it first looks whether the old token
// still lives.
func (inv *invocation) obtain(ctx context.Context, current Version, old secret.Text) (secret.Text, error) {
	var (
		last   *AnswerError // what the last call brought
		asking bool         // ask what became of the token before rotating it
		wait   = newBackoff()
	)
	for attempt := 1; ; attempt++ {
		if attempt > 1 && !wait.pause(ctx, last.RetryAfter) {
			return secret.Text{}, inv.outOfTime(last, inv.doubt)
		}
		if asking || attempt > 1 {
			stored, err := inv.storedMeanwhile(ctx)
			if stored {
				return secret.Text{}, errStoredMeanwhile
			}
			if err != nil {
				EventReadFailed.Log(inv.log, "attempt", attempt, "error", err.Error())
				continue
			}
		}
		if asking {
			if err := inv.check(ctx, old); err != nil {
				last = answerOf(err)
			} else {
				EventCurrentTokenWorks.Log(inv.log, "attempt", attempt)
				asking = false
			}
		}
		if !asking {
			if timeLeft(ctx) < neededTime {
				return secret.Text{}, inv.outOfTime(last, inv.doubt)
			}
			started := time.Now()
			token, err := inv.rotate(ctx, old)
			if err == nil {
				inv.rotatedAt = time.Now()
				EventTokenRotated.Log(inv.log, "attempt", attempt, "duration_ms", time.Since(started).Milliseconds())
				return token, nil
			}
			last = answerOf(err)
			EventRotateFailed.Log(inv.log, "attempt", attempt, "answer", last.Summary, "duration_ms", time.Since(started).Milliseconds())
		}

		switch {
		case last.Answer == Unauthorized:
			token, err := inv.findSuccessor(ctx, current, old)
			if errors.Is(err, errNoSuccessor) {
				return secret.Text{}, inv.refused(last)
			}
			if !errors.Is(err, errMayNeedTime) {
				return token, err
			}
		case last.Answer == Ambiguous && !asking:
			asking, inv.doubt = true, true
		case last.Answer == Misconfigured && !asking:
			return secret.Text{}, inv.fail(EndpointMisconfigured, "Panther's API does not answer at PANTHER_API_URL: "+last.Summary, doMendEndpoint, nil)
		}
	}
}

// rotate calls rotateAPIToken with as much time as there is, but for what
// storing needs.
func (inv *invocation) rotate(ctx context.Context, old secret.Text) (token secret.Text, err error) {
	limit := min(longestAnswer, timeLeft(ctx)-storeTime)
	err = within(ctx, limit, func(ctx context.Context) (err error) {
		token, err = inv.Issuer.Rotate(ctx, old)
		return err
	})
	if err == nil && token.IsEmpty() {
		err = &AnswerError{Summary: "an answer without a token"}
	}
	return token, err
}

func (inv *invocation) storedMeanwhile(ctx context.Context) (bool, error) {
	_, err := inv.read(ctx, inv.VersionID)
	if errors.Is(err, ErrNoValue) {
		return false, nil
	}
	return err == nil, err
}

func (inv *invocation) outOfTime(last *AnswerError, doubt bool) *Error {
	switch {
	case last == nil:
		return inv.fail(NoTime, "too little time is left in this invocation to rotate the token and store its successor", doRaiseTimeout, nil)
	case doubt:
		return inv.fail(OutcomeUnknown, "an answer to rotateAPIToken was lost, and what became of the token is not clear yet ("+last.Summary+")", doWaitOutcome, nil)
	case last.Answer == Unauthorized:
		return inv.fail(TokenRefused, "Panther does not accept the AWSCURRENT token ("+last.Summary+"), but it or another version's may only need time, or could not be looked at", doWaitOutcome, nil)
	}
	return inv.fail(PantherUnavailable, "Panther did not take the call: "+last.Summary, doWait, nil)
}

func (inv *invocation) refused(last *AnswerError) *Error {
	if inv.doubt {
		return inv.fail(TokenLost, "Panther rotated the token, but the answer with its successor never arrived", newToken, nil)
	}
	return inv.fail(TokenRefused, "Panther does not accept the AWSCURRENT token ("+last.Summary+"), and no newer version of the secret holds one that works", doReplaceRefused, nil)
}
