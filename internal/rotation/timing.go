package rotation

import (
	"context"
	"time"
)

const (
	// answerTime is the least that one rotateAPIToken call gets: Panther's
	// own client says that the backend takes several seconds, and an answer
	// that is cut off is a token lost.
	answerTime = 15 * time.Second

	// storeTime is kept free after the call, for storing the token.
	storeTime = 15 * time.Second

	// neededTime must be left when rotateAPIToken is called: the call, one
	// retry waited out, the storing.
	neededTime = answerTime + 5*time.Second + storeTime

	// longestAnswer ends a call that hangs, while there is time to look
	// what became of it.
	longestAnswer = 60 * time.Second

	// callTime bounds every other call, so that one that hangs leaves time
	// for another.
	callTime = 5 * time.Second

	// lastAttempt is when to try for the last time, before the margin.
	lastAttempt = 2 * time.Second

	// margin is left before Lambda's deadline, for the last log lines.
	margin = time.Second

	// lagTime is how long a step reads again for what the step before stored
	// (https://github.com/aws/aws-sdk-js-v3/issues/7701 tells of such reads).
	lagTime = 5 * time.Second

	// givingUpTime is kept free in testSecret for finding out why a token does
	// not work.
	givingUpTime = 20 * time.Second

	// replicaTime is how long finishSecret waits for replicas to be in sync.
	replicaTime = 45 * time.Second
)

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

// testTime is how long testSecret may wait for a token to start working.
func testTime(ctx context.Context, propagationTimeout time.Duration) time.Duration {
	left := timeLeft(ctx)
	return min(propagationTimeout, max(left-givingUpTime, left/2)) + margin
}

// pollAfter returns how long to wait before asking again whether a token works
// that did not for so long. Nobody can use the secret meanwhile, so the wait
// adds at most about a tenth to it.
func pollAfter(waited time.Duration) time.Duration {
	return min(max(waited/10, 250*time.Millisecond), 5*time.Second)
}

// within runs one call with a time limit of its own.
func within(ctx context.Context, limit time.Duration, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, min(limit, max(timeLeft(ctx), 0)))
	defer cancel()
	return call(ctx)
}
