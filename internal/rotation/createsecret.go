package rotation

import (
	"context"
	"errors"
	"slices"
	"time"

	"panther-token-rotation/internal/secret"
)

// createSecret rotates the token and stores the new one in the version. It
// never rotates twice for one version, and it rotates only after it has seen
// that storing would work.
func (inv *invocation) createSecret(ctx context.Context) error {
	preflight, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	labels, done, err := inv.look(preflight)
	if err != nil || done {
		return err
	}
	pending, err := inv.read(preflight, inv.VersionID)
	switch {
	case err == nil:
		return inv.checkFilled(ctx, pending)
	case errors.Is(err, secret.ErrBinary):
		return inv.failWith(SecretUnusable, "unusable AWSPENDING value", nextKeepPending, err)
	case !errors.Is(err, ErrNoValue):
		return inv.storeFailed("cannot read whether the version has a value", err)
	}
	known, err := inv.checkRoom(preflight, labels)
	if err != nil {
		return err
	}
	current, err := inv.currentToRotate(preflight, labels)
	if err != nil {
		return err
	}
	if known.olderThan(inv.VersionID, current) {
		return inv.endOlder(ctx)
	}
	if err := inv.awaitReaders(ctx, labels, current); err != nil {
		return err
	}

	next, err := inv.rotateToken(ctx, current)
	if errors.Is(err, errPendingHasValue) {
		return nil
	}
	if err != nil {
		return err
	}
	return inv.storePending(ctx, next, known)
}

// checkFilled handles a version that has a value already. The rotation goes on
// with that value, unless an operator put another one since the rotation began,
// or it is a copy of AWSCURRENT.
func (inv *invocation) checkFilled(ctx context.Context, pending Version) error {
	current, err := inv.readCurrent(ctx)
	switch {
	case errors.Is(err, ErrNoValue), errors.Is(err, secret.ErrBinary):
		return inv.fail(SecretUnusable, "unusable AWSCURRENT value", err)
	case err != nil:
		return inv.storeFailed("cannot compare the version with AWSCURRENT", err)
	case current.ID == inv.VersionID:
		return nil
	case current.Created.After(pending.Created) && !isSuccessorID(current.ID):
		return inv.yield(ctx, current, nil)
	}
	ours, theirs := inv.tokens(pending.Value), inv.tokens(current.Value)
	if len(ours) > 0 && len(theirs) > 0 && ours[0].Equal(theirs[0]) {
		return inv.failWith(NotRotating, "AWSPENDING holds a copy of AWSCURRENT's token, so this version cannot be rotated", nextDropCopy, nil)
	}
	EventNothingToDo.Log(inv.log, "reason", "the version has its token already")
	return nil
}

// What Secrets Manager allows a secret
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
// It keeps every version of the last 24 hours.
const (
	maxVersions  = 100
	maxLabels    = 20
	versionsKept = 24 * time.Hour
)

// versionSet is the dates of versions, by id. The date is zero where a label is
// all that is known of a version.
type versionSet map[string]time.Time

func (s versionSet) has(id string) bool {
	_, ok := s[id]
	return ok
}

// olderThan reports whether a version is older than the value to be rotated: an
// operator moved AWSCURRENT to a version made since this rotation began. A token
// stored in that version would seem older than the one it replaced, and no
// rotation would adopt it.
func (s versionSet) olderThan(id string, current currentVersion) bool {
	made := s[id]
	return !made.IsZero() && current.Created.After(made) && !isSuccessorID(current.ID)
}

// list returns the versions of the secret, and the set of all that exist. It
// fails if AWSCURRENT is not where d has it: a value that was put since must not
// count as one that existed.
func (inv *invocation) list(ctx context.Context, d Description) (versionSet, []VersionInfo, error) {
	versions, err := inv.versions(ctx)
	if err != nil {
		return nil, nil, inv.storeFailed("cannot list the secret's versions", err)
	}
	known := versionSet{"": time.Time{}}
	for id := range d.Labels {
		known[id] = time.Time{}
	}
	for _, v := range versions {
		known[v.ID] = v.Created
		if slices.Contains(v.Labels, LabelCurrent) && v.ID != d.labelled(LabelCurrent) {
			return nil, nil, inv.fail(NotRotating, "AWSCURRENT moved while this step began; nothing was rotated", nil)
		}
	}
	return known, versions, nil
}

// checkRoom refuses to rotate where Secrets Manager would refuse the versions
// and labels that storing may need. It returns the versions that exist.
func (inv *invocation) checkRoom(ctx context.Context, d Description) (versionSet, error) {
	known, versions, err := inv.list(ctx, d)
	if err != nil {
		return nil, err
	}
	kept := 0
	for _, v := range versions {
		if time.Since(v.Created) < versionsKept {
			kept++
		}
	}
	used := map[string]bool{LabelPrevious: true, LabelSuccessor: true} // what a rotation may add
	for _, labels := range d.Labels {
		for _, label := range labels {
			used[label] = true
		}
	}
	switch {
	case kept >= maxVersions-1:
		return nil, inv.failWith(StoreUnavailable, "the secret has no room for another version: 99 of at most 100 are younger than 24 hours; nothing was rotated", nextMakeRoom, nil)
	case len(used) > maxLabels:
		return nil, inv.failWith(StoreUnavailable, "the secret has no room for another staging label: the quota is 20; nothing was rotated", nextMakeRoom, nil)
	}
	return known, nil
}

// endOlder ends a rotation that is older than what it would replace.
func (inv *invocation) endOlder(ctx context.Context) error {
	if err := inv.dropPending(ctx); err != nil {
		return inv.storeFailed("AWSCURRENT was moved to a newer version, and AWSPENDING cannot be removed; nothing was rotated", err)
	}
	return inv.fail(NotRotating, "AWSCURRENT was moved to a version that is newer than this one; nothing was rotated, and AWSPENDING was removed", nil)
}

// currentVersion is the version that carried AWSCURRENT when it was read.
type currentVersion struct {
	Version
	value  secret.Value
	readAt time.Time // not later than the read
}

// currentToRotate reads AWSCURRENT and checks that it holds a token, with room
// for the next one.
func (inv *invocation) currentToRotate(ctx context.Context, d Description) (currentVersion, error) {
	started := time.Now()
	v, err := inv.readCurrent(ctx)
	switch {
	case errors.Is(err, secret.ErrBinary):
		return currentVersion{}, inv.fail(SecretUnusable, "unusable AWSCURRENT value; nothing was rotated", err)
	case errors.Is(err, ErrNoValue):
		return currentVersion{}, inv.fail(SecretUnusable, "the secret has no AWSCURRENT value", nil)
	case err != nil:
		return currentVersion{}, inv.storeFailed("cannot read the AWSCURRENT value", err)
	case v.ID != d.labelled(LabelCurrent):
		return currentVersion{}, inv.fail(NotRotating, "AWSCURRENT moved while this step began; nothing was rotated", nil)
	}
	value, err := secret.ParseValue(v.Value, inv.Keys)
	if err == nil {
		err = value.CheckRoom()
	}
	if err != nil {
		return currentVersion{}, inv.fail(SecretUnusable, "unusable AWSCURRENT value; nothing was rotated", err)
	}
	return currentVersion{v, value, started}, nil
}

// replicaPatience is how long createSecret waits for replicas.
const replicaPatience = 30 * time.Second

// awaitReaders waits, for a secret with two tokens, until every replica has
// the current value. Before that, readers in its Region still use the token
// that is the standby here.
func (inv *invocation) awaitReaders(ctx context.Context, d Description, current currentVersion) error {
	if _, two := current.value.Standby(); !two {
		return nil
	}
	started := time.Now()
	for wait := newBackoff(); ; {
		i := slices.IndexFunc(d.Replicas, func(r Replica) bool { return r.Status != replicaInSync })
		if i < 0 {
			return nil
		}
		if time.Since(started) > replicaPatience || timeLeft(ctx) < neededTime+callTime || !wait.pause(ctx, 0) {
			return inv.fail(StoreUnavailable, "the replica in "+d.Replicas[i].Region+" is not in sync, so its readers still use the standby; nothing was rotated", nil)
		}
		var err error
		if d, _, err = inv.look(ctx); err != nil {
			return err
		}
	}
}

// checkWritable makes the write that will have to work later, where failing
// costs nothing: the current version, with the value and the labels that it
// has. Secrets Manager ignores it
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html,
// ClientRequestToken), but not without permission to call. AWS does not
// document whether this no-op write uses the KMS key.
func (inv *invocation) checkWritable(ctx context.Context, current currentVersion) error {
	ctx, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	return inv.put(ctx, current.ID, current.Labels, current.Value)
}
