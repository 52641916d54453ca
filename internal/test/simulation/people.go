package simulation

import (
	"fmt"
	"slices"
	"time"

	"panther-token-rotation/internal/rotation"
)

// This file has what people do to a secret by hand.

// act is a person giving AWSCURRENT to a version.
type act struct {
	at     time.Time
	tokens []*tokenModel
	stored []time.Time // when each had first been in the secret; zero: it was new
}

// put is what a person does who stores a value: a new AWSCURRENT, which takes
// AWSPENDING off whatever version had it.
func (s *secretModel) put(value string) {
	s.remember()
	v := &versionModel{id: fmt.Sprintf("by-hand-%d", s.edits), created: s.world.instant()}
	a := act{at: v.created, tokens: s.models(tokensIn(value))}
	for _, t := range a.tokens {
		a.stored = append(a.stored, t.stored)
	}
	s.versions = append(s.versions, v)
	s.store(v, value)
	s.label(v, rotation.LabelCurrent)
	s.abandon()
	s.acts, s.byHand = []act{a}, true
}

// abandon takes AWSPENDING off, as Secrets Manager does for a new AWSCURRENT.
func (s *secretModel) abandon() {
	if pending := s.labelled(rotation.LabelPending); pending != nil && !slices.Contains(pending.labels, rotation.LabelCurrent) {
		s.unlabel(pending, rotation.LabelPending)
	}
}

// save puts these tokens with another key edited.
func (s *secretModel) save(tokens []string) {
	s.edits++
	s.put(valueOf(1+s.edits, tokens...))
}

// putFresh puts a token that was made in the console, or two of them.
func (s *secretModel) putFresh() {
	tokens := []string{s.world.panther.living().value}
	if s.world.scenario.two {
		tokens = append(tokens, s.world.panther.living().value)
	}
	s.save(tokens)
}

func (s *secretModel) putFreshStandby() {
	s.save([]string{s.currentTokens()[0], s.world.panther.living().value})
}

// moveBack is a person who moves AWSCURRENT to the version that had it before.
func (s *secretModel) moveBack() {
	previous := s.labelled(rotation.LabelPrevious)
	if previous == nil {
		return
	}
	s.remember()
	s.label(previous, rotation.LabelCurrent)
	a := act{at: time.Now(), tokens: s.models(tokensIn(previous.value))}
	for _, t := range a.tokens {
		a.stored = append(a.stored, t.stored)
		t.root().chosen = a.at
	}
	s.acts, s.byHand = append(s.acts, a), true
}
