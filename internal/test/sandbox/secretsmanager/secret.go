package secretsmanager

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	labelCurrent  = "AWSCURRENT"
	labelPending  = "AWSPENDING"
	labelPrevious = "AWSPREVIOUS"

	// maxValue is the largest value in bytes
	// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
	maxValue = 65536

	// Quotas of the same page. A version without labels is removed only when it
	// is a day old. Whether AWS counts those with labels is not known: the
	// sandbox does not.
	maxVersions = 100
	maxLabels   = 20
	keptFor     = 24 * time.Hour

	// purgeFrom is how many versions without labels it takes until old ones are
	// removed. AWS says "more than 100", but the function counts a day of true
	// time, in which a fast schedule makes more than fit.
	purgeFrom = 50
)

// secret is one secret with its versions, oldest first. The server's lock
// guards it.
type secret struct {
	arn, name, description string
	created, changed       time.Time
	accessed               time.Time
	deleted, gone          time.Time // when it was marked for deletion, and when it will vanish
	kmsKeyID               string
	tags                   json.RawMessage // shown as they came
	versions               []*version
	rotation               schedule
}

// version is one version of a secret.
type version struct {
	id       string
	labels   []string
	created  time.Time
	accessed time.Time // the day when it was last read
	value    *value    // nil between RotateSecret and createSecret
}

// value does not change once it is stored.
type value struct {
	text   *string
	binary []byte
	stored time.Time
}

func (v *value) equals(other *value) bool {
	if (v.text == nil) != (other.text == nil) {
		return false
	}
	return (v.text == nil || *v.text == *other.text) && string(v.binary) == string(other.binary)
}

func (v *version) has(label string) bool { return slices.Contains(v.labels, label) }

// isUnfinished reports whether a rotation left AWSPENDING here, or is about to
// go on from here.
func (v *version) isUnfinished() bool { return v.has(labelPending) && !v.has(labelCurrent) }

func (s *secret) version(id string) *version {
	for _, v := range s.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

func (s *secret) labelled(label string) *version {
	for _, v := range s.versions {
		if v.has(label) {
			return v
		}
	}
	return nil
}

// label attaches a staging label, which sits on one version only. AWSPREVIOUS
// follows AWSCURRENT by itself.
func (s *secret) label(v *version, label string) {
	if v.has(label) {
		return
	}
	holder := s.labelled(label)
	if holder != nil {
		holder.remove(label)
	}
	v.labels = append(v.labels, label)
	if label == labelCurrent && holder != nil {
		v.remove(labelPrevious)
		s.label(holder, labelPrevious)
	}
}

func (v *version) remove(label string) {
	v.labels = slices.DeleteFunc(v.labels, func(l string) bool { return l == label })
}

// put stores a value, by the rules of PutSecretValue. It reports ignored if the
// version has this very value; labels stay as they are then.
func (s *secret) put(id string, labels []string, val *value, kept time.Duration) (v *version, ignored bool, err *apiError) {
	v = s.version(id)
	switch {
	case v != nil && v.value != nil && v.value.equals(val):
		return v, true, nil
	case v != nil && v.value != nil:
		return nil, false, errVersionTaken(id)
	case s.isFull(v, labels, kept):
		return nil, false, errQuota()
	case v == nil:
		s.purge(kept)
		v = &version{id: id, created: time.Now()}
		s.versions = append(s.versions, v)
	}
	v.value = val
	for _, label := range labels {
		s.label(v, label)
	}
	if s.labelled(labelCurrent) == nil {
		s.label(v, labelCurrent) // the first version gets it, whatever was asked for
	}
	s.changed = time.Now()
	return v, false, nil
}

// purge removes the oldest version without labels if there are too many of them.
func (s *secret) purge(kept time.Duration) {
	isOld := func(v *version) bool {
		return len(v.labels) == 0 && time.Since(v.created) >= kept && !s.rotation.working[v.id]
	}
	if oldest := slices.IndexFunc(s.versions, isOld); oldest >= 0 && len(s.versions) > purgeFrom {
		s.versions = slices.Delete(s.versions, oldest, oldest+1)
	}
}

// isFull reports whether a value for v, nil if it is to be made, would exceed a
// quota.
func (s *secret) isFull(v *version, labels []string, kept time.Duration) bool {
	unlabelled := 0
	all := slices.Clone(labels)
	for _, other := range s.versions {
		if len(other.labels) == 0 && time.Since(other.created) < kept {
			unlabelled++
		}
		all = append(all, other.labels...)
	}
	slices.Sort(all)
	return v == nil && unlabelled >= maxVersions || len(slices.Compact(all)) > maxLabels
}

// find returns the version that GetSecretValue reads.
func (s *secret) find(id, label string) (*version, *apiError) {
	if id == "" {
		if label == "" {
			label = labelCurrent
		}
		v := s.labelled(label)
		if v == nil || v.value == nil {
			return nil, errLabelNotFound(label)
		}
		return v, nil
	}
	v := s.version(id)
	switch {
	case v == nil || v.value == nil:
		return nil, errVersionNotFound(id)
	case label != "" && !v.has(label):
		return nil, errStageNotOnVersion()
	}
	return v, nil
}

// move carries out UpdateSecretVersionStage.
func (s *secret) move(label, to, from string) *apiError {
	holder := s.labelled(label)
	if to == "" && from == "" {
		return errParameter("You must provide MoveToVersionId or RemoveFromVersionId.")
	}
	if from != "" {
		if s.version(from) == nil {
			return errVersionNotFound(from)
		}
		if holder == nil || holder.id != from {
			if holder == nil {
				return errNotAttached(label, from)
			}
			return errMustRemoveFrom(label, holder.id)
		}
	}
	if to == "" {
		if label == labelCurrent {
			return errCurrentStays()
		}
		holder.remove(label)
		s.changed = time.Now()
		return nil
	}
	target := s.version(to)
	if target == nil {
		return errVersionNotFound(to)
	}
	if holder != nil && holder != target && from == "" {
		return errMustRemoveFrom(label, holder.id)
	}
	s.label(target, label)
	s.changed = time.Now()
	return nil
}

// NewID makes a random UUID: a version id where the caller gave none.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// arnSuffix makes the six characters with which AWS ends a secret's ARN.
func arnSuffix() string { return "-" + strings.ToLower(rand.Text())[:6] }

// isNamedBy reports whether id is the secret's name, its ARN, or its ARN without
// the six characters at the end.
func (s *secret) isNamedBy(id string) bool {
	return id == s.name || id == s.arn || id == s.arn[:len(s.arn)-7]
}
