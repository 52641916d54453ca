package simulation

import (
	"context"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// TestInvariantsNotice makes by hand what no broken variant comes to, and next to
// it what is allowed.
func TestInvariantsNotice(t *testing.T) {
	lost := func(w *World, kind rotation.Kind) *secretModel {
		s := w.secrets[0]
		w.panther.find(s.currentToken()).to = time.Now()
		w.lostAnswer = true
		w.failures = []toldFailure{{s, kind}}
		return s
	}
	for name, tc := range map[string]struct {
		scenario  Scenario
		happens   func(w *World)
		violation string // "" if it is allowed
	}{
		"another key of the value changed": {
			happens:   func(w *World) { w.checkRest(strings.Replace(*valueOf("t"), "1.0e0", "1", 1)) },
			violation: "more than the token changed",
		},
		"the token changed": {
			happens: func(w *World) { w.checkRest(*valueOf("t")) },
		},
		"AWSCURRENT is dead, and no step failed": {
			happens:   func(w *World) { w.checkTold() },
			violation: "nobody was told",
		},
		"AWSCURRENT is dead, and the process crashed": {
			happens: func(w *World) { w.crashed = true; w.checkTold() },
		},
		"a dead token, although no answer was lost": {
			happens:   func(w *World) { lost(w, rotation.TokenLost); w.lostAnswer = false; w.checkLiving() },
			violation: "although no answer was lost",
		},
		"a lost token, of which another failure was told last": {
			happens:   func(w *World) { lost(w, rotation.StoreUnavailable); w.checkLiving() },
			violation: "nobody was told what to do",
		},
		"a lost token, of which was told": {
			happens: func(w *World) { lost(w, rotation.TokenLost); w.checkLiving() },
		},
		"a lost token beside a newer one that lives": {
			happens: func(w *World) {
				s := lost(w, rotation.TokenLost)
				s.versions = append(s.versions, &versionModel{id: "newer", created: time.Now(), value: valueOf(w.panther.living())})
				w.checkLiving()
			},
			violation: "version newer",
		},
		"a dead token beside those that are out of reach": {
			scenario: Scenario{State: OutOfReach},
			happens: func(w *World) {
				w.failures = []toldFailure{{w.secrets[0], rotation.TokenRefused}}
				w.checkLiving()
			},
		},
		"a process died with a token that is not sealed": {
			scenario: Scenario{Sealed: true},
			happens: func(w *World) {
				w.reached = []reachedToken{{"t", w.secrets[0], &process{dead: true}}}
				w.checkStored()
			},
			violation: "neither in the secret nor sealed",
		},
		"a process died with a token that is sealed": {
			scenario: Scenario{Sealed: true},
			happens: func(w *World) {
				w.sealed = []sealedValue{{w.secrets[0].arn, *valueOf("t")}}
				w.reached = []reachedToken{{"t", w.secrets[0], &process{dead: true}}}
				w.checkStored()
			},
		},
		"storing is given up early": {
			happens:   func(w *World) { w.checkKeepsTrying(rotation.NotStored, time.Now().Add(time.Minute)) },
			violation: "1m0s before Lambda's deadline",
		},
		"storing is given up when time is": {
			happens: func(w *World) { w.checkKeepsTrying(rotation.NotStored, time.Now().Add(3*time.Second)) },
		},
		"a write without the RotationToken": {
			happens: func(w *World) {
				p := &process{world: w, inv: &invocation{version: &versionModel{}, deadline: time.Now().Add(time.Minute)}}
				_ = (&storeModel{p}).Put(context.Background(), rotation.Put{SecretARN: w.secrets[0].arn, VersionID: "v", Value: secret.NewText(*valueOf("t"))})
			},
			violation: "without the event's RotationToken",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t)(func() {
				w := newWorld(tc.scenario, nil, Variant{})
				tc.happens(w)
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
