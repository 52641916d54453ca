package simulation

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

var one, two = scenario{}, scenario{two: true}

// invariantCases make by hand what each invariant forbids, and next to it what is
// allowed.
var invariantCases = map[string]struct {
	scenario  scenario
	happens   func(w *world, s *secretModel)
	violation string // "" if it is allowed
}{
	"sealed nowhere": {scenario{sealed: true}, func(w *world, s *secretModel) {
		w.reach(w.panther.living(), &process{})
		w.checkNow()
	}, "neither in the secret nor sealed"},
	"sealed": {scenario{sealed: true}, func(w *world, s *secretModel) {
		token := w.panther.living()
		w.reach(token, &process{})
		w.sealed = []sealedValue{{s.arn, valueOf(1, token.value)}}
		w.checkNow()
	}, ""},
	"the active token is replaced": {two, func(w *world, s *secretModel) {
		s.active().to, s.active().endedBy = time.Now(), time.Now()
		w.checkNow()
	}, "no person did that"},
	"a person puts a dead active token": {two, func(w *world, s *secretModel) {
		s.save([]string{w.panther.dead().value, w.panther.living().value})
		w.checkNow()
	}, ""},
	"a person puts an active token, which a later rotation replaces": {two, func(w *world, s *secretModel) {
		s.putFresh()
		s.active().to, s.active().endedBy = w.instant(), time.Now()
		w.checkNow()
	}, "no person did that"},

	"kept a token after notice":          {one, func(w *world, s *secretModel) { w.checkFlushed(w.owing(false)) }, "has not stored what it held"},
	"kept a token, but the write failed": {one, func(w *world, s *secretModel) { w.checkFlushed(w.owing(true)) }, ""},
	"kept a token after a step":          {one, func(w *world, s *secretModel) { w.checkStepStored(w.owing(false)) }, "returned and has not stored"},
	"kept it, but the write failed":      {one, func(w *world, s *secretModel) { w.checkStepStored(w.owing(true)) }, ""},
	"the version has a value":            {one, mayRotate(func(inv *invocation) { inv.hadValue = true }), "for a version that has a value"},
	"an answer was lost":                 {one, mayRotate(func(inv *invocation) { inv.unclear = true }), "repeated after a lost answer"},
	"no write was proved":                {one, mayRotate(func(inv *invocation) { inv.provedWrite = false }), "without proof"},
	"34 s are left":                      {one, mayRotate(func(inv *invocation) { inv.deadline = time.Now().Add(34 * time.Second) }), "34s before Lambda's deadline"},
	"everything is right":                {one, mayRotate(func(*invocation) {}), ""},
	"the active of two tokens":           {two, mayRotate(func(inv *invocation) { inv.active = inv.secret.currentTokens()[1] }), "had as active when it was read"},
	"what was active until it ended":     {two, mayRotate(func(inv *invocation) { inv.version = inv.secret.labelled(rotation.LabelCurrent) }), "replaces the token that was active"},
	"a replica lags":                     {two, mayRotate(func(inv *invocation) { inv.secret.lag(inv.began.Add(-time.Second)) }), "readers in another Region"},
	"a replica lags since a moment":      {two, mayRotate(func(inv *invocation) { inv.secret.lag(inv.began) }), ""},
	"a replica lags, of one token":       {one, mayRotate(func(inv *invocation) { inv.secret.lag(inv.began.Add(-time.Second)) }), ""},
	"the deadline passes":                {one, func(w *world, s *secretModel) { w.checkEndsInTime(&invocation{}) }, "still at work"},
	"the deadline passes in a call":      {one, func(w *world, s *secretModel) { w.checkEndsInTime(&invocation{heldUp: true}) }, ""},
	"storing is given up early":          {one, func(w *world, s *secretModel) { w.checkKeepsTrying(rotation.NotStored, time.Now().Add(time.Minute)) }, "1m0s before Lambda's deadline"},
	"storing is given up in time":        {one, func(w *world, s *secretModel) { w.checkKeepsTrying(rotation.NotStored, time.Now().Add(3*time.Second)) }, ""},
	"a kind that denies danger":          {one, fails(rotation.StoreUnavailable), "StoreUnavailable denies danger"},
	"a kind that admits danger":          {one, fails(rotation.TokenLost), ""},
	"the standby is lost":                {two, fails(rotation.StandbyLost), ""},
	"both are dead, not only standby":    {two, func(w *world, s *secretModel) { s.active().to = time.Now(); fails(rotation.StandbyLost)(w, s) }, "StandbyLost denies danger"},
	"a value that nobody wrote":          {one, func(w *world, s *secretModel) { w.newProcess(); w.checkRest(s, valueOf(9, "t")) }, "more than the tokens changed"},
	"a value with another token":         {one, func(w *world, s *secretModel) { w.newProcess(); w.checkRest(s, valueOf(1, "t")) }, ""},
	"a value with a token more":          {one, func(w *world, s *secretModel) { w.newProcess(); w.checkRest(s, valueOf(1, "t", "u")) }, "more than the tokens changed"},
	"a write without RotationToken":      {one, func(w *world, s *secretModel) { w.putWith(s, secret.Text{}) }, "without the event's RotationToken"},
	"a write with the RotationToken":     {one, func(w *world, s *secretModel) { w.putWith(s, rotationToken) }, ""},
	"an edit is undone":                  {one, func(w *world, s *secretModel) { s.save(s.atStart); w.finish(s, valueOf(1, s.atStart...)) }, "undid an edit"},
	"an edit stays":                      {one, func(w *world, s *secretModel) { s.save(s.atStart); w.finish(s, valueOf(2, s.atStart...)) }, ""},
	"a value without a token":            {one, func(w *world, s *secretModel) { w.finish(s, `{"weight" : 1.0e0 }`) }, "without a token"},
	"the descendant of what was put":     {one, func(w *world, s *secretModel) { w.finish(s, valueOf(1, w.panther.successorOf(s.active()).value)) }, ""},
	"an older credential":                {one, func(w *world, s *secretModel) { s.putFresh(); w.finish(s, valueOf(2, s.atStart...)) }, "older credential"},
	"a descendant of an older one": {one, func(w *world, s *secretModel) {
		child := w.panther.successorOf(s.active())
		s.putFresh()
		w.finish(s, valueOf(2, child.value))
	}, "older credential"},
	"a newer one after a stale save": {one, func(w *world, s *secretModel) {
		s.putFresh()
		fresh := s.currentTokens()
		s.save(s.atStart)
		w.finish(s, valueOf(3, fresh...))
	}, ""},
	"a token for something else":        {scenario{state: outOfReach}, func(w *world, s *secretModel) { w.finish(s, valueOf(1, s.notToTake[0].value)) }, "for something else"},
	"dead, and no step failed":          {one, func(w *world, s *secretModel) { w.checkTold(s) }, "no failure was reported"},
	"dead, and the rotation cancelled":  {one, func(w *world, s *secretModel) { s.enabled = false; w.checkTold(s) }, ""},
	"dead, and RotateSecret failed":     {one, func(w *world, s *secretModel) { s.denied = true; w.checkTold(s) }, ""},
	"dead, and the process crashed":     {one, func(w *world, s *secretModel) { w.crashed = true; w.checkTold(s) }, ""},
	"dead, and no answer was lost":      {one, ends(false, rotation.TokenLost), "although no answer was lost"},
	"lost, and another failure told":    {one, ends(true, rotation.StoreUnavailable), "no failure says what to do"},
	"lost, and told":                    {one, ends(true, rotation.TokenLost), ""},
	"two tokens, lost, and told":        {two, ends(true, rotation.TokenLost), "although no answer was lost"},
	"dead next to what is out of reach": {scenario{state: outOfReach}, func(w *world, s *secretModel) { s.failures = []rotation.Kind{rotation.TokenRefused}; w.checkLiving() }, ""},
	"died with a token, not sealed":     {scenario{sealed: true}, func(w *world, s *secretModel) { w.reach(w.panther.living(), &process{dead: true}); w.checkStored() }, "nor sealed in the log"},
	"died with a token, the seal failed": {scenario{sealed: true}, func(w *world, s *secretModel) {
		token := w.panther.living()
		token.notSealed = true
		w.reach(token, &process{dead: true})
		w.checkStored()
	}, ""},
	"died with a token, no recipient": {one, func(w *world, s *secretModel) { w.reach(w.panther.living(), &process{dead: true}); w.checkStored() }, ""},
	"lives, and has not stored it":    {one, func(w *world, s *secretModel) { w.reach(w.panther.living(), &process{}); w.checkStored() }, "a living process is not in the secret"},
}

func TestInvariantsNotice(t *testing.T) {
	for name, tc := range invariantCases {
		t.Run(name, func(t *testing.T) {
			inBubble(t)(func() {
				w := newWorld(tc.scenario, nil)
				tc.happens(w, w.secrets[0])
				if tc.violation == "" && len(w.violations) > 0 {
					t.Errorf("violations %q", w.violations)
				}
				if tc.violation != "" {
					wantViolation(t, w, tc.violation)
				}
			})
		})
	}
}

// mayRotate calls rotateAPIToken with the token that is next, in an invocation
// that may, but for a change.
func mayRotate(change func(*invocation)) func(*world, *secretModel) {
	return func(w *world, s *secretModel) {
		tokens := s.currentTokens()
		inv := &invocation{secret: s, version: &versionModel{}, began: time.Now(), deadline: time.Now().Add(time.Minute), provedWrite: true, active: tokens[0]}
		change(inv)
		w.checkMayRotate(inv, tokens[len(tokens)-1])
	}
}

func (s *secretModel) lag(since time.Time) {
	s.replicaSince, s.replicaUntil = since, time.Now().Add(time.Minute)
}

// fails is an invocation that lost an answer and fails with kind.
func fails(kind rotation.Kind) func(*world, *secretModel) {
	return func(w *world, s *secretModel) { w.checkAdmitsDanger(&invocation{secret: s, lost: true}, kind) }
}

// ends is a run at whose end AWSCURRENT is dead.
func ends(lost bool, kind rotation.Kind) func(*world, *secretModel) {
	return func(w *world, s *secretModel) {
		s.active().to = time.Now()
		if lost {
			w.panther.successorOf(s.active()).lost = true
		}
		s.failures = []rotation.Kind{kind}
		w.checkLiving()
	}
}

func (w *world) reach(token *tokenModel, p *process) {
	w.reached = append(w.reached, reachedToken{token, w.secrets[0], p})
}

// owing returns a process with a token that it has not stored.
func (w *world) owing(failed bool) *process {
	p := &process{inv: &invocation{secret: w.secrets[0], failedWrite: failed}}
	w.reach(w.panther.living(), p)
	return p
}

// finish has a rotation end with this value.
func (w *world) finish(s *secretModel, value string) {
	current := s.labelled(rotation.LabelCurrent)
	v := &versionModel{id: "finished", created: w.instant()}
	s.versions = append(s.versions, v)
	s.store(v, value)
	p := &process{world: w, inv: &invocation{secret: s, version: v, deadline: time.Now().Add(time.Minute)}}
	_ = (&storeModel{p}).MoveCurrent(context.Background(), s.arn, current.id, v.id)
}

func (w *world) putWith(s *secretModel, token secret.Text) {
	p := &process{world: w, inv: &invocation{secret: s, version: &versionModel{}, deadline: time.Now().Add(time.Minute)}}
	_ = (&storeModel{p}).Put(context.Background(), rotation.Put{
		SecretARN: s.arn, VersionID: "v", Value: secret.NewText(valueOf(1, s.atStart...)), RotationToken: token,
	})
}

func wantViolation(t *testing.T, w *world, text string) {
	t.Helper()
	if !slices.ContainsFunc(w.violations, func(v string) bool { return strings.Contains(v, text) }) {
		t.Errorf("violations %q, want one with %q", w.violations, text)
	}
}
