package simulation

import (
	"slices"
	"time"

	"panther-token-rotation/internal/rotation"
)

// checkNow holds at every call, so that the process may die in it: with a
// recovery recipient, each token that reached a process is in the secret or
// sealed in the log. (Without one it must be in the memory of its process;
// checkStored sees that it comes out again.) And with two tokens, readers have
// one that works.
func (w *world) checkNow() {
	if w.scenario.sealed {
		for _, r := range w.reached {
			if !r.token.notSealed && !w.isSafe(r) {
				w.violate("a token that reached the process is neither in the secret nor sealed")
			}
		}
	}
	if w.scenario.two {
		for _, s := range w.secrets {
			w.checkActive(s)
		}
	}
}

func (w *world) isSafe(r reachedToken) bool {
	return r.stored() || slices.ContainsFunc(w.sealed, func(v sealedValue) bool {
		return v.arn == r.secret.arn && slices.Contains(tokensIn(v.value), r.token.value)
	})
}

// stored reports whether the token is in the secret. (A version that held it may
// have vanished since.)
func (r reachedToken) stored() bool { return !r.token.stored.IsZero() }

// owes reports whether a living process has a token that is not stored.
func (w *world) owes(p *process) bool {
	return slices.ContainsFunc(w.reached, func(r reachedToken) bool { return r.process == p && !r.stored() })
}

// checkActive holds at every instant with two tokens: AWSCURRENT's active token
// works, unless it was dead when a person gave it AWSCURRENT, or a rotation that
// had begun before had it replaced.
func (w *world) checkActive(s *secretModel) {
	active := s.active()
	if active.works() || active.siblingEnded || w.scenario.state == outOfReach {
		return
	}
	at := s.acts[len(s.acts)-1].at
	switch {
	case s.byHand && (active.to.IsZero() || !active.to.After(at)):
		return
	case !active.to.IsZero() && !active.endedBy.After(at):
		return
	}
	w.violate("AWSCURRENT's active token does not work, and no person did that")
}

// checkFlushed holds when a process has used Lambda's notice: it has stored what
// it held, unless it could not.
func (w *world) checkFlushed(p *process) {
	if w.owes(p) && !p.inv.failedWrite {
		w.violate("a process that had notice of its end has not stored what it held")
	}
}

// checkStepStored holds when a step returns: its process holds no token of that
// secret, unless it could not store it. A step that fails, or has nothing else to
// do, is no exception.
func (w *world) checkStepStored(p *process) {
	held := slices.ContainsFunc(w.reached, func(r reachedToken) bool {
		return r.process == p && r.secret == p.inv.secret && !r.stored()
	})
	if held && !p.inv.failedWrite {
		w.violate("%s returned and has not stored what its process held", p.inv.step)
	}
}

// checkMayRotate holds whenever rotateAPIToken is called: it is the first time
// for the version as far as the function can know, a write was proved to work,
// there is time to wait for the answer and to store it, and no reader is shut
// out.
func (w *world) checkMayRotate(inv *invocation, token string) {
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
	if !w.scenario.two {
		return
	}
	s := inv.secret
	if token == inv.active {
		w.violate("rotateAPIToken is called with the token that AWSCURRENT had as active when it was read")
	}
	if s.labelled(rotation.LabelCurrent) == inv.version && slices.Index(s.currentTokens(), token) == 1 {
		w.violate("a rotation replaces the token that was active until it ended")
	}
	if time.Now().Before(s.replicaUntil) && s.replicaSince.Before(inv.began) {
		w.violate("the standby is rotated while readers in another Region still have it as active")
	}
}

// checkEndsInTime holds when Lambda ends a process at its deadline: that was not
// for the function to avoid.
func (w *world) checkEndsInTime(inv *invocation) {
	if !inv.heldUp {
		w.violate("%s is still at work at Lambda's deadline", inv.step)
	}
}

// checkKeepsTrying holds for each failure: a token is not given up as not stored
// while there is time to try again.
func (w *world) checkKeepsTrying(kind rotation.Kind, deadline time.Time) {
	if left := time.Until(deadline); kind == rotation.NotStored && left > 10*time.Second {
		w.violate("storing a token is given up %v before Lambda's deadline", left.Round(time.Second))
	}
}

// checkAdmitsDanger holds for each failure of an invocation that lost an answer:
// it pages. Of two tokens, the active one may work, or a person may have put a dead
// one since AWSCURRENT was last read. What a person put may work, too.
func (w *world) checkAdmitsDanger(inv *invocation, kind rotation.Kind) {
	if !inv.lost || severityOf(kind) == rotation.Page {
		return
	}
	s := inv.secret
	since := s.byHand && !s.acts[len(s.acts)-1].at.Before(inv.readAt)
	switch kind {
	case rotation.StandbyLost, rotation.StandbyRefused:
		if s.works() || since {
			return
		}
	case rotation.Abandoned:
		if s.works() {
			return
		}
	}
	w.violate("an answer to rotateAPIToken was lost, and %s denies danger", kind)
}

func severityOf(kind rotation.Kind) rotation.Severity {
	for _, info := range rotation.Kinds {
		if info.Kind == kind {
			return info.Severity
		}
	}
	return rotation.None
}

// checkRest holds for each value that the function stores: only tokens differ
// from a value that a person put.
func (w *world) checkRest(s *secretModel, value string) {
	if len(w.processes) > 0 && !s.rests[shapeOf(value)] {
		w.violate("more than the tokens changed in the value")
	}
}

// checkKeepsEdits holds when a rotation moves AWSCURRENT from a value that
// a person put: their edit of another key stays.
func (w *world) checkKeepsEdits(s *secretModel, from, to *versionModel) {
	moved := len(s.acts) > 1 // a label moved by hand says nothing about edits
	if !moved && restOf(from.value) != restOf(to.value) {
		w.violate("a rotation undid an edit of another key")
	}
}

// checkLineage holds when a rotation has moved AWSCURRENT: its active token
// descends from what was last put or, where that had been in the secret before,
// is a later one of the same credential or descends from one that was first put
// since, or with it. A label that a person
// moved puts the credentials of that version in force again.
func (w *world) checkLineage(s *secretModel) {
	active := s.active()
	if active == nil {
		w.violate("AWSCURRENT moved to a version without a token")
		return
	}
	if slices.Contains(s.notToTake, active.root()) {
		w.violate("a token that a person has for something else is AWSCURRENT")
	}
	if active.ageless {
		return
	}
	for _, a := range s.acts {
		for i, t := range a.tokens {
			if active.descendsFrom(t) {
				return
			}
			was := a.stored[i]
			if !was.IsZero() && (active.isYounger(t) || !active.root().inForce().Before(was)) {
				return
			}
		}
	}
	w.violate("a token that descends from an older credential than what was last put is AWSCURRENT")
}

// checkTold holds when AWSCURRENT is dead after all of Secrets Manager's
// retries: a failure was reported. A value put by hand, a rotation that was
// cancelled, and a RotateSecret that failed were no secret to whoever did that.
func (w *world) checkTold(s *secretModel) {
	if len(s.failures) == 0 && !w.crashed && !s.byHand && s.enabled && !s.denied {
		w.violate("AWSCURRENT holds a dead token, and no failure was reported")
	}
}

// checkLiving holds when faults are over and Secrets Manager has retried, and a
// secret that was dead was rotated once more: each secret's AWSCURRENT holds a
// token that works. Where the living token cannot be in the secret, an operator
// knows what to do.
func (w *world) checkLiving() {
	for _, s := range w.secrets {
		switch {
		case s.works():
		case !w.mayBeDead(s):
			w.violate("AWSCURRENT holds a dead token, although no answer was lost")
		case !slices.ContainsFunc(s.failures, endsDead):
			w.violate("AWSCURRENT holds a dead token, and no failure says what to do")
		}
	}
}

func endsDead(k rotation.Kind) bool {
	return slices.Contains([]rotation.Kind{rotation.TokenLost, rotation.TokenRefused, rotation.OutcomeUnknown, rotation.NotStored, rotation.NotYetWorking}, k)
}

// mayBeDead reports whether the living token cannot be in the secret: it never
// was, Panther's answer was lost, or it died with its process; or the version
// vanished that showed the age of a token. Of two tokens, the active one then
// still works, unless a person put a dead one.
func (w *world) mayBeDead(s *secretModel) bool {
	if w.scenario.state == outOfReach {
		return true
	}
	if active := s.active(); active.outrun || w.scenario.two && !s.byHand {
		return active.outrun
	}
	if pending := s.labelled(rotation.LabelPending); pending != nil && s.byHand {
		for _, t := range s.models(tokensIn(pending.value)) {
			if t.siblingEnded { // AWSCURRENT says nothing of it, so AWSPENDING stays
				return true
			}
		}
	}
	for _, current := range s.models(s.currentTokens()) {
		if current.ageless {
			return true
		}
		for _, t := range w.panther.tokens {
			if t.parent != nil && t.root() == current.root() && (t.lost || t.stored.IsZero()) {
				return true
			}
		}
	}
	return false
}

// checkStored holds at the end, when each process that lives was used again:
// every token that reached a process is in the secret, unless the process died
// with it; and then it is sealed, if there was a recipient.
func (w *world) checkStored() {
	for _, r := range w.reached {
		switch {
		case r.stored(), r.process.dead && (!w.scenario.sealed || r.token.notSealed):
		case r.process.dead && !w.isSafe(r):
			w.violate("a token is neither in the secret nor sealed in the log")
		case !r.process.dead:
			w.violate("a token that reached a living process is not in the secret")
		}
	}
}
