package main

import (
	"slices"
	"strings"

	"panther-token-rotation/internal/health"
	"panther-token-rotation/internal/rotation"
)

// step is the one next command, and why.
type step struct {
	command, because string
	// optional: the secret is healthy without it.
	optional bool
}

func (s *target) run(arguments, because string) step {
	return step{command: "panther-token " + arguments, because: because}
}

func (s *target) rotateStep(because string) step { return s.run("rotate "+s.name, because) }

// newTokenStep is for a token that is gone.
func (s *target) newTokenStep(p *picture, what, put string) step {
	if p.sealed {
		return s.run("restore "+s.name+" --identity key.txt", what+" The log may have a sealed value that was not stored. If it does not help: panther-token "+put+".")
	}
	return s.run(put, what+noToken(p)+" Make an API token in the Panther console first.")
}

// noToken warns where no token works at all, as from a wrong address.
func noToken(p *picture) string {
	if slices.ContainsFunc(p.tokens, func(t *token) bool { return t.answer == works }) {
		return ""
	}
	return " It may live if its CIDR blocks exclude this machine's address."
}

// next decides what comes next. The first rule that matches wins.
func (s *target) next(p *picture, problems []health.Problem, failure *line) step {
	found := func(kinds ...rotation.Kind) (health.Problem, bool) {
		i := slices.IndexFunc(problems, func(p health.Problem) bool { return slices.Contains(kinds, p.Kind) })
		if i < 0 {
			return health.Problem{}, false
		}
		return problems[i], true
	}
	// Readers come before the schedule.
	if _, off := found(rotation.RotationDisabled); off && p.current != nil {
		if p.onlyPending() != nil {
			return s.rotateStep("Rotation is switched off, and AWSPENDING may hold the only living token. This switches it on and finishes the rotation.")
		}
		if st, dead := s.nextForDead(p); dead && p.pending == nil {
			return st
		}
	}
	// The daily check knows these best, and nothing else helps before.
	if h, ok := found(rotation.SecretDeleted, rotation.OtherFunction, rotation.RotationDisabled,
		rotation.EndpointMisconfigured, rotation.PantherUnavailable, rotation.SecretUnusable); ok {
		return step{command: h.Next, because: sentence(capital(h.What))}
	}
	if p.current == nil {
		return step{}
	}
	if p.pending != nil {
		return s.nextInRotation(p, failure)
	}
	if st, dead := s.nextForDead(p); dead {
		return st
	}
	if h, ok := found(rotation.TokenExpires); ok {
		return s.run("put "+s.name+s.expiringSlot(p), sentence(capital(h.What))+" Make a new API token in the Panther console first.")
	}
	if h, ok := found(rotation.RotationStuck, rotation.RotationOverdue); ok {
		return s.rotateStep(sentence(capital(h.What)))
	}
	if len(problems) > 0 {
		return step{command: problems[0].Next, because: sentence(capital(problems[0].What))}
	}
	return step{}
}

// finalKinds are failures that another attempt of the same rotation does not
// heal, because the token that would be rotated is dead.
var finalKinds = []rotation.Kind{rotation.TokenLost, rotation.TokenRefused, rotation.StandbyLost, rotation.StandbyRefused}

// nextInRotation decides while AWSPENDING stands on a version of its own. The
// token that is being replaced is dead by design then.
func (s *target) nextInRotation(p *picture, failure *line) step {
	switch p.dropReason() {
	case dropCopy:
		return s.run("rotate "+s.name+" --drop-pending", "AWSPENDING is a copy of AWSCURRENT and blocks every rotation.")
	case dropReplaced:
		if failure != nil && rotation.Kind(failure.Kind) == rotation.ReplacedByHand {
			return s.run("rotate "+s.name+" --drop-pending", "Panther refuses the AWSPENDING token and accepts those of AWSCURRENT.")
		}
	}
	switch {
	case failure == nil && len(p.pending.tokens) == 0 && !slices.ContainsFunc(p.current.tokens, func(t *token) bool { return t.answer != works }):
		st := s.rotateStep("A rotation is under way or was interrupted. This follows it.")
		st.optional = true
		return st
	case failure == nil:
		return s.rotateStep("A rotation is not finished. This finishes it.")
	case p.onlyPending() != nil:
		return s.rotateStep("AWSPENDING may hold the only living token. Do not remove it.")
	case p.canAdopt() && len(p.pending.tokens) == 0:
		return s.rotateStep("Another version holds a living token, which the next attempt may adopt.")
	case slices.Contains(finalKinds, rotation.Kind(failure.Kind)):
		if st, dead := s.nextForDead(p); dead {
			return st
		}
	}
	return s.rotateStep("The last attempt failed with " + failure.Kind + ". The next one resumes it.")
}

// nextForDead decides about refused tokens of AWSCURRENT.
func (s *target) nextForDead(p *picture) (step, bool) {
	isDead := func(slot int) bool {
		return slot < len(p.current.tokens) && p.current.tokens[slot].answer == refused
	}
	switch {
	case isDead(0) && p.current.lives(1):
		return s.rotateStep("Panther refuses the active token, and the standby works. The rotation makes it the active one."), true
	case isDead(0) && p.canAdopt():
		return s.rotateStep("Panther refuses the active token. The rotation adopts a living one of another version."), true
	case isDead(0):
		return s.newTokenStep(p, "Panther refuses the active token.", "put "+s.name), true
	case isDead(1):
		return s.newTokenStep(p, "Panther refuses the standby. Readers are not affected.", "put "+s.name+" --standby"), true
	}
	return step{}, false
}

// canAdopt reports whether the next rotation may adopt a living token of another
// version: one that is younger than the refused one.
func (p *picture) canAdopt() bool {
	return slices.ContainsFunc(p.loose(), func(t *token) bool {
		return slices.ContainsFunc(p.current.tokens, func(c *token) bool { return c.answer == refused && t.since.After(c.since) })
	})
}

// expiringSlot returns the flag for the slot of AWSCURRENT that expires first.
func (s *target) expiringSlot(p *picture) string {
	if len(p.current.tokens) < 2 {
		return ""
	}
	active, standby := p.current.tokens[0].info.Expires, p.current.tokens[1].info.Expires
	if active.IsZero() || !standby.IsZero() && standby.Before(active) {
		return " --standby"
	}
	return ""
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
