package rotation

import (
	"context"
	"errors"
	"slices"
	"time"

	"panther-token-rotation/internal/secret"
)

// replicaTime is how long finishSecret waits for replicas to be in sync.
const replicaTime = 45 * time.Second

// finishSecret moves AWSCURRENT to the version, as long as the version has a
// value and carries AWSPENDING. If AWSCURRENT moves meanwhile, it looks again
// and decides by what it then sees.
func (inv *invocation) finishSecret(ctx context.Context) error {
	d, done, err := inv.look(ctx)
	if err != nil || done {
		return err
	}
	pending, err := inv.readPending(ctx)
	switch {
	case errors.Is(err, ErrNoValue):
		return inv.fail(NotRotating, "the version has no value, because createSecret did not finish", nil)
	case errors.Is(err, secret.ErrBinary):
		return inv.failWith(SecretUnusable, "the AWSPENDING value holds no token", nextKeepPending, err)
	case err != nil:
		return inv.storeFailed("cannot read the AWSPENDING value", err)
	}
	if d, done, err = inv.awaitReplicas(ctx, d); err != nil || done {
		return err
	}

	return inv.moveCurrent(ctx, d, pending)
}

// moveCurrent moves AWSCURRENT, and retries until shortly before Lambda's
// deadline: with one token, readers have none until it is done.
func (inv *invocation) moveCurrent(ctx context.Context, d Description, pending Version) error {
	wait := newBackoff()
	for attempt := 1; ; attempt++ {
		from := d.labelled(LabelCurrent)
		err := within(ctx, callTime, func(ctx context.Context) error {
			return inv.Store.MoveCurrent(ctx, inv.SecretID, from, inv.VersionID)
		})
		if err == nil {
			inv.finished(from, pending)
			return nil
		}
		EventMoveFailed.Log(inv.log, "attempt", attempt, "from", from, "error", err.Error())
		if !wait.pause(ctx, 0) {
			return inv.storeFailed("cannot move AWSCURRENT to the new version", err)
		}
		var done bool
		if d, done, err = inv.look(ctx); err != nil {
			return err
		}
		if done { // the move only seemed to fail
			inv.finished(from, pending)
			return nil
		}
	}
}

// finished notes that readers have the new token. With two tokens they always
// had a working one.
func (inv *invocation) finished(from string, pending Version) {
	since := inv.memory.sinceRotation(inv.SecretID, inv.VersionID)
	if len(inv.tokens(pending.Value)) > 1 {
		since = 0
	}
	EventCurrentMoved.Log(inv.log, "previous", from, "outage_ms", since.Milliseconds())
	inv.measure(Measurement{Event: Rotated, Duration: since})
}

// awaitReplicas waits, for a bounded time, until the new value has reached
// every Region: moving a second label before that can leave the replication
// hanging (https://github.com/square/password-rotation-lambda/pull/12).
// Readers need the new token more than a replica needs order, so in the end
// the label moves anyway. The result is that of look.
func (inv *invocation) awaitReplicas(ctx context.Context, d Description) (Description, bool, error) {
	started := time.Now()
	for wait := newBackoff(); isReplicating(d); {
		if time.Since(started) > replicaTime || !wait.pause(ctx, 0) {
			break
		}
		var done bool
		var err error
		if d, done, err = inv.look(ctx); err != nil || done {
			return d, done, err
		}
	}
	for _, r := range d.Replicas {
		if r.Status != replicaInSync {
			EventReplicaNotInSync.Log(inv.log, "region", r.Region, "status", r.Status)
		}
	}
	return d, false, nil
}

func isReplicating(d Description) bool {
	return slices.ContainsFunc(d.Replicas, func(r Replica) bool { return r.Status == replicaInProgress })
}
