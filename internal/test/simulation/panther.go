package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// pantherModel is Panther: tokens, and when they live. A token that is rotated
// again within its grace gets another successor, and the one before dies.
type pantherModel struct {
	world  *world
	tokens []*tokenModel
}

type tokenModel struct {
	value     string
	number    int       // tokens are numbered as Panther made them
	from, to  time.Time // when it works; to is zero while nothing ends it
	successor *tokenModel
	parent    *tokenModel // the token that it replaced
	stored    time.Time   // when it was first in a version of the secret; zero: never
	chosen    time.Time   // when a person last moved AWSCURRENT to a version that held it
	lost      bool        // it reached no process
	notSealed bool        // its sealing failed
	ageless   bool        // the oldest version that held it vanished
	// siblingEnded: within its grace the parent was replaced once more, which ended
	// this one. outrun: so it was, and it is in another rotation's version than the
	// sibling. Then no date shows which of the two is younger.
	siblingEnded, outrun bool
	// endedBy is when the invocation began that had it replaced.
	endedBy time.Time
}

// newToken makes a token with a tilde in every fourth place, so that a search
// for tildes finds any part of it, whatever quotes it. As four and three have no
// divisor in common, each part of twelve characters has a tilde as the last of
// three bytes, wherever these begin.
func (m *pantherModel) newToken(from time.Time) *tokenModel {
	n := len(m.tokens)
	t := &tokenModel{value: fmt.Sprintf("t%02d~Kq+~=%02d~Zw5~%02dx~", n, 31*n%100, 17*n%100), number: n, from: from}
	m.tokens = append(m.tokens, t)
	return t
}

func (m *pantherModel) living() *tokenModel { return m.newToken(time.Now()) }

func (m *pantherModel) dead() *tokenModel {
	t := m.newToken(time.Now())
	t.to = t.from
	return t
}

// successorOf makes the token that replaced a dead one.
func (m *pantherModel) successorOf(parent *tokenModel) *tokenModel {
	t := m.living()
	t.parent = parent
	return t
}

func (m *pantherModel) find(value string) *tokenModel {
	for _, t := range m.tokens {
		if t.value == value {
			return t
		}
	}
	return nil
}

func (t *tokenModel) works() bool {
	now := time.Now()
	return t != nil && !now.Before(t.from) && (t.to.IsZero() || now.Before(t.to))
}

// root returns the credential that the token descends from, which a person made
// by hand.
func (t *tokenModel) root() *tokenModel {
	for t.parent != nil {
		t = t.parent
	}
	return t
}

// isYounger reports whether the token is a later one of the same credential.
func (t *tokenModel) isYounger(than *tokenModel) bool {
	return t.root() == than.root() && t.number > than.number
}

// inForce is when a person put the credential first, or moved AWSCURRENT to it
// later.
func (t *tokenModel) inForce() time.Time {
	if t.chosen.After(t.stored) {
		return t.chosen
	}
	return t.stored
}

func (t *tokenModel) descendsFrom(ancestor *tokenModel) bool {
	for ; t != nil; t = t.parent {
		if t == ancestor {
			return true
		}
	}
	return false
}

// rotate replaces the token for a version, or returns nil if it does not work.
func (m *pantherModel) rotate(old string, v *versionModel, propagation time.Duration) *tokenModel {
	t := m.find(old)
	if !t.works() {
		return nil
	}
	now := time.Now()
	if t.to.IsZero() {
		t.to = now.Add(m.world.scenario.grace)
	}
	if t.successor != nil {
		t.successor.to, t.successor.siblingEnded = now, true
		t.successor.outrun = !t.successor.stored.IsZero() && !slices.Contains(tokensIn(v.value), t.successor.value)
	}
	t.successor = m.newToken(now.Add(propagation))
	t.successor.parent, t.successor.lost = t, true // until it reaches a process
	return t.successor
}

// issuerModel is Panther as one process sees it.
type issuerModel struct{ process *process }

// Answers that say that nothing happened.
var (
	errRefused     = &rotation.AnswerError{Answer: rotation.Unauthorized, Summary: "HTTP status 401"}
	errUnreachable = &rotation.AnswerError{Answer: rotation.NotSent, Summary: "no connection"}
)

func (m *issuerModel) Rotate(ctx context.Context, token secret.Text) (secret.Text, error) {
	p := m.process
	w, inv := p.world, p.inv
	w.checkMayRotate(inv, token.Reveal())
	inv.echo = token.Reveal()
	var fresh *tokenModel
	defer func() { inv.hadValue = inv.version.value != "" }()
	err := p.call(ctx, callRotate, func() error {
		propagation := w.scenario.propagation
		if w.slow {
			propagation, w.slow = 10*time.Minute, false
		}
		if fresh = w.panther.rotate(token.Reveal(), inv.version, propagation); fresh == nil {
			return errRefused
		}
		w.panther.find(token.Reveal()).endedBy = inv.began
		inv.lost = true
		w.tell("    Panther replaces the token")
		return nil
	})
	if err != nil {
		answer, ok := errors.AsType[*rotation.AnswerError](err)
		inv.unclear = !ok || answer.Answer == rotation.Ambiguous
		return secret.Text{}, err
	}
	fresh.lost, inv.lost = false, false
	w.reached = append(w.reached, reachedToken{fresh, inv.secret, p})
	return secret.NewText(fresh.value), nil
}

func (m *issuerModel) Check(ctx context.Context, token secret.Text) error {
	p := m.process
	p.inv.echo = token.Reveal()
	err := p.call(ctx, callCheck, func() error {
		if !p.world.panther.find(token.Reveal()).works() {
			return errRefused
		}
		return nil
	})
	if err == nil {
		p.inv.unclear = false
	}
	return err
}
