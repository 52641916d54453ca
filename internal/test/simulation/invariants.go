package simulation

import (
	"slices"
	"strings"
	"time"

	"panther-token-rotation/internal/rotation"
)

// checkNothingLost holds at every call, so that the process may die in it: with
// a recovery recipient, each token that reached a process is in the secret or
// sealed in the log. (Without one it must be in the memory of its process;
// checkStored sees that it comes out again.)
func (w *World) checkNothingLost() {
	if !w.scenario.Sealed {
		return
	}
	for _, r := range w.reached {
		if !w.isSafe(r) {
			w.violate("a token that reached the process is neither in the secret nor sealed")
		}
	}
}

func (w *World) isSafe(r reachedToken) bool {
	return r.stored() || slices.ContainsFunc(w.sealed, func(v sealedValue) bool {
		return v.arn == r.secret.arn && hasToken(v.value, r.token)
	})
}

// stored reports whether the token is in its own secret.
func (r reachedToken) stored() bool { return r.secret.holds(r.token) }

// owes reports whether a living process has a token that is not stored.
func (w *World) owes(p *process) bool {
	return slices.ContainsFunc(w.reached, func(r reachedToken) bool { return r.process == p && !r.stored() })
}

// checkMayRotate holds whenever rotateAPIToken is called: it is the first time
// for the version as far as the function can know, a write was proved to work,
// and there is time to wait for the answer and to store it.
func (w *World) checkMayRotate(inv *invocation) {
	if inv.hadValue && !inv.lagged {
		w.violate("rotateAPIToken is called for a version that has a value")
	}
	if inv.unclear {
		w.violate("rotateAPIToken is repeated after a lost answer, without having asked what became of the token")
	}
	if !inv.provedWrite {
		w.violate("rotateAPIToken is called without proof that storing works")
	}
	if time.Until(inv.deadline) < 35*time.Second {
		w.violate("rotateAPIToken is called %v before Lambda's deadline", time.Until(inv.deadline).Round(time.Second))
	}
}

// checkEndsInTime holds when Lambda ends a process at its deadline: that was not
// for the function to avoid.
func (w *World) checkEndsInTime(inv *invocation) {
	if !inv.heldUp {
		w.violate("%s is still at work at Lambda's deadline", inv.step)
	}
}

// checkKeepsTrying holds for each failure: a token is not given up as not stored
// while there is time to try again.
func (w *World) checkKeepsTrying(kind rotation.Kind, deadline time.Time) {
	if left := time.Until(deadline); kind == rotation.NotStored && left > 10*time.Second {
		w.violate("storing a token is given up %v before Lambda's deadline", left.Round(time.Second))
	}
}

// checkRest holds for each stored value: only the token differs.
func (w *World) checkRest(value string) {
	if !strings.HasPrefix(value, keyBefore) || !strings.HasSuffix(value, keyAfter) {
		w.violate("more than the token changed in the value")
	}
}

// checkTold holds when AWSCURRENT is dead after all of Secrets Manager's
// retries: an operator has been told.
func (w *World) checkTold() {
	if len(w.failures) == 0 && !w.crashed {
		w.violate("AWSCURRENT holds a dead token, and nobody was told")
	}
}

// checkLiving holds when faults are over and Secrets Manager has retried: each
// secret's AWSCURRENT holds a token that works, and is for the function to take.
// Where the living token cannot be in the secret, an operator knows what to do.
func (w *World) checkLiving() {
	for _, s := range w.secrets {
		if slices.Contains(s.notToTake, s.currentToken()) {
			w.violate("a token that somebody had replaced, or has for something else, is AWSCURRENT")
		}
		if s.works() {
			continue
		}
		if !w.mayBeDead() {
			w.violate("AWSCURRENT holds a dead token, although no answer was lost")
		} else if !endsDead(w.lastFailure(s)) {
			w.violate("AWSCURRENT holds a dead token, and nobody was told what to do")
		}
		if id := s.unusedSuccessor(); id != "" {
			w.violate("AWSCURRENT holds a dead token, although version %s, which is newer, holds one that works", id)
		}
	}
}

// lastFailure returns what was told last of a secret.
func (w *World) lastFailure(s *secretModel) rotation.Kind {
	for _, f := range slices.Backward(w.failures) {
		if f.secret == s {
			return f.kind
		}
	}
	return ""
}

// unusedSuccessor returns a version newer than AWSCURRENT whose token works.
func (s *secretModel) unusedSuccessor() string {
	current := s.labelled(rotation.LabelCurrent)
	for _, v := range s.versions {
		if v.value == nil || !v.created.After(current.created) || slices.Contains(s.notToTake, tokenIn(*v.value)) {
			continue
		}
		if s.world.panther.find(tokenIn(*v.value)).works() {
			return v.id
		}
	}
	return ""
}

func endsDead(k rotation.Kind) bool {
	return slices.Contains([]rotation.Kind{rotation.TokenLost, rotation.TokenRefused, rotation.OutcomeUnknown, rotation.NotStored, rotation.NotYetWorking}, k)
}

// mayBeDead reports whether the living token cannot be in the secret: it never
// was, Panther's answer was lost, or it is where only a person or a certain
// process can bring it from.
func (w *World) mayBeDead() bool {
	if w.scenario.State == OutOfReach || w.lostAnswer {
		return true
	}
	return slices.ContainsFunc(w.reached, func(r reachedToken) bool { return !r.stored() })
}

// checkStored holds at the end, when each process that lives was used again:
// every token that reached a process is in the secret, unless the process died
// with it; and then it is sealed, if there was a recipient.
func (w *World) checkStored() {
	for _, r := range w.reached {
		switch {
		case r.stored(), r.process.dead && !w.scenario.Sealed:
		case r.process.dead && !w.isSafe(r):
			w.violate("a token is neither in the secret nor sealed in the log")
		case !r.process.dead:
			w.violate("a token that reached a living process is not in the secret")
		}
	}
}
