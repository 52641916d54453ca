// Package health finds what is wrong with a secret now, and the one command
// that comes next. The daily check reports it, and an operator may ask for it.
//
// It reads and never writes. It knows Secrets Manager and Panther through the
// interfaces of package rotation.
package health

import (
	"context"
	"errors"
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

// Expirer tells when tokens expire.
type Expirer interface {
	// Expiry returns when the token expires. It reports false if the token
	// does not expire, or if Panther does not tell.
	Expiry(ctx context.Context, token secret.Text) (time.Time, bool)
}

// Checker checks secrets. All fields are required.
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

	// looks is how often Secrets Manager or Panther is asked before a failure
	// counts, and between is the pause.
	looks   = 4
	between = 5 * time.Second
	// callTime bounds each call.
	callTime = 5 * time.Second
)

const (
	rotateNow  = "aws secretsmanager rotate-secret --secret-id <secret>"
	nameOurs   = "aws secretsmanager rotate-secret --secret-id <secret> --rotation-lambda-arn <function> --no-rotate-immediately"
	restore    = "aws secretsmanager restore-secret --secret-id <secret>"
	putValue   = "aws secretsmanager put-secret-value --secret-id <secret> --secret-string file://value"
	newToken   = "Make an API token in the Panther console and put it: " + putValue
	newStandby = "Make an API token in the Panther console and put it as the standby: " + putValue
)

// Check looks at one secret. An error means that it could not look; then the
// problems are incomplete. Without problems, the secret is healthy.
func (c Checker) Check(ctx context.Context, secretID string) ([]Problem, error) {
	s := &check{Checker: c, secretID: secretID}
	err := s.run(ctx)
	return s.problems, err
}

// check is one look at one secret.
type check struct {
	Checker
	secretID string
	problems []Problem
}

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
	underWay, err := s.checkPending(ctx, d)
	if err != nil && ours {
		return err
	}
	if !ours {
		return nil // the function may read only secrets that it rotates
	}
	return s.checkTokens(ctx, d, underWay)
}

// checkRotation checks that Secrets Manager will rotate the secret with this
// function. It reports whether the secret names the function.
func (s *check) checkRotation(d rotation.Description) (ours bool) {
	ours = d.FunctionARN == s.FunctionARN
	switch {
	case !ours:
		s.found(rotation.OtherFunction, "the rotation of the secret names another function, or none", nameOurs)
	case !d.RotationEnabled:
		s.found(rotation.RotationDisabled, "rotation is not enabled for the secret", nameOurs)
	case !d.NextRotation.IsZero() && time.Since(d.NextRotation) > overdueAfter && pendingVersion(d) == "":
		s.found(rotation.RotationOverdue, "the next rotation was due on "+d.NextRotation.UTC().Format(time.DateOnly), rotateNow)
	}
	return ours
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

// checkPending reports whether a rotation is under way, and finds one that is
// stuck.
func (s *check) checkPending(ctx context.Context, d rotation.Description) (underWay bool, err error) {
	pending := pendingVersion(d)
	if pending == "" {
		return false, nil
	}
	var versions []rotation.VersionInfo
	err = s.again(ctx, func(ctx context.Context) (err error) {
		versions, err = s.Store.Versions(ctx, s.secretID)
		return err
	})
	for _, v := range versions {
		if v.ID == pending && time.Since(v.Created) > stuckAfter {
			s.found(rotation.RotationStuck, "AWSPENDING has been on version "+pending+" for more than a day", rotateNow)
		}
	}
	return true, err
}

// checkTokens asks Panther about the tokens of AWSCURRENT. During a rotation
// the token that is being replaced is dead by design: the only token, or the
// standby.
func (s *check) checkTokens(ctx context.Context, d rotation.Description, underWay bool) error {
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
	if two || !underWay {
		if done, err := s.checkToken(ctx, current, value.Active(), rotation.TokenRefused, "active token", newToken); done {
			return err
		}
	}
	if two && !underWay {
		_, err = s.checkToken(ctx, current, standby, rotation.StandbyRefused, "standby token", newStandby)
	}
	return err
}

// checkToken asks whether one token works, and when it expires. It reports
// done if nothing more can be learned: Panther cannot be reached, or
// AWSCURRENT moved meanwhile, so that what was read is no longer true.
func (s *check) checkToken(ctx context.Context, current rotation.Version, token secret.Text, refused rotation.Kind, name, next string) (done bool, err error) {
	answer := s.ask(ctx, current, token)
	if answer == nil {
		if at, ok := s.Expirer.Expiry(ctx, token); ok && time.Until(at) < expiresWithin {
			s.found(rotation.TokenExpires, "the "+name+" expires on "+at.UTC().Format(time.DateOnly), next)
		}
		return false, nil
	}
	switch answer.Answer {
	case rotation.Misconfigured:
		s.found(rotation.EndpointMisconfigured, "cannot reach Panther's API at PANTHER_API_URL: "+answer.Summary, "Set PANTHER_API_URL to the API URL that the Panther console shows.")
		return true, nil
	case rotation.Unauthorized:
	default:
		s.found(rotation.PantherUnavailable, "Panther cannot be reached: "+answer.Summary, "Check the network path to PANTHER_API_URL.")
		return true, nil
	}
	now, err := s.describe(ctx)
	if err != nil {
		return true, err
	}
	if !slices.Contains(now.Labels[current.ID], rotation.LabelCurrent) || pendingVersion(now) != "" && refused == rotation.StandbyRefused {
		return true, nil // a rotation began or ended meanwhile: the next check tells
	}
	s.found(refused, "Panther refuses the "+name+" ("+answer.Summary+")", next)
	return false, nil
}

// ask asks a few times, since one failed look is no problem. A refused token
// may be too new.
func (s *check) ask(ctx context.Context, current rotation.Version, token secret.Text) *rotation.AnswerError {
	var last *rotation.AnswerError
	for range looks {
		var answer *rotation.AnswerError
		err := s.call(ctx, func(ctx context.Context) error { return s.Issuer.Check(ctx, token) })
		if err == nil {
			return nil
		}
		if !errors.As(err, &answer) {
			answer = &rotation.AnswerError{Summary: "no clear answer"}
		}
		last = answer
		age := time.Since(current.Created)
		young := age >= 0 && age < s.PropagationTimeout
		if answer.Answer == rotation.Misconfigured || answer.Answer == rotation.Unauthorized && !young || !pause(ctx, between) {
			break
		}
	}
	return last
}

func (s *check) describe(ctx context.Context) (d rotation.Description, err error) {
	err = s.again(ctx, func(ctx context.Context) (err error) {
		d, err = s.Store.Describe(ctx, s.secretID)
		return err
	})
	return d, err
}

// again makes a call to Secrets Manager a few times, unless its error decides.
func (s *check) again(ctx context.Context, call func(context.Context) error) (err error) {
	for range looks {
		err = s.call(ctx, call)
		if err == nil || errors.Is(err, rotation.ErrNoSecret) || errors.Is(err, rotation.ErrNoValue) || errors.Is(err, secret.ErrBinary) || !pause(ctx, between) {
			return err
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
