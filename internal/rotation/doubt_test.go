package rotation_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
)

// TestAfterALostAnswer is what a rotation says and does when an answer to
// rotateAPIToken was lost, and what came then.
func TestAfterALostAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []any
		checks  []error
		change  func(a *account)
		kind    rotation.Kind // empty: it ends well
	}{
		"one refusal, then it works":       {answers: []any{unclear, token(2)}, checks: []error{refused}},
		"refusals for 20 s, then it works": {answers: []any{unclear, token(2)}, checks: slices.Repeat([]error{refused}, 5)},
		"it worked for a moment, and the next call gets 404": {answers: []any{unclear, misconfigured}, checks: []error{nil},
			change: func(a *account) { a.living[token(1)] = false }, kind: rotation.TokenLost},
		"404 to every call":      {answers: append([]any{unclear}, slices.Repeat([]any{misconfigured}, 100)...), kind: rotation.OutcomeUnknown},
		"no connection any more": {answers: append([]any{unclear}, slices.Repeat([]any{notSent}, 100)...), kind: rotation.OutcomeUnknown},
		"a long Retry-After":     {answers: []any{unclear, answer(rotation.Throttled, time.Hour)}, kind: rotation.OutcomeUnknown},
		"writes are denied": {answers: []any{unclear}, kind: rotation.OutcomeUnknown, change: func(a *account) {
			a.fail = func(call string) error {
				if call == "Put old AWSCURRENT" && a.count("Rotate") > 0 {
					return errDown
				}
				return nil
			}
		}},
		"reads fail": {answers: []any{unclear}, kind: rotation.OutcomeUnknown, change: func(a *account) {
			a.fail = func(string) error {
				if a.count("Rotate") > 0 {
					return errDown
				}
				return nil
			}
		}},
		"a person puts a token": {answers: []any{unclear}, kind: rotation.OutcomeUnknown, change: func(a *account) {
			a.onRotate = func() { a.onRotate = nil; a.put("theirs", token(3)) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.answers, a.checks = tc.answers, tc.checks
				if tc.change != nil {
					tc.change(a)
				}
				if tc.kind == "" {
					a.mustRun(rotation.CreateSecret)
					a.mustHold("new", 2)
					return
				}
				a.mustFail(rotation.CreateSecret, tc.kind)
			})
		})
	}
}

// TestASecondInvocationsYoungTokenIsLeftToTestSecret is a second createSecret
// that stored its token first. Panther refuses a token of now, which reports
// nothing.
func TestASecondInvocationsYoungTokenIsLeftToTestSecret(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{token(2)}
		a.fail = once(a, "Put new AWSPENDING", func() { a.versions["new"].value = token(3) })
		a.mustRun(rotation.CreateSecret)
		a.after(30*time.Second, func() { a.living[token(3)] = true })
		a.mustRun(rotation.TestSecret)
	})
	inAccount(t, func(t *testing.T, a *account) { // it is AWSCURRENT already: nobody would notice
		a.answers = []any{token(2)}
		a.fail = once(a, "Put new AWSPENDING", func() {
			a.versions["new"].value = token(3)
			a.moveCurrent("new")
		})
		a.mustFail(rotation.CreateSecret, rotation.Superseded)
	})
}

func TestOfSeveralFailuresTheLastAnswerIsReported(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued = 3
		a.fail = func(call string) error {
			switch {
			case call != "Put new AWSPENDING":
				return nil
			case a.count(call) < 5:
				return errDown
			}
			return rotation.ErrNoAnswer
		}
		a.mustFail(rotation.CreateSecret, rotation.NotStored, "InternalServiceError")
	})
}

// TestATokenThatWorksAgainRestartsTheDoubt is one refusal between lost answers.
func TestATokenThatWorksAgainRestartsTheDoubt(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{unclear, context.DeadlineExceeded, token(3)}
		a.checks = []error{refused, nil, refused}
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 3)
	})
}

// TestAPutDuringTheCallIsNoLoss: Panther refuses the token because a person
// replaced it.
func TestAPutDuringTheCallIsNoLoss(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers, a.issued = []any{unclear}, 8
		a.onRotate = func() {
			a.onRotate = nil
			a.living[token(1)] = false
			a.add("theirs", token(7))
			a.moveCurrent("theirs")
		}
		a.mustFail(rotation.CreateSecret, rotation.OutcomeUnknown, "AWSCURRENT moved")
	})
	inAccount(t, func(t *testing.T, a *account) {
		a.living, a.issued = map[string]bool{token(7): true}, 8
		a.after(3*time.Second, func() { a.add("theirs", token(7)); a.moveCurrent("theirs") })
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "AWSCURRENT moved")
	})
}

// TestALostAnswerAfterAnotherInvocationFinished: both calls took effect, and the
// one whose answer was lost replaced the token that is AWSCURRENT.
func TestALostAnswerAfterAnotherInvocationFinished(t *testing.T) {
	for name, works := range map[string]bool{"its token works": true, "its token is dead": false} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.answers = []any{unclear}
				a.onRotate = func() {
					a.versions["new"].value = token(3)
					a.moveCurrent("new")
					a.living[token(3)] = works
				}
				if works {
					a.mustRun(rotation.CreateSecret)
					return
				}
				a.mustFail(rotation.CreateSecret, rotation.OutcomeUnknown, "its token does not work")
			})
		})
	}
}

// TestAFinishedVersionThatSaysNothing is never taken for one whose token works.
func TestAFinishedVersionThatSaysNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		value string
		reads int // of AWSCURRENT that succeed
		says  string
	}{
		"it has no token":           {"{}", 100, "its token does not work"},
		"AWSCURRENT cannot be read": {token(3), 2, "cannot read"},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.answers = []any{unclear}
				a.living[token(3)] = true
				a.onRotate = func() {
					a.versions["new"].value = tc.value
					a.moveCurrent("new")
				}
				a.fail = func(call string) error {
					if call == "ReadCurrent" && a.count(call) > tc.reads {
						return errDown
					}
					return nil
				}
				a.mustFail(rotation.CreateSecret, rotation.OutcomeUnknown, tc.says)
			})
		})
	}
}

// TestALostCallThatTakesEffectLate replaces the token of the other invocation
// after both have looked. Where the old token works for a while after a
// rotation, only waiting shows it.
func TestALostCallThatTakesEffectLate(t *testing.T) {
	for name, tc := range map[string]struct {
		oldWorks bool
		checks   []error
		longest  time.Duration
	}{
		"the old token still works":         {true, nil, 33 * time.Second},
		"the first answer is ambiguous":     {true, []error{unclear}, 33 * time.Second},
		"Panther refuses the old token now": {false, nil, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.answers, a.checks = []any{unclear}, tc.checks
				a.onRotate = func() {
					a.versions["new"].value = token(3)
					a.moveCurrent("new")
					a.living[token(1)], a.living[token(3)] = tc.oldWorks, true
				}
				if tc.oldWorks {
					a.after(10*time.Second, func() { a.living[token(3)] = false })
				}
				started := time.Now()
				if tc.oldWorks {
					a.mustFail(rotation.CreateSecret, rotation.OutcomeUnknown, "its token does not work")
				} else {
					a.mustRun(rotation.CreateSecret)
				}
				if took := time.Since(started); took > tc.longest {
					t.Errorf("createSecret took %v, want at most %v", took, tc.longest)
				}
			})
		})
	}
}
