package simulation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// pantherModel is Panther: tokens, and when they live. A token that is rotated
// again within its grace gets another successor, and the one before dies.
type pantherModel struct {
	world  *World
	tokens []*tokenModel
}

type tokenModel struct {
	value     string
	from, to  time.Time // when it works; to is zero while nothing ends it
	successor *tokenModel
}

// newToken makes a token with a tilde in every fourth place, so that a search
// for tildes finds any part of it, whatever quotes it. As four and three have no
// divisor in common, each part of twelve characters has a tilde as the last of
// three bytes, wherever these begin.
func (m *pantherModel) newToken(from time.Time) *tokenModel {
	n := len(m.tokens)
	t := &tokenModel{value: fmt.Sprintf("t%02d~Kq+~=%02d~Zw5~%02dx~", n, 31*n%100, 17*n%100), from: from}
	m.tokens = append(m.tokens, t)
	return t
}

func (m *pantherModel) living() string { return m.newToken(time.Now()).value }

func (m *pantherModel) dead() string {
	t := m.newToken(time.Now())
	t.to = t.from
	return t.value
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

// rotate replaces the token, or returns nil if it does not work.
func (m *pantherModel) rotate(old string, propagation time.Duration) *tokenModel {
	t := m.find(old)
	if !t.works() {
		return nil
	}
	now := time.Now()
	if t.to.IsZero() {
		t.to = now.Add(m.world.scenario.Grace)
	}
	if t.successor != nil {
		t.successor.to = now
	}
	t.successor = m.newToken(now.Add(propagation))
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
	w.checkMayRotate(inv)
	inv.echo = token.Reveal()
	var fresh *tokenModel
	defer func() {
		inv.hadValue = inv.version.value != nil
		if fresh != nil && (len(w.reached) == 0 || w.reached[len(w.reached)-1].token != fresh.value) {
			w.lostAnswer = true
		}
	}()
	err := p.call(ctx, callRotate, func() error {
		propagation := w.scenario.Propagation
		if w.slow {
			propagation, w.slow = 10*time.Minute, false
		}
		if fresh = w.panther.rotate(token.Reveal(), propagation); fresh == nil {
			return errRefused
		}
		w.tell("    Panther replaces the token")
		return nil
	})
	if err != nil {
		answer, ok := errors.AsType[*rotation.AnswerError](err)
		inv.unclear = !ok || answer.Answer == rotation.Ambiguous
		return secret.Text{}, err
	}
	w.reached = append(w.reached, reachedToken{fresh.value, inv.secret, p})
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
