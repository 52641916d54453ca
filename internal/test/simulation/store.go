package simulation

import (
	"context"
	"errors"
	"slices"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// storeModel is Secrets Manager as one process sees it.
type storeModel struct{ process *process }

var errNotFound = errors.New("ResourceNotFoundException: no such secret or version")

func (m *storeModel) call(ctx context.Context, kind callKind, arn string, effect func(*secretModel) error) error {
	return m.process.call(ctx, kind, func() error {
		for _, s := range m.process.world.secrets {
			if s.arn == arn {
				if kind.writes() {
					s.remember()
				}
				return effect(s)
			}
		}
		return errNotFound
	})
}

func (m *storeModel) Describe(ctx context.Context, arn string) (d rotation.Description, err error) {
	err = m.call(ctx, callDescribe, arn, func(s *secretModel) error {
		d = rotation.Description{ARN: s.arn, RotationEnabled: s.enabled, Labels: map[string][]string{}, Replicas: s.replicas()}
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
	inv := m.process.inv
	err = m.call(ctx, callReadCurrent, arn, func(s *secretModel) error {
		inv.readAt = time.Now()
		out, err = read(s.labelled(rotation.LabelCurrent))
		if tokens := tokensIn(out.Value.Reveal()); len(tokens) > 0 {
			inv.active = tokens[0]
		}
		return err
	})
	return out, err
}

func read(v *versionModel) (rotation.Version, error) {
	if v == nil || v.value == "" {
		return rotation.Version{}, rotation.ErrNoValue
	}
	return rotation.Version{VersionInfo: v.info(), Value: secret.NewText(v.value)}, nil
}

func (v *versionModel) info() rotation.VersionInfo {
	return rotation.VersionInfo{ID: v.id, Labels: slices.Clone(v.labels), Created: v.created}
}

func (m *storeModel) Put(ctx context.Context, p rotation.Put) error {
	w, inv := m.process.world, m.process.inv
	if !p.RotationToken.Equal(rotationToken) && !inv.retiring {
		w.violate("PutSecretValue without the event's RotationToken")
	}
	err := m.call(ctx, callPut, p.SecretARN, func(s *secretModel) error { return s.putSecretValue(p) })
	inv.provedWrite, inv.failedWrite = inv.provedWrite || err == nil, inv.failedWrite || err != nil
	return err
}

// putSecretValue is PutSecretValue by the function.
func (s *secretModel) putSecretValue(p rotation.Put) error {
	value := p.Value.Reveal()
	if len(value) > secret.MaxBytes {
		return errors.New("ValidationException: the value is too large")
	}
	v := s.version(p.VersionID)
	switch {
	case v != nil && v.value == value:
		return nil // ignored, labels and all
	case v != nil && v.value != "":
		return rotation.ErrVersionTaken
	case v == nil && time.Now().Before(s.world.full):
		return errors.New("LimitExceededException")
	}
	s.world.checkRest(s, value)
	if v == nil {
		v = &versionModel{id: p.VersionID, created: s.world.instant()}
		s.versions = append(s.versions, v)
	}
	s.store(v, value)
	first := s.labelled(rotation.LabelCurrent) == nil
	for _, label := range p.Labels {
		s.label(v, label)
	}
	if first {
		s.label(v, rotation.LabelCurrent)
	} else if slices.Contains(p.Labels, rotation.LabelCurrent) {
		s.abandon()
	}
	return nil
}

func (m *storeModel) MoveCurrent(ctx context.Context, arn, from, to string) error {
	called := time.Now()
	return m.call(ctx, callLabel, arn, func(s *secretModel) error {
		holder, target := s.labelled(rotation.LabelCurrent), s.version(to)
		if target == nil {
			return errNotFound
		}
		if holder == nil || holder.id != from {
			return errors.New("InvalidParameterException: AWSCURRENT is on another version")
		}
		s.world.checkKeepsEdits(s, holder, target)
		s.beforeRotation = tokensIn(holder.value)
		s.label(target, rotation.LabelCurrent)
		// Secrets Manager cannot refuse a move after a person has moved the label
		// back to where the caller saw it.
		s.byHand = s.byHand && !s.acts[len(s.acts)-1].at.Before(called)
		s.world.checkLineage(s)
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
