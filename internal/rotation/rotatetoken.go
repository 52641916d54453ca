package rotation

import (
	"context"
	"errors"
	"time"

	"panther-token-rotation/internal/secret"
)

// action is what createSecret does next with Panther.
type action int

const (
	// probe asks whether the token still works. It is the zero value, because
	// it is the safe thing to do after an answer that is not in the table.
	probe action = iota
	// rotate calls rotateAPIToken.
	rotate
	// search looks for the token that replaced the one Panther refuses.
	search
	// giveUp ends the step: repeating does not help.
	giveUp
)

// works is the answer to a probe that passed.
const works Answer = -1

// afterAnswer says what follows an action and its answer.
var afterAnswer = map[action]map[Answer]action{
	rotate: {Unauthorized: search, Throttled: rotate, NotSent: rotate, Misconfigured: giveUp},
	probe:  {works: rotate, Unauthorized: search},
	search: {Unauthorized: rotate},
}

// doubtTime is how long after a lost answer nothing Panther says of the token is
// the last word: one 401 may be wrong, and the lost call may take effect late.
// Where tokens start working sooner, the PropagationTimeout is enough.
const doubtTime = 30 * time.Second

// errPendingHasValue says that another invocation stored a value in the
// version meanwhile, with which the rotation goes on.
var errPendingHasValue = errors.New("the version has a value")

// nextToken is a token on its way into the version.
type nextToken struct {
	token           secret.Text
	value           secret.Text // with token in it, as it was built
	replaced        secret.Text // the token that it replaced, or that Panther refuses
	replacedVersion string      // the version that held replaced as AWSCURRENT
	adopted         bool        // it is in another version of the secret already
	successorID     string      // of the successor version that it may need, or was adopted from
	secretARN       string
	rotationToken   secret.Text
	made            time.Time
}

// exchange is what one createSecret knows of its dealings with Panther.
type exchange struct {
	*invocation
	current currentVersion
	// lostAt is when the answer to a call was lost that may have rotated the
	// token; zero: never.
	lostAt time.Time
	// refusedSince is when Panther first refused the token in doubt.
	refusedSince time.Time
	// activeUnclear: Panther refuses the standby, and did not say whether the
	// active token works.
	activeUnclear bool
	// youth is how long the refused token may still need to work; 0 if that is
	// unknown or over.
	youth time.Duration
	// last is the last answer without a token; nil before the first call.
	last *AnswerError
}

// rotateToken returns a living token for the version: the one that Panther
// answers with, or one that is in the secret because an earlier rotation did
// not finish. It repeats rotateAPIToken only while that cannot cost a token.
func (inv *invocation) rotateToken(ctx context.Context, current currentVersion) (nextToken, error) {
	x := &exchange{invocation: inv, current: current}
	wait := newBackoff()
	for do := rotate; ; {
		next, answer, err := x.do(ctx, do)
		if answer == nil {
			return next, err
		}
		x.last = answer
		do = x.decide(do, answer.Answer)
		if x.youth > 0 {
			wait.next, x.youth = min(wait.next, x.youth), 0 // a dead token is reported soon after
		}
		switch {
		case do == giveUp:
			return nextToken{}, x.failed(EndpointMisconfigured, "cannot reach Panther's API at PANTHER_API_URL: "+answer.Summary, nil)
		case do != search && answer.Answer != works && !wait.pause(ctx, answer.RetryAfter):
			return nextToken{}, x.outOfTime()
		}
	}
}

// inDoubt reports whether a call may have rotated the token, but its answer was
// lost.
func (x *exchange) inDoubt() bool { return !x.lostAt.IsZero() }

func (x *exchange) doubtTime() time.Duration { return min(doubtTime, x.PropagationTimeout) }

// decide reads the table, but after a lost answer nothing that denies danger
// and no single refusal counts.
func (x *exchange) decide(done action, answer Answer) action {
	next := afterAnswer[done][answer]
	if !x.inDoubt() {
		return next
	}
	switch {
	case answer == works:
		x.refusedSince = time.Time{}
	case answer == Unauthorized && x.refusedSince.IsZero():
		x.refusedSince = time.Now()
	}
	switch {
	case next == giveUp, done == search:
		return probe
	case time.Since(x.refusedSince) < x.doubtTime():
		return probe
	}
	return next
}

// do carries out one action. It returns a token, an answer that does not end
// the exchange, or an error that does.
func (x *exchange) do(ctx context.Context, a action) (nextToken, *AnswerError, error) {
	if x.last != nil {
		if err := x.checkStillEmpty(ctx); err != nil {
			return nextToken{}, nil, err
		}
	}
	switch a {
	case rotate:
		return x.rotate(ctx)
	case search:
		return x.search(ctx)
	}
	if answer := x.check(ctx, x.current.value.Next()); answer != nil {
		return nextToken{}, answer, nil
	}
	EventCurrentTokenWorks.Log(x.log)
	x.activeUnclear = false // it is about a refused standby
	return nextToken{}, &AnswerError{Answer: works, Summary: "the token works"}, nil
}

// checkStillEmpty returns errPendingHasValue if another invocation filled the
// version and the rotation may go on with it.
func (x *exchange) checkStillEmpty(ctx context.Context) error {
	pending, err := x.read(ctx, x.VersionID)
	switch {
	case errors.Is(err, ErrNoValue):
		return nil
	case err != nil:
		return x.failed(StoreUnavailable, "cannot read whether another invocation stored a token", err)
	}
	if err := x.checkFilled(ctx, pending); err != nil {
		if failure := x.asError(err); x.inDoubt() {
			return x.failed(failure.Kind, failure.What, failure.Cause)
		}
		return err
	}
	return x.confirmFinished(ctx, pending)
}

// confirmFinished returns errPendingHasValue, but after a lost answer it asks
// for the token of a version that is AWSCURRENT already. No testSecret will. The
// lost call may have replaced that token, where the old one works for a while
// after a rotation.
func (x *exchange) confirmFinished(ctx context.Context, pending Version) error {
	if !x.inDoubt() {
		return errPendingHasValue
	}
	x.awaitLateEffect(ctx)
	current, err := x.readCurrent(ctx)
	if err != nil {
		return x.failed(StoreUnavailable, "cannot read the AWSCURRENT value again", err)
	}
	tokens := x.tokens(pending.Value)
	if current.ID != x.VersionID || len(tokens) > 0 && x.checkTwice(ctx, tokens[0]) == nil {
		return errPendingHasValue
	}
	return x.failed(Superseded, "the version is AWSCURRENT already, and its token does not work", nil)
}

// awaitLateEffect waits while the lost call may still take effect: an effect can
// come later than its error. Once Panther refuses the token, there can be none.
func (x *exchange) awaitLateEffect(ctx context.Context) {
	for until := x.lostAt.Add(x.doubtTime()); time.Now().Before(until); {
		answer := x.check(ctx, x.current.value.Next())
		if answer != nil && answer.Answer == Unauthorized || !sleep(ctx, askAgainTime) {
			return
		}
	}
}

// freshTime is how long after it was read AWSCURRENT counts as unchanged. In an
// ordinary rotation this saves a call.
const freshTime = 2 * time.Second

// rotate calls rotateAPIToken, after it has proved that storing works, and
// with as much time as there is without what storing needs.
func (x *exchange) rotate(ctx context.Context) (nextToken, *AnswerError, error) {
	if err := x.prove(ctx); err != nil {
		return nextToken{}, nil, err
	}
	if timeLeft(ctx) < neededTime {
		return nextToken{}, nil, x.outOfTime()
	}
	started := time.Now()
	var token secret.Text
	err := within(ctx, min(longestAnswer, timeLeft(ctx)-storeTime), func(ctx context.Context) (err error) {
		token, err = x.Issuer.Rotate(ctx, x.current.value.Next())
		return err
	})
	if err == nil && token.IsEmpty() {
		err = &AnswerError{Summary: "an answer without a token"}
	}
	took := time.Since(started).Milliseconds()
	if err == nil {
		next := x.hold(token)
		EventTokenRotated.Log(x.log, "duration_ms", took)
		x.seal(next)
		return next, nil, nil
	}
	answer := answerOf(err)
	if answer.Answer == Ambiguous {
		x.lostAt = time.Now()
	}
	EventRotateFailed.Log(x.log, "answer", answer.Summary, "duration_ms", took)
	return nextToken{}, answer, nil
}

// prove makes sure that AWSCURRENT is what it was and that writing works. The
// test write would make a version again that Secrets Manager deleted, so
// AWSCURRENT is read before it. The write may take long, so AWSCURRENT is read
// after it: with two tokens, a label that moved back makes the active token of
// what is to be rotated.
func (x *exchange) prove(ctx context.Context) error {
	if x.last != nil || x.isStale() {
		if err := x.checkUnchanged(ctx); err != nil {
			return err
		}
	}
	if err := x.checkWritable(ctx, x.current); err != nil {
		return x.failed(StoreUnavailable, "a test write failed, so a new token could not be stored", err)
	}
	if !x.isStale() {
		return nil
	}
	return x.checkUnchanged(ctx)
}

func (x *exchange) isStale() bool { return time.Since(x.current.readAt) > freshTime }

// checkUnchanged makes sure that AWSCURRENT is what it was. A repeated call
// would replace a token that an operator has replaced. An adopted token would be
// stored in a version that is older than what was put, and seem older, too.
func (x *exchange) checkUnchanged(ctx context.Context) error {
	started := time.Now()
	now, err := x.readCurrent(ctx)
	if err != nil {
		return x.failed(StoreUnavailable, "cannot read the AWSCURRENT value again", err)
	}
	if now.ID != x.current.ID {
		return x.failed(NotRotating, "AWSCURRENT moved during this step", nil)
	}
	x.current.readAt = started
	return nil
}

// hold remembers a new token before anything else can fail.
func (x *exchange) hold(token secret.Text) nextToken {
	replaced := x.current.value.Next()
	value, _ := x.current.value.Rotated(replaced, token) // it holds what is next
	next := nextToken{
		token: token, value: value, replaced: replaced, replacedVersion: x.current.ID,
		successorID: newSuccessorID(x.current.ID, x.VersionID), secretARN: x.SecretID, rotationToken: x.RotationToken, made: time.Now(),
	}
	x.memory.hold(next)
	return next
}

// failed makes an error of x. After a lost answer, no kind may say that
// nothing happened.
func (x *exchange) failed(kind Kind, what string, cause error) *Error {
	if x.inDoubt() {
		return x.fail(OutcomeUnknown, "an answer to rotateAPIToken was lost; then: "+what, cause)
	}
	return x.fail(kind, what+"; nothing was rotated", cause)
}

func (x *exchange) outOfTime() *Error {
	switch {
	case x.activeUnclear:
		return x.fail(OutcomeUnknown, "Panther refuses the standby token and did not say whether the active one works ("+x.last.Summary+")", nil)
	case x.inDoubt():
		return x.fail(OutcomeUnknown, "an answer to rotateAPIToken was lost, and the token's state is unknown ("+x.last.Summary+")", nil)
	case x.last == nil:
		return x.fail(NoTime, "too little time is left in this invocation to rotate the token and store the new one", nil)
	case x.last.Answer == Unauthorized:
		return x.failWith(TokenRefused, "Panther refuses the token ("+x.last.Summary+"), but it may be too new, or a version could not be checked", "Rotate again in some minutes: "+rotateAgain+".", nil)
	}
	return x.fail(PantherUnavailable, "Panther did not take the call: "+x.last.Summary, nil)
}

// refused decides what a refusal means that is final. Of two tokens, the
// active one shows whether readers are affected.
func (x *exchange) refused(ctx context.Context, versions lineage) (*AnswerError, error) {
	if err := x.checkUnchanged(ctx); err != nil {
		return nil, err
	}
	refused, lost := TokenRefused, TokenLost
	what := "Panther refuses the token (" + x.last.Summary + "), and no version holds one that may replace it"
	if _, two := x.current.value.Standby(); two {
		switch answer := x.checkActive(ctx, versions); {
		case answer == nil:
			refused, lost = StandbyRefused, StandbyLost
			what = "Panther refuses the standby token, and no version holds one that may replace it"
		case answer.Answer != Unauthorized:
			x.activeUnclear = true
			return answer, nil
		default:
			what = "Panther refuses both tokens, and no version holds one that may replace them"
		}
	}
	if x.inDoubt() {
		return nil, x.fail(lost, "Panther rotated the token, but the answer with the new one was lost", nil)
	}
	return nil, x.fail(refused, what, nil)
}
