package rotation

import (
	"context"
	"errors"
	"slices"
	"time"

	"panther-token-rotation/internal/secret"
)

// Staging labels that Secrets Manager itself understands
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version).
const (
	LabelCurrent  = "AWSCURRENT"
	LabelPending  = "AWSPENDING"
	LabelPrevious = "AWSPREVIOUS"
)

// LabelSuccessor marks a version with a token that came from Panther but had
// no place in the version being rotated, because that one had a value
// already. Recovery finds it there. Secrets Manager attaches no meaning to it.
const LabelSuccessor = "PANTHER_SUCCESSOR"

// Store keeps the versions of secrets. A call that fails may have taken
// effect all the same, and every write may arrive twice.
type Store interface {
	// Describe reads the state of a secret and its labels. The error is
	// ErrNoSecret only if Secrets Manager said that there is no such secret.
	Describe(ctx context.Context, secretID string) (Description, error)

	// Read reads one version by id. The error is ErrNoValue only if Secrets
	// Manager said that there is no such value (ResourceNotFoundException),
	// secret.ErrBinary if the value is binary. Reads can lag behind writes.
	Read(ctx context.Context, secretARN, versionID string) (Version, error)

	// ReadCurrent reads the version that AWSCURRENT is on, with the same
	// errors as Read.
	ReadCurrent(ctx context.Context, secretARN string) (Version, error)

	// Put stores a version with these labels. The same value for a version
	// that has it changes nothing and is no error. Another value for a
	// version that has one is ErrVersionTaken, and changes nothing.
	Put(ctx context.Context, p Put) error

	// MoveCurrent puts AWSCURRENT on version to. It fails if AWSCURRENT is
	// not on version from.
	MoveCurrent(ctx context.Context, secretARN, from, to string) error

	// DropPending takes AWSPENDING off the version.
	DropPending(ctx context.Context, secretARN, versionID string) error

	// Versions lists all versions of the secret, those without labels too.
	Versions(ctx context.Context, secretARN string) ([]VersionInfo, error)
}

// What a Store says that rotation decides by.
var (
	ErrNoSecret     = errors.New("there is no such secret")
	ErrNoValue      = errors.New("the secret version has no value")
	ErrVersionTaken = errors.New("the secret version already has another value")
	// ErrNoAnswer: Secrets Manager did not answer, so that an earlier answer
	// says more.
	ErrNoAnswer = errors.New("no answer from Secrets Manager")
)

// Description is a secret as DescribeSecret shows it.
type Description struct {
	ARN             string
	RotationEnabled bool
	// FunctionARN is that of the function that rotates the secret; empty if
	// there is none.
	FunctionARN string
	// NextRotation is by when Secrets Manager rotates the secret; zero if it
	// has no schedule.
	NextRotation time.Time
	// Deleted is when the secret was marked for deletion; zero if it was not.
	Deleted time.Time
	// Labels has the labels of each version that carries any, by version id.
	Labels map[string][]string
	// Replicas has one entry for each region that the secret is replicated to.
	Replicas []Replica
}

// labelled returns the id of the version that carries label, or "".
func (d Description) labelled(label string) string {
	for id, labels := range d.Labels {
		if slices.Contains(labels, label) {
			return id
		}
	}
	return ""
}

func (d Description) carries(versionID, label string) bool {
	return slices.Contains(d.Labels[versionID], label)
}

// What Secrets Manager says of a replica, besides Failed.
const (
	replicaInSync     = "InSync"
	replicaInProgress = "InProgress"
)

// Replica is the copy of a secret in another region.
type Replica struct {
	Region string
	Status string // InSync, InProgress or Failed
}

// VersionInfo is what ListSecretVersionIds returns for a version.
type VersionInfo struct {
	ID      string
	Labels  []string
	Created time.Time
}

// Version is a version with its value.
type Version struct {
	VersionInfo
	Value secret.Text
}

// Put is a value on its way into a version.
type Put struct {
	SecretARN string
	VersionID string
	Labels    []string
	Value     secret.Text
	// RotationToken came with the event; Secrets Manager wants it back where
	// the function works with an assumed role. Empty where there was none.
	RotationToken secret.Text
}
