// Package health finds what is wrong with a secret now, and the one command
// that comes next. The daily check reports it, and an operator may ask for it.
//
// It reads and never writes. It knows Secrets Manager and Panther through the
// interfaces of package rotation.
package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// Problem is something that is wrong with a secret.
type Problem struct {
	Kind rotation.Kind
	// What says what is wrong, Next the one thing to do. Neither holds a token.
	What, Next string
}

// Expirer says when tokens expire.
type Expirer interface {
	// Expiry returns when the token expires. It reports false if the token
	// does not expire, or if Panther does not tell.
	Expiry(ctx context.Context, token secret.Text) (time.Time, bool)
}

// Checker checks secrets. All fields but Pause are required.
type Checker struct {
	Store   rotation.Store
	Issuer  rotation.Issuer
	Expirer Expirer
	Keys    secret.Keys
	// FunctionARN is that of the function that must rotate the secrets,
	// without a version or alias.
	FunctionARN string
	// PropagationTimeout is how long a new token may take to start working.
	PropagationTimeout time.Duration
	// Pause is how long to wait before Secrets Manager or Panther is asked
	// again; 5 seconds if zero.
	Pause time.Duration
}

const (
	// overdueAfter is how long a rotation may be late. Secrets Manager rotates
	// on or before NextRotationDate
	// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html).
	overdueAfter = 24 * time.Hour
	// stuckAfter is how long a rotation may take with all of Secrets Manager's
	// retries.
	stuckAfter = 24 * time.Hour
	// expiresWithin is how long before its end a token is a problem.
	expiresWithin = 14 * 24 * time.Hour

	// looks is how often Secrets Manager or Panther is asked, and between is the
	// usual pause.
	looks   = 4
	between = 5 * time.Second
	// enough is how many looks must fail, or be refused, to be a problem.
	enough = 2
	// callTime bounds each call.
	callTime = 5 * time.Second
	// rounds is how often a check starts over because a rotation began or ended
	// meanwhile.
	rounds = 3
	// margin is left before the deadline of ctx, for whoever reports the
	// problems.
	margin = 2 * time.Second
)

const (
	rotateNow  = "aws secretsmanager rotate-secret --secret-id <secret>"
	nameOurs   = "aws secretsmanager rotate-secret --secret-id <secret> --rotation-lambda-arn <function> --no-rotate-immediately"
	everyMonth = " --rotation-rules AutomaticallyAfterDays=30"
	schedule   = "aws secretsmanager rotate-secret --secret-id <secret> --no-rotate-immediately" + everyMonth
	restore    = "aws secretsmanager restore-secret --secret-id <secret>"
	putValue   = "aws secretsmanager put-secret-value --secret-id <secret> --secret-string file://value"
	newToken   = "Make an API token in the Panther console and put it: " + putValue
	newStandby = "Make an API token in the Panther console and put it as the standby: " + putValue
)

// errNoTime is the error of a check that its deadline cut short.
var errNoTime = errors.New("too little time was left; set the timeout of the function to 240 seconds")

// Check looks at one secret. An error means that it could not look; then the
// problems are incomplete. Without problems, the secret is healthy. Check
// returns before the deadline of ctx.
func (c Checker) Check(ctx context.Context, secretID string) (problems []Problem, err error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)-margin)
		defer cancel()
	}
	for range rounds {
		s := &check{Checker: c, secretID: secretID}
		err = s.run(ctx)
		problems = s.problems
		if err == nil || errors.Is(err, errNoTime) {
			return problems, err
		}
		if !errors.Is(err, errMoved) {
			return problems, fmt.Errorf("%w. Try: aws secretsmanager describe-secret --secret-id %s", err, secretID)
		}
	}
	return problems, nil // the next check says
}

// check is one look at one secret.
type check struct {
	Checker
	secretID string
	problems []Problem
}

// errMoved: a rotation began or ended during the look.
var errMoved = errors.New("the labels of the secret moved")

func (s *check) found(kind rotation.Kind, what, next string) {
	next = strings.NewReplacer("<secret>", s.secretID, "<function>", s.FunctionARN).Replace(next)
	s.problems = append(s.problems, Problem{kind, what, next})
}

func (s *check) run(ctx context.Context) error {
	d, err := s.describe(ctx)
	switch {
	case errors.Is(err, rotation.ErrNoSecret):
		s.found(rotation.SecretDeleted, "the secret does not exist", "Correct the list of secrets in the deployment, or create the secret.")
		return nil
	case err != nil:
		return err
	case !d.Deleted.IsZero():
		s.found(rotation.SecretDeleted, "the secret is scheduled for deletion", restore)
		return nil
	}
	ours := s.checkRotation(d)
	pending := pendingVersion(d)
	if err := s.checkPending(ctx, pending); err != nil && ours {
		return err
	}
	if !ours {
		return nil // the function may read only secrets that it rotates
	}
	return s.checkTokens(ctx, pending)
}

// checkRotation checks that Secrets Manager will rotate the secret with this
// function. It reports whether the secret names the function.
func (s *check) checkRotation(d rotation.Description) (ours bool) {
	idle := pendingVersion(d) == ""
	switch {
	case d.FunctionARN == "":
		s.found(rotation.OtherFunction, "rotation was never set up for the secret", nameOurs+everyMonth)
		return false
	case d.FunctionARN != s.FunctionARN:
		s.found(rotation.OtherFunction, "the rotation of the secret names another function", nameOurs)
		return false
	case !d.RotationEnabled:
		s.found(rotation.RotationDisabled, "rotation is not enabled for the secret", nameOurs)
	// RotateSecret does not require RotationRules. There is no next date then,
	// and nothing rotates the secret
	// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html).
	case d.NextRotation.IsZero() && idle:
		s.found(rotation.RotationDisabled, "rotation is enabled for the secret, but it has no schedule", schedule)
	case time.Since(d.NextRotation) > overdueAfter && idle:
		s.found(rotation.RotationOverdue, "the next rotation was due on "+d.NextRotation.UTC().Format(time.DateOnly), rotateNow)
	}
	return true
}

// pendingVersion returns the version of a rotation that is not finished, or "".
func pendingVersion(d rotation.Description) string {
	for id, labels := range d.Labels {
		if slices.Contains(labels, rotation.LabelPending) && !slices.Contains(labels, rotation.LabelCurrent) {
			return id
		}
	}
	return ""
}

// checkPending finds a rotation that is stuck.
func (s *check) checkPending(ctx context.Context, pending string) error {
	if pending == "" {
		return nil
	}
	versions, err := s.versions(ctx)
	for _, v := range versions {
		if v.ID == pending && time.Since(v.Created) > stuckAfter {
			s.found(rotation.RotationStuck, "AWSPENDING has been on version "+pending+" for more than a day", rotateNow)
		}
	}
	return err
}

// checkTokens asks Panther about the tokens of AWSCURRENT. During a rotation
// the token that is being replaced is dead by design: the only token, or the
// standby.
func (s *check) checkTokens(ctx context.Context, pending string) error {
	var current rotation.Version
	err := s.again(ctx, func(ctx context.Context) (err error) {
		current, err = s.Store.ReadCurrent(ctx, s.secretID)
		return err
	})
	var value secret.Value
	switch {
	case errors.Is(err, rotation.ErrNoValue), errors.Is(err, secret.ErrBinary):
	case err != nil:
		return err
	default:
		value, err = secret.ParseValue(current.Value, s.Keys)
	}
	if err != nil {
		s.found(rotation.SecretUnusable, "unusable AWSCURRENT value: "+err.Error(), putValue)
		return nil
	}
	standby, two := value.Standby()
	if !two && pending != "" {
		return nil
	}
	l := look{s, current, pending}
	active, err := l.at(ctx, value.Active(), "active token", newToken)
	if err != nil {
		return ignoreReported(err)
	}
	var other verdict
	if two && pending == "" {
		other, err = l.at(ctx, standby, "standby token", newStandby)
	}
	if active.refused {
		next := newToken
		if two && pending != "" || other.works {
			next = rotateNow // which makes the other token the active one
		}
		s.found(rotation.TokenRefused, "Panther refuses the active token ("+active.summary+")", next)
	}
	if other.refused {
		s.found(rotation.StandbyRefused, "Panther refuses the standby token ("+other.summary+")", newStandby)
	}
	return ignoreReported(err)
}

func (s *check) describe(ctx context.Context) (d rotation.Description, err error) {
	err = s.again(ctx, func(ctx context.Context) (err error) {
		d, err = s.Store.Describe(ctx, s.secretID)
		return err
	})
	return d, err
}

func (s *check) versions(ctx context.Context) (versions []rotation.VersionInfo, err error) {
	err = s.again(ctx, func(ctx context.Context) (err error) {
		versions, err = s.Store.Versions(ctx, s.secretID)
		return err
	})
	return versions, err
}

// again makes a call to Secrets Manager a few times, unless its error decides.
func (s *check) again(ctx context.Context, call func(context.Context) error) (err error) {
	for i := range looks {
		if i > 0 && !pause(ctx, cmp.Or(s.Pause, between)) {
			break
		}
		err = s.call(ctx, call)
		if err == nil || errors.Is(err, rotation.ErrNoSecret) || errors.Is(err, rotation.ErrNoValue) || errors.Is(err, secret.ErrBinary) {
			break
		}
	}
	return err
}

func (s *check) call(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return call(ctx)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
