package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// secretModel is a secret in Secrets Manager, with the rules of versions and
// staging labels that rotation relies on.
type secretModel struct {
	world    *World
	arn      string
	versions []*versionModel // oldest first
	rotated  int
	rotating bool // Secrets Manager is at work on it
	// notToTake are tokens that somebody replaced, or has for a purpose of their
	// own: none of them may become AWSCURRENT.
	notToTake []string
}

type versionModel struct {
	id      string
	labels  []string
	created time.Time
	value   *string // nil until it is stored
}

// keyBefore and keyAfter are the rest of the secret's JSON object; no rotation
// may change them, not even how they are written.
const (
	keyBefore = `{"weight" : 1.0e0 , "PANTHER_API_TOKEN": "`
	keyAfter  = `" }` + "\n"
)

func valueOf(token string) *string {
	value := keyBefore + token + keyAfter
	return &value
}

func newSecret(w *World, arn string, state State) *secretModel {
	s := &secretModel{world: w, arn: arn}
	add := func(token string, labels ...string) {
		time.Sleep(time.Hour)
		s.versions = append(s.versions, &versionModel{fmt.Sprintf("initial-%d", len(s.versions)), labels, time.Now(), valueOf(token)})
	}
	switch state {
	case Ordinary:
		add(w.panther.dead())
		add(w.panther.living(), rotation.LabelCurrent)
	case MovedBack:
		add(w.panther.dead(), rotation.LabelCurrent)
		add(w.panther.living(), rotation.LabelPrevious)
	case Cancelled:
		add(w.panther.dead(), rotation.LabelCurrent)
		add(w.panther.living())
	case OutOfReach:
		s.notToTake = []string{w.panther.living(), w.panther.living()}
		add(s.notToTake[0], rotation.LabelPrevious)
		add(w.panther.dead(), rotation.LabelCurrent)
		add(s.notToTake[1], "REPORTS")
	}
	if !w.scenario.Young {
		time.Sleep(24 * time.Hour)
	}
	return s
}

func (s *secretModel) version(id string) *versionModel {
	for _, v := range s.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

func (s *secretModel) labelled(label string) *versionModel {
	for _, v := range s.versions {
		if slices.Contains(v.labels, label) {
			return v
		}
	}
	return nil
}

// label moves a label, which sits on one version only, and has AWSPREVIOUS follow
// AWSCURRENT.
func (s *secretModel) label(v *versionModel, label string) {
	if slices.Contains(v.labels, label) {
		return
	}
	holder := s.labelled(label)
	if holder != nil {
		s.unlabel(holder, label)
	}
	v.labels = append(v.labels, label)
	if label == rotation.LabelCurrent && holder != nil {
		s.label(holder, rotation.LabelPrevious)
	}
}

func (s *secretModel) unlabel(v *versionModel, label string) {
	v.labels = slices.DeleteFunc(v.labels, func(l string) bool { return l == label })
}

// holds reports whether any version has the token.
func (s *secretModel) holds(token string) bool {
	return slices.ContainsFunc(s.versions, func(v *versionModel) bool {
		return v.value != nil && hasToken(*v.value, token)
	})
}

// hasToken reports whether value is as valueOf makes it of the token.
func hasToken(value, token string) bool {
	return len(value) == len(keyBefore)+len(token)+len(keyAfter) && tokenIn(value) == token
}

// currentToken returns the token of AWSCURRENT.
func (s *secretModel) currentToken() string {
	current := s.labelled(rotation.LabelCurrent)
	if current == nil || current.value == nil {
		return ""
	}
	return tokenIn(*current.value)
}

func tokenIn(value string) string {
	return strings.TrimSuffix(strings.TrimPrefix(value, keyBefore), keyAfter)
}

func (s *secretModel) works() bool { return s.world.panther.find(s.currentToken()).works() }

// rotateSecret is RotateSecret with all that Secrets Manager does after it: it
// makes a version without a value, or takes up the rotation that is not
// complete, invokes the four steps in order, and starts again from the first a
// few times if one fails. It reports whether the rotation came to its end.
func (s *secretModel) rotateSecret() bool {
	s.world.rotations++
	s.rotating = true
	defer func() { s.rotating = false }()
	pending := s.labelled(rotation.LabelPending)
	if pending == nil || slices.Contains(pending.labels, rotation.LabelCurrent) {
		s.rotated++
		time.Sleep(time.Millisecond) // two versions of one instant are nobody's
		pending = &versionModel{id: fmt.Sprintf("rotated-%d", s.rotated), created: time.Now()}
		s.versions = append(s.versions, pending)
		s.label(pending, rotation.LabelPending)
	}
	s.world.tell("RotateSecret: version %s", pending.id)
	for attempt := range 2 {
		if attempt > 0 {
			time.Sleep(time.Minute)
			s.world.tell("Secrets Manager runs the rotation again")
		}
		if s.runSteps(pending) {
			return true
		}
	}
	s.world.tell("the rotation failed")
	return false
}

func (s *secretModel) runSteps(v *versionModel) bool {
	for _, step := range []rotation.Step{rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret} {
		if !s.world.invoke(s, v, step) {
			return false
		}
	}
	if !slices.Contains(v.labels, rotation.LabelCurrent) {
		return false
	}
	s.unlabel(v, rotation.LabelPending)
	return true
}

// replaceByHand is what an operator does who makes a token in the console and
// puts it into the secret: a new AWSCURRENT, which takes AWSPENDING off
// whatever version had it.
func (s *secretModel) replaceByHand() {
	v := &versionModel{id: fmt.Sprintf("by-hand-%d", len(s.versions)), created: time.Now(), value: valueOf(s.world.panther.living())}
	s.versions = append(s.versions, v)
	s.label(v, rotation.LabelCurrent)
	if pending := s.labelled(rotation.LabelPending); pending != nil {
		s.unlabel(pending, rotation.LabelPending)
	}
}

// storeModel is Secrets Manager as one process sees it.
type storeModel struct{ process *process }

var errNotFound = errors.New("no such secret or version")

func (m *storeModel) find(arn string) (*secretModel, error) {
	for _, s := range m.process.world.secrets {
		if s.arn == arn {
			return s, nil
		}
	}
	return nil, errNotFound
}

func (m *storeModel) call(ctx context.Context, kind callKind, arn string, effect func(*secretModel) error) error {
	return m.process.call(ctx, kind, func() error {
		s, err := m.find(arn)
		if err != nil {
			return err
		}
		return effect(s)
	})
}

func (m *storeModel) Describe(ctx context.Context, arn string) (d rotation.Description, err error) {
	err = m.call(ctx, callDescribe, arn, func(s *secretModel) error {
		d = rotation.Description{ARN: s.arn, RotationEnabled: true, Labels: map[string][]string{}}
		for _, v := range s.versions {
			if len(v.labels) > 0 {
				d.Labels[v.id] = slices.Clone(v.labels)
			}
		}
		return nil
	})
	return d, err
}

func (m *storeModel) Read(ctx context.Context, arn, id string) (out rotation.Version, err error) {
	kind := callRead
	if m.process.inv.version.id == id {
		kind = callReadPending
	}
	err = m.call(ctx, kind, arn, func(s *secretModel) error {
		out, err = read(s.version(id))
		return err
	})
	return out, err
}

func (m *storeModel) ReadCurrent(ctx context.Context, arn string) (out rotation.Version, err error) {
	err = m.call(ctx, callRead, arn, func(s *secretModel) error {
		out, err = read(s.labelled(rotation.LabelCurrent))
		return err
	})
	return out, err
}

func read(v *versionModel) (rotation.Version, error) {
	if v == nil || v.value == nil {
		return rotation.Version{}, rotation.ErrNoValue
	}
	return rotation.Version{VersionInfo: v.info(), Value: secret.NewText(*v.value)}, nil
}

func (v *versionModel) info() rotation.VersionInfo {
	return rotation.VersionInfo{ID: v.id, Labels: slices.Clone(v.labels), Created: v.created}
}

func (m *storeModel) Put(ctx context.Context, p rotation.Put) error {
	err := m.call(ctx, callPut, p.SecretARN, func(s *secretModel) error {
		if !p.RotationToken.Equal(rotationToken) {
			m.process.world.violate("PutSecretValue without the event's RotationToken")
		}
		v := s.version(p.VersionID)
		switch {
		case v == nil:
			v = &versionModel{id: p.VersionID, created: time.Now()}
			s.versions = append(s.versions, v)
		case v.value != nil && *v.value == p.Value.Reveal():
			return nil // ignored, labels and all
		case v.value != nil:
			return rotation.ErrVersionTaken
		}
		value := p.Value.Reveal()
		v.value = &value
		m.process.world.checkRest(value)
		for _, label := range p.Labels {
			s.label(v, label)
		}
		return nil
	})
	if err == nil {
		m.process.inv.provedWrite = true
	}
	return err
}

func (m *storeModel) MoveCurrent(ctx context.Context, arn, from, to string) error {
	return m.call(ctx, callLabel, arn, func(s *secretModel) error {
		holder, target := s.labelled(rotation.LabelCurrent), s.version(to)
		if target == nil || holder == nil || holder.id != from {
			return errors.New("InvalidParameterException: AWSCURRENT is on another version")
		}
		s.label(target, rotation.LabelCurrent)
		return nil
	})
}

func (m *storeModel) DropPending(ctx context.Context, arn, id string) error {
	return m.call(ctx, callLabel, arn, func(s *secretModel) error {
		v := s.version(id)
		if v == nil || !slices.Contains(v.labels, rotation.LabelPending) {
			return errors.New("InvalidParameterException: AWSPENDING is on another version")
		}
		s.unlabel(v, rotation.LabelPending)
		return nil
	})
}

func (m *storeModel) Versions(ctx context.Context, arn string) (infos []rotation.VersionInfo, err error) {
	err = m.call(ctx, callList, arn, func(s *secretModel) error {
		for _, v := range s.versions {
			infos = append(infos, v.info())
		}
		return nil
	})
	return infos, err
}
