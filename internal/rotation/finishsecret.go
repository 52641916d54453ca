package rotation

import (
	"context"
	"errors"
	"slices"
	"time"
)

// finishSecret moves AWSCURRENT to the version. If AWSCURRENT moves meanwhile,
// it looks again and decides by what it then sees.
func (inv *invocation) finishSecret(ctx context.Context) error {
	if done, err := inv.awaitReplicas(ctx); done || err != nil {
		return err
	}

	wait := newBackoff()
	for attempt := 1; ; attempt++ {
		from := inv.described.labelled(LabelCurrent)
		if from == inv.VersionID {
			inv.finished(from)
			return nil
		}
		err := within(ctx, callTime, func(ctx context.Context) error {
			return inv.Store.MoveCurrent(ctx, inv.secretARN, from, inv.VersionID)
		})
		if err == nil {
			inv.finished(from)
			return nil
		}
		EventMoveFailed.Log(inv.log, "attempt", attempt, "from", from, "error", err.Error())
		if !wait.pause(ctx, 0) {
			return inv.storeFailed("AWSCURRENT could not be moved to the new version", err)
		}
		if _, err := inv.checkLabels(ctx); err != nil && !errors.Is(err, StoreUnavailable) {
			return err
		}
	}
}

func (inv *invocation) finished(from string) {
	outage := inv.memory.sinceSwitch(inv.secretARN, inv.VersionID)
	EventCurrentMoved.Log(inv.log, "previous", from, "since_switch_ms", outage.Milliseconds())
	inv.measure(Measurement{Event: Rotated, Duration: outage})
}

// awaitReplicas waits, for a bounded time, until the new value has reached
// every region: moving a second label before that can leave the replication
// hanging (https://github.com/square/password-rotation-lambda/pull/12).
// Consumers need the new token more than a replica needs order, so in the end
// the label moves anyway. The result is that of checkLabels.
func (inv *invocation) awaitReplicas(ctx context.Context) (done bool, err error) {
	started := time.Now()
	for wait := newBackoff(); inv.isReplicating(); {
		if time.Since(started) > replicaTime || !wait.pause(ctx, 0) {
			break
		}
		if done, err := inv.checkLabels(ctx); done || err != nil {
			return done, err
		}
	}
	for _, r := range inv.described.Replicas {
		if r.Status != replicaInSync {
			EventReplicaNotInSync.Log(inv.log, "region", r.Region, "status", r.Status)
		}
	}
	return false, nil
}

func (inv *invocation) isReplicating() bool {
	return slices.ContainsFunc(inv.described.Replicas, func(r Replica) bool { return r.Status == replicaInProgress })
}
