package health

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// look asks Panther about the tokens of one version, which carried AWSCURRENT
// while pending was the version of an unfinished rotation.
type look struct {
	*check
	current rotation.Version
	pending string
}

// verdict is what is known of a token. The zero value is of one that is too
// new, or was not looked at.
type verdict struct {
	works, refused bool
	summary        string
}

// errReported: nothing more can be learned of the tokens, and the problem list
// says why.
var errReported = errors.New("no token can be asked about")

func ignoreReported(err error) error {
	if errors.Is(err, errReported) {
		return nil
	}
	return err
}

// at looks at one token. The error is errMoved if a rotation began or ended
// meanwhile: then a refused token may be one that was just replaced.
func (l look) at(ctx context.Context, token secret.Text, name, next string) (verdict, error) {
	answer, err := l.ask(ctx, token)
	if err != nil {
		return verdict{}, err
	}
	if answer == nil {
		l.checkExpiry(ctx, token, name, next)
		return verdict{works: true}, nil
	}
	switch answer.Answer {
	case rotation.Misconfigured:
		l.found(rotation.EndpointMisconfigured, "cannot reach Panther's API at PANTHER_API_URL: "+answer.Summary, "Set PANTHER_API_URL to the API URL that the Panther console shows.")
		return verdict{}, errReported
	case rotation.Unauthorized:
	default:
		l.found(rotation.PantherUnavailable, "Panther cannot be reached: "+answer.Summary, "Check the network path to PANTHER_API_URL.")
		return verdict{}, errReported
	}
	young, err := l.isYoung(ctx, token)
	if err != nil || young {
		return verdict{}, err
	}
	now, err := l.describe(ctx)
	if err != nil {
		return verdict{}, err
	}
	if !slices.Contains(now.Labels[l.current.ID], rotation.LabelCurrent) || pendingVersion(now) != l.pending {
		return verdict{}, errMoved
	}
	return verdict{refused: true, summary: answer.Summary}, nil
}

// ask asks a few times whether a token works; nil means it does. One failed
// look is no problem, and one refusal is not the last word.
func (l look) ask(ctx context.Context, token secret.Text) (*rotation.AnswerError, error) {
	var refusal, failure *rotation.AnswerError
	refused, failed := 0, 0
	for i := range looks {
		if i > 0 && !pause(ctx, cmp.Or(l.Pause, between)) {
			break
		}
		err := l.call(ctx, func(ctx context.Context) error { return l.Issuer.Check(ctx, token) })
		answer, ok := errors.AsType[*rotation.AnswerError](err)
		switch {
		case err == nil:
			return nil, nil
		case ok && answer.Answer == rotation.Misconfigured:
			return answer, nil
		case ok && answer.Answer == rotation.Unauthorized:
			refusal, refused = answer, refused+1
		case ctx.Err() != nil: // the end of the check cut the look short
		case ok:
			failure, failed = answer, failed+1
		default:
			failure, failed = &rotation.AnswerError{Summary: "no clear answer"}, failed+1
		}
	}
	switch {
	case refused >= enough:
		return refusal, nil
	case failed >= enough:
		return failure, nil
	}
	return nil, errNoTime
}

func (l look) checkExpiry(ctx context.Context, token secret.Text, name, next string) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if at, ok := l.Expirer.Expiry(ctx, token); ok && time.Until(at) < expiresWithin {
		l.found(rotation.TokenExpires, "the "+name+" expires on "+at.UTC().Format(time.DateOnly), next)
	}
}

// isYoung reports whether a token may not work yet. Its age is that of the
// oldest version that holds it, so that a stale save does not make it young. A
// version that cannot be read counts as holding nothing. A date in the future
// is not young: clocks differ.
func (l look) isYoung(ctx context.Context, token secret.Text) (bool, error) {
	if age := time.Since(l.current.Created); age < 0 || age >= l.PropagationTimeout {
		return false, nil
	}
	versions, err := l.versions(ctx)
	if err != nil {
		return false, err
	}
	for _, v := range versions {
		if time.Since(v.Created) < l.PropagationTimeout {
			continue
		}
		var version rotation.Version
		err := l.call(ctx, func(ctx context.Context) (err error) {
			version, err = l.Store.Read(ctx, l.secretID, v.ID)
			return err
		})
		if err == nil && slices.ContainsFunc(secret.Tokens(version.Value, l.Keys), token.Equal) {
			return false, nil
		}
	}
	if ctx.Err() != nil {
		return false, errNoTime
	}
	return true, nil
}
