package rotation

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"panther-token-rotation/internal/secret"
)

// unstored is a secret value with a token that exists nowhere else yet.
type unstored struct {
	value    secret.Text
	replaces string    // the version whose token it replaces
	obtained time.Time // when Panther gave it; zero if it was in the secret already
}

// keep stores a remembered value in the version being rotated, and goes on
// trying until shortly before Lambda's deadline. It forgets the value only once
// it is stored, in this version or beside it; on error, this process still
// holds it.
func (inv *invocation) keep(ctx context.Context, u unstored) error {
	wait := newBackoff()
	for attempt := 1; ; attempt++ {
		started := time.Now()
		err := inv.put(ctx, inv.VersionID, []string{LabelPending}, u.value)
		if err == nil {
			inv.memory.forget(inv.secretARN, u)
			inv.memory.noteSwitch(inv.secretARN, inv.VersionID, u.obtained)
			event := EventTokenStored
			if attempt > 1 || u.obtained != inv.rotatedAt {
				event = EventHeldTokenStored
			}
			event.Log(inv.log, "attempt", attempt, "duration_ms", time.Since(started).Milliseconds())
			return nil
		}
		if errors.Is(err, ErrVersionTaken) {
			beside, err := inv.keepBeside(ctx, u)
			if err != nil || !beside {
				return err
			}
			return inv.checkNotDisplaced(ctx)
		}
		EventStoreFailed.Log(inv.log, "attempt", attempt, "error", err.Error())
		if !wait.pause(ctx, 0) {
			return inv.notStored(err)
		}
	}
}

// keepBeside stores a value whose version has another one already, or is not
// the one that it was made for. It goes into a version of its own, where
// findSuccessor finds it. It reports false if that was not needed, because the
// version has this very value: a write that seemed to fail took effect.
func (inv *invocation) keepBeside(ctx context.Context, u unstored) (beside bool, err error) {
	versionID := newVersionID()
	wait := newBackoff()
	for attempt := 1; ; attempt++ {
		stored, err := inv.read(ctx, inv.VersionID)
		if err == nil && stored.Value.Equal(u.value) {
			inv.memory.forget(inv.secretARN, u)
			return false, nil
		}
		err = inv.put(ctx, versionID, []string{LabelSuccessor}, u.value)
		if err == nil {
			inv.memory.forget(inv.secretARN, u)
			EventSuccessorStored.Log(inv.log, "successor", versionID, "attempt", attempt)
			return true, nil
		}
		EventStoreFailed.Log(inv.log, "attempt", attempt, "error", err.Error())
		if !wait.pause(ctx, 0) {
			return false, inv.notStored(err)
		}
	}
}

// checkNotDisplaced is for a version that two invocations asked a token for. If
// Panther gave one twice, only the later one may live, and that need not be the
// one in the version: then somebody has to know, because Secrets Manager may
// have gone on with the dead one meanwhile.
func (inv *invocation) checkNotDisplaced(ctx context.Context) error {
	token, err := inv.tokenOf(ctx, inv.VersionID)
	if err == nil {
		err = inv.check(ctx, token)
	}
	if err != nil {
		kind, other := Superseded, "the other is kept in a version labelled "+LabelSuccessor
		if inv.doubt {
			kind, other = OutcomeUnknown, "an answer of Panther was lost"
		}
		return inv.fail(kind, "two invocations had the token rotated, and the token in this version was not seen to work (yet); "+other, doRotateIfDead, nil)
	}
	return nil
}

func (inv *invocation) notStored(err error) *Error {
	inv.measure(Measurement{Event: Unstored})
	return inv.fail(NotStored, "the new token could not be stored; this process holds it for the next attempt", doRestoreStored, err)
}

// seal keeps the value in the log before it is stored. That it fails is no
// reason not to store the value.
func (inv *invocation) seal(u unstored) {
	if inv.Sealer == nil {
		return
	}
	if err := inv.Sealer.Seal(inv.secretARN, inv.VersionID, u.value); err != nil {
		EventSealFailed.Log(inv.log, "error", err.Error())
	}
}

// newVersionID returns an id as Secrets Manager wants it: 32 to 64 characters.
func newVersionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
