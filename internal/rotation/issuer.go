package rotation

import (
	"context"
	"errors"
	"time"

	"panther-token-rotation/internal/secret"
)

// Issuer is Panther's API, which gives out tokens.
type Issuer interface {
	// Rotate has token replaced and returns its successor. This is
	// destructive, and the successor is shown only once: whatever else the
	// answer says, if it holds a token, Rotate returns it and no error.
	// An error is an *AnswerError; any other counts as Ambiguous.
	Rotate(ctx context.Context, token secret.Text) (secret.Text, error)

	// Check asks something that every living token may ask and that changes
	// nothing. It returns nil if the token works. Errors as for Rotate.
	Check(ctx context.Context, token secret.Text) error
}

// Answer is what an unsuccessful call says about the token.
type Answer int

const (
	// Ambiguous: the call may or may not have taken effect. It is the zero
	// value, because it is the safe thing to assume of an unknown error.
	Ambiguous Answer = iota
	// Unauthorized: nothing happened; the token is dead, or too young.
	Unauthorized
	// Throttled: nothing happened; try again later.
	Throttled
	// NotSent: nothing happened; the call did not reach the API.
	NotSent
	// Misconfigured: nothing happened, and repeating will not help: what
	// answers there does not understand the call.
	Misconfigured
)

// AnswerError is a call to the Issuer that brought no token, or a check that
// was not passed.
type AnswerError struct {
	Answer Answer
	// RetryAfter is how long the API asked to wait; 0 if it did not.
	RetryAfter time.Duration
	// Summary describes what came back in words of our own. It never quotes
	// the API, which could echo a token.
	Summary string
}

func (e *AnswerError) Error() string { return e.Summary }

// answerOf classifies err; what it does not know is Ambiguous. A nil *AnswerError
// never comes back.
func answerOf(err error) *AnswerError {
	if answer, ok := errors.AsType[*AnswerError](err); ok {
		return answer
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &AnswerError{Summary: "no answer in time"}
	}
	return &AnswerError{Summary: "the call failed in an unknown way"}
}
