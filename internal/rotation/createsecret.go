package rotation

import (
	"context"
	"errors"
	"slices"

	"panther-token-rotation/internal/secret"
)

// createSecret has the current token rotated and stores its successor in the
// version being rotated. It never rotates twice for one version, and it
// rotates only after it has seen that storing would work.
func (inv *invocation) createSecret(ctx context.Context) error {
	_, err := inv.read(ctx, inv.VersionID)
	if err != nil && !errors.Is(err, ErrNoValue) {
		return inv.storeFailed("whether the version has a value already could not be read", err)
	}
	empty := err != nil

	held := inv.memory.of(inv.secretARN)
	if !empty && len(held) == 0 {
		EventNothingToDo.Log(inv.log, "reason", "the version has its token already")
		return nil
	}

	current, err := inv.readCurrent(ctx)
	if err != nil {
		return inv.currentUnreadable(err)
	}

	switch current.ID {
	case inv.described.labelled(LabelCurrent):
	case inv.VersionID:
		EventNothingToDo.Log(inv.log, "reason", "another invocation finished this rotation meanwhile")
		return nil
	default:
		return inv.fail(NotRotating, "AWSCURRENT moved while this step began: somebody put another token, or Secrets Manager's answers disagree for a moment; nothing was rotated", doStartRotation, nil)
	}

	displaced := false
	for _, u := range held {
		if empty && u.replaces == current.ID {
			return inv.keep(ctx, u)
		}
		beside, err := inv.keepBeside(ctx, u)
		if err != nil {
			return err
		}
		displaced = displaced || beside
	}
	switch {
	case !empty && displaced:
		return inv.checkNotDisplaced(ctx)
	case !empty:
		return nil
	}

	value, err := secret.ParseValue(current.Value, inv.TokenKey)
	if err == nil {
		err = value.CheckRoom()
	}
	if err != nil {
		return inv.fail(SecretUnusable, "the AWSCURRENT value holds no token to rotate", doMendValue, err)
	}
	if err := inv.proveWritable(ctx, current); err != nil {
		return err
	}

	token, err := inv.obtain(ctx, current, value.Token())
	if errors.Is(err, errStoredMeanwhile) {
		EventNothingToDo.Log(inv.log, "reason", "another invocation stored the version's token meanwhile")
		if inv.doubt {
			return inv.checkNotDisplaced(ctx)
		}
		return nil
	}
	if err != nil {
		return err
	}
	fresh := unstored{value: value.WithToken(token), replaces: current.ID, obtained: inv.rotatedAt}
	inv.memory.remember(inv.secretARN, fresh)
	inv.seal(fresh)
	return inv.keep(ctx, fresh)
}

func (inv *invocation) currentUnreadable(err error) *Error {
	switch {
	case errors.Is(err, secret.ErrBinary):
		return inv.fail(SecretUnusable, "the AWSCURRENT value holds no token to rotate", doMendValue, err)
	case errors.Is(err, ErrNoValue):
		return inv.fail(SecretUnusable, "the secret has no AWSCURRENT value", doMendValue, nil)
	}
	return inv.storeFailed("the AWSCURRENT value could not be read", err)
}

// proveWritable makes the write that will have to work later, where failing
// costs nothing: the current version, with the value and the labels that it
// has. Secrets Manager ignores it
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html,
// ClientRequestToken), but not without permission to call. Whether it also uses
// the key as a write that counts does, AWS does not say.
func (inv *invocation) proveWritable(ctx context.Context, current Version) error {
	err := inv.put(ctx, current.ID, current.Labels, current.Value)
	if err != nil {
		return inv.storeFailed("a write that changes nothing failed, so the new token could not be stored either; the token was not rotated", err)
	}
	return nil
}

func (inv *invocation) put(ctx context.Context, versionID string, labels []string, value secret.Text) error {
	return within(ctx, callTime, func(ctx context.Context) error {
		return inv.Store.Put(ctx, Put{
			SecretARN:     inv.secretARN,
			VersionID:     versionID,
			Labels:        slices.Clone(labels),
			Value:         value,
			RotationToken: inv.RotationToken,
		})
	})
}
