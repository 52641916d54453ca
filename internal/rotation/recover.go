package rotation

import (
	"context"
	"errors"
	"slices"
	"time"

	"panther-token-rotation/internal/secret"
)

// What findSuccessor says when it finds nothing.
var (
	errNoSuccessor = errors.New("no newer version of the secret holds a token that works")
	errMayNeedTime = errors.New("a token may only need time, or an answer")
)

// findSuccessor looks in the secret for the token that replaced the current
// one: a cancelled rotation, a label moved back by hand or a second invocation
// leaves it in another version. Only versions made after the current one
// count, because an older one would bring back a credential that somebody
// replaced; and only those whose labels do not say that somebody uses them.
//
// The error is errNoSuccessor if there is none, errMayNeedTime if that is not
// certain yet, and errStoredMeanwhile if the version being rotated has a value
// by now.
func (inv *invocation) findSuccessor(ctx context.Context, current Version, old secret.Text) (secret.Text, error) {
	stored, err := inv.storedMeanwhile(ctx)
	if stored {
		return secret.Text{}, errStoredMeanwhile
	}
	if err != nil {
		EventReadFailed.Log(inv.log, "error", err.Error())
		return secret.Text{}, errMayNeedTime
	}
	return inv.searchVersions(ctx, current, old)
}

// searchVersions is findSuccessor without a look at the version being rotated.
// It passes over the token dead.
func (inv *invocation) searchVersions(ctx context.Context, current Version, dead secret.Text) (secret.Text, error) {
	var versions []VersionInfo
	err := within(ctx, callTime, func(ctx context.Context) (err error) {
		versions, err = inv.Store.Versions(ctx, inv.secretARN)
		return err
	})
	if err != nil {
		EventReadFailed.Log(inv.log, "error", err.Error())
		return secret.Text{}, errMayNeedTime
	}
	// The dates of one list can be compared, whatever their precision.
	since := current.Created
	if i := slices.IndexFunc(versions, func(v VersionInfo) bool { return v.ID == current.ID }); i >= 0 {
		since = versions[i].Created
	}
	versions = slices.DeleteFunc(versions, func(v VersionInfo) bool {
		return v.ID == current.ID || v.Created.Before(since) || !isUnused(v.Labels)
	})
	slices.SortFunc(versions, func(a, b VersionInfo) int { return b.Created.Compare(a.Created) })

	mayNeedTime := inv.isYoung(current.Created)
	for _, v := range versions {
		token, err := inv.tokenOf(ctx, v.ID)
		switch {
		case errors.Is(err, errNoSuccessor):
			continue
		case err != nil:
			mayNeedTime = true
			continue
		case token.Equal(dead):
			continue
		}
		err = inv.check(ctx, token)
		if err == nil {
			EventSuccessorFound.Log(inv.log, "successor", v.ID)
			return token, nil
		}
		if answerOf(err).Answer != Unauthorized || inv.isYoung(v.Created) {
			mayNeedTime = true
		}
	}
	if mayNeedTime {
		return secret.Text{}, errMayNeedTime
	}
	return secret.Text{}, errNoSuccessor
}

// tokenOf returns the token in a version. The error is errNoSuccessor if
// there is none to be had, whatever the reason.
func (inv *invocation) tokenOf(ctx context.Context, versionID string) (secret.Text, error) {
	v, err := inv.read(ctx, versionID)
	switch {
	case errors.Is(err, ErrNoValue), errors.Is(err, secret.ErrBinary):
		return secret.Text{}, errNoSuccessor
	case err != nil:
		EventReadFailed.Log(inv.log, "successor", versionID, "error", err.Error())
		return secret.Text{}, err
	}
	value, err := secret.ParseValue(v.Value, inv.TokenKey)
	if err != nil {
		return secret.Text{}, errNoSuccessor
	}
	return value.Token(), nil
}

// isUnused reports whether nobody but Secrets Manager and this function has
// labelled the version.
func isUnused(labels []string) bool {
	for _, label := range labels {
		if label != LabelPending && label != LabelPrevious && label != LabelSuccessor {
			return false
		}
	}
	return true
}

func (inv *invocation) isYoung(created time.Time) bool {
	return time.Since(created) < inv.PropagationTimeout
}
