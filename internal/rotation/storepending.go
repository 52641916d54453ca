package rotation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"panther-token-rotation/internal/secret"
)

// storePending stores the value in the version, retrying until shortly before
// Lambda's deadline. A held token is forgotten only once it is stored, in this
// version or in a successor version; on error, this process still holds it.
func (inv *invocation) storePending(ctx context.Context, next nextToken, known versionSet) error {
	started := time.Now()
	err := inv.put(ctx, inv.VersionID, []string{LabelPending}, next.value)
	switch {
	case err == nil:
		inv.stored(next, started)
		return inv.verifyPending(ctx, next, known, inPending)
	case errors.Is(err, ErrVersionTaken):
		return inv.resolveTaken(ctx, next, known)
	case next.adopted:
		return inv.storeFailed("cannot store the living token of another version", err)
	}
	return inv.notStored(err)
}

// stored notes that the version has the token.
func (inv *invocation) stored(next nextToken, started time.Time) {
	event := EventTokenStored
	if held, ok := inv.memory.held(next.secretARN); ok && held.retried {
		event = EventHeldTokenStored
	}
	inv.memory.forget(next)
	inv.memory.noteRotation(next, inv.VersionID)
	event.Log(inv.log, "duration_ms", time.Since(started).Milliseconds())
}

// place is where a token was stored.
type place int

const (
	inPending place = iota
	// inSuccessor: the version has another invocation's value.
	inSuccessor
	// withoutLabel: the same, because the version lost AWSPENDING.
	withoutLabel
)

// resolveTaken decides where the token goes when Secrets Manager says that the
// version has another value. It may be the same one: a write that seemed to
// fail took effect. The version may also be empty, without its label.
func (inv *invocation) resolveTaken(ctx context.Context, next nextToken, known versionSet) error {
	started := time.Now()
	reading, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	version, err := inv.read(reading, inv.VersionID)
	if inv.holds(version.Value, next.token) {
		inv.stored(next, started)
		return inv.verifyPending(ctx, next, known, inPending)
	}
	at := inSuccessor
	if errors.Is(err, ErrNoValue) {
		at = withoutLabel
	}
	if err := inv.storeSuccessor(ctx, next); err != nil {
		return err
	}
	return inv.verifyPending(ctx, next, known, at)
}

// storeSuccessor stores the value in a successor version, where search finds it.
// A token that was adopted is in one already.
func (inv *invocation) storeSuccessor(ctx context.Context, next nextToken) error {
	if err := inv.putSuccessor(ctx, next); err != nil {
		return inv.notStored(err)
	}
	inv.memory.forget(next)
	return nil
}

// putSuccessor is storeSuccessor without the memory. An earlier write that
// seemed to fail may have taken effect, with another value around the token.
func (inv *invocation) putSuccessor(ctx context.Context, next nextToken) error {
	if next.adopted {
		return nil
	}
	err := inv.put(ctx, next.successorID, []string{LabelSuccessor}, next.value)
	if errors.Is(err, ErrVersionTaken) {
		if v, readErr := inv.read(ctx, next.successorID); readErr == nil && inv.holds(v.Value, next.token) {
			err = nil
		}
	}
	if err == nil {
		EventSuccessorStored.Log(inv.log, "successor", next.successorID)
	}
	return err
}

// verifyPending looks at the labels once after the write. If AWSCURRENT is on
// a version that did not exist before, an operator put a value meanwhile, which
// stays. A label that moved to an older version is no such thing.
func (inv *invocation) verifyPending(ctx context.Context, next nextToken, known versionSet, at place) error {
	d, err := inv.describe(ctx)
	if err != nil {
		return inv.storeFailed("cannot verify the staging labels after storing the new token", err)
	}
	current := d.labelled(LabelCurrent)
	switch {
	case current == inv.VersionID && at != inPending:
		return inv.checkFinished(ctx, next)
	case known.has(current) && at != withoutLabel:
		return nil // testSecret decides whether the version's token works
	case known.has(current):
		return inv.fail(NotRotating, "AWSPENDING was taken off the version; the new token is in version "+next.successorID, nil)
	}
	return inv.makeWay(ctx, next, current, at)
}

// makeWay handles a value that an operator put during this rotation, in version
// current. The new token is stored in a successor version, unless that value has
// it already.
func (inv *invocation) makeWay(ctx context.Context, next nextToken, current string, at place) error {
	theirs, err := inv.read(ctx, current)
	if err != nil && !errors.Is(err, ErrNoValue) && !errors.Is(err, secret.ErrBinary) {
		return inv.storeFailed("cannot read the value that was put during this rotation", err)
	}
	if at == inPending && !inv.holds(theirs.Value, next.token) {
		if err := inv.putSuccessor(ctx, next); err != nil {
			return inv.storeFailed("another value was put as AWSCURRENT; this version has the new token, but a successor version cannot be stored", err)
		}
	}
	return inv.yield(ctx, theirs, &next)
}

// checkFinished is for a version that is AWSCURRENT already with the token of
// another invocation. If Panther rotated twice, only the later token works, so
// readers may have the dead one.
func (inv *invocation) checkFinished(ctx context.Context, next nextToken) error {
	v, err := inv.read(ctx, inv.VersionID)
	if err != nil {
		return inv.storeFailed("cannot read the version's token", err)
	}
	if tokens := inv.tokens(v.Value); len(tokens) > 0 && inv.check(ctx, tokens[0]) == nil {
		return nil
	}
	return inv.fail(Superseded, "two invocations rotated the token; AWSCURRENT's does not work, and the other is in version "+next.successorID, nil)
}

// yield leaves AWSCURRENT on the version that an operator put during this
// rotation: it takes AWSPENDING off ours. next is nil where an earlier attempt
// stored the token, which then stays in this version.
func (inv *invocation) yield(ctx context.Context, theirs Version, next *nextToken) error {
	if err := inv.dropPending(ctx); err != nil {
		return inv.storeFailed("another value was put during this rotation, and AWSPENDING cannot be removed", err)
	}
	tokens := inv.tokens(theirs.Value)
	stale := false
	switch {
	case len(tokens) == 0:
	case next != nil:
		stale = tokens[0].Equal(next.replaced)
	default:
		answer := inv.check(ctx, tokens[0])
		stale = answer != nil && answer.Answer == Unauthorized
	}
	if stale {
		return inv.fail(StaleSave, "a value with the replaced token was put as AWSCURRENT during this rotation", nil)
	}
	return inv.fail(Abandoned, "another value was put as AWSCURRENT during this rotation", nil)
}

func (inv *invocation) notStored(err error) *Error {
	inv.memory.retry(inv.SecretID)
	inv.measure(Measurement{Event: Unstored})
	return inv.fail(NotStored, "cannot store the new token; only this process holds it", err)
}

// seal keeps the value in the log before it is stored. A Sealer that fails, or
// panics, is no reason not to store it.
func (inv *invocation) seal(next nextToken) {
	if inv.Sealer == nil {
		return
	}
	err := func() (err error) {
		defer func() {
			if thrown := recover(); thrown != nil {
				err = fmt.Errorf("the sealer panicked (%T)", thrown) // its text may quote the value
			}
		}()
		return inv.Sealer.Seal(inv.SecretID, inv.VersionID, next.value)
	}()
	if err != nil {
		EventSealFailed.Log(inv.log, "error", err.Error())
		inv.measure(Measurement{Event: SealFailed})
	}
}

// storeHeld stores what this process holds of the secret, in front of every
// step. It reports whether it filled the version. A secret of which nothing is
// held costs no call.
func (inv *invocation) storeHeld(ctx context.Context) (filled bool, err error) {
	held, ok := inv.memory.held(inv.SecretID)
	if !ok {
		return false, nil
	}
	next := held.nextToken
	started := time.Now()
	known, value, fits := inv.fitsPending(ctx, next)
	switch fits {
	case isThere: // createSecret decides whether the rotation goes on
		inv.stored(next, started)
		return false, nil
	case doesFit:
		next.value = value
		return true, inv.storePending(ctx, next, known)
	}
	return false, inv.storeSuccessor(ctx, next)
}

// fit is whether a held token may go into the version.
type fit int

const (
	doesNotFit fit = iota
	doesFit
	// isThere: the version holds the token. A write that seemed to fail took
	// effect.
	isThere
)

// fitsPending reports whether a held token may go into the version: the
// version is empty and carries AWSPENDING, and AWSCURRENT still holds the
// token that was replaced. It returns AWSCURRENT's present value with the held
// token, so that no edit of another key is undone. Whatever cannot be confirmed
// in a few seconds counts as no.
func (inv *invocation) fitsPending(ctx context.Context, held nextToken) (versionSet, secret.Text, fit) {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	d, err := inv.describe(ctx)
	if err != nil || !d.RotationEnabled || !d.carries(inv.VersionID, LabelPending) {
		return nil, secret.Text{}, doesNotFit
	}
	pending, err := inv.read(ctx, inv.VersionID)
	if inv.holds(pending.Value, held.token) {
		return nil, secret.Text{}, isThere
	}
	if !errors.Is(err, ErrNoValue) {
		return nil, secret.Text{}, doesNotFit
	}
	known, _, err := inv.list(ctx, d)
	if err != nil {
		return nil, secret.Text{}, doesNotFit
	}
	current, err := inv.currentToRotate(ctx, d)
	if err != nil || known.olderThan(inv.VersionID, current) {
		return nil, secret.Text{}, doesNotFit
	}
	value, ok := current.value.Rotated(held.replaced, held.token)
	if !ok {
		return nil, secret.Text{}, doesNotFit
	}
	return known, value, doesFit
}

// Flush stores every held token in a successor version, all at the same time. It
// tries each until ctx ends, with the RotationToken that it came with, then
// without. It is for invocations that are no rotation step, and for the moment
// in which Lambda retires the process. It returns when ctx ends at the latest.
func (r *Rotator) Flush(ctx context.Context, log *slog.Logger) {
	all := r.memory.all()
	if len(all) == 0 {
		return
	}
	flush := func(held nextToken) { r.flush(ctx, log.With("secret", held.secretARN), held) }
	var working sync.WaitGroup
	for _, held := range all[1:] {
		working.Go(func() { flush(held) })
	}
	flush(all[0])
	working.Wait()
}

func (r *Rotator) flush(ctx context.Context, log *slog.Logger, held nextToken) {
	for pause := newBackoff().next; ; pause *= 2 {
		for _, rotationToken := range slices.Compact([]string{held.rotationToken.Reveal(), ""}) {
			err := r.putHeld(ctx, held, secret.NewText(rotationToken))
			if err == nil {
				r.memory.forget(held)
				EventSuccessorStored.Log(log, "successor", held.successorID, "reason", "no rotation step may follow")
				return
			}
			EventStoreFailed.Log(log, "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// putHeld makes one attempt. An earlier one that seemed to fail may have taken
// effect; then the version has the token, perhaps with another value around it.
func (r *Rotator) putHeld(ctx context.Context, held nextToken, rotationToken secret.Text) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err := r.Store.Put(ctx, Put{
		SecretARN: held.secretARN, VersionID: held.successorID, Labels: []string{LabelSuccessor},
		Value: held.value, RotationToken: rotationToken,
	})
	if errors.Is(err, ErrVersionTaken) {
		v, readErr := r.Store.Read(ctx, held.secretARN, held.successorID)
		if readErr == nil && slices.ContainsFunc(secret.Tokens(v.Value, r.Keys), held.token.Equal) {
			return nil
		}
	}
	return err
}
