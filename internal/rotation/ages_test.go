package rotation_test

import (
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
)

// TestAYoungActiveTokenStaysWithAnAdoptedOne is a value that a person put,
// with a standby that is dead.
func TestAYoungActiveTokenStaysWithAnAdoptedOne(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.mustRotate("new")
		later()
		a.put("theirs", pair(7, 2, "theirs"))
		a.after(40*time.Second, func() { a.living[token(7)] = true })
		_ = a.rotate("v2")
		if id := a.labelled(rotation.LabelCurrent); !a.holdsToken(id, 7) || a.holdsToken(id, 1) {
			t.Errorf("AWSCURRENT holds %s", a.versions[id].value)
		}
	})
}

// TestAnOlderCredentialNeverBecomesTheStandby: a person replaced it.
func TestAnOlderCredentialNeverBecomesTheStandby(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.mustRotate("new")
		later()
		a.put("theirs", pair(7, 2, "theirs"))
		later()
		a.mustRotate("v2")
		if !a.holdsToken("v2", 3) || a.holdsToken("v2", 1) {
			t.Errorf("the version holds %s", a.versions["v2"].value)
		}
		a.mustLog(rotation.EventStandbyRefused)
	})
}

func TestAYoungActiveTokenIsNotReportedAsRefused(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.living = map[string]bool{}
		a.issued = 8
		a.put("theirs", pair(7, 2, "theirs"))
		a.after(40*time.Second, func() { a.living[token(7)] = true })
		a.begin("v1")
		a.mustFail(rotation.CreateSecret, rotation.StandbyRefused)
	})
	inPair(t, func(t *testing.T, a *account) { // it never works
		a.living = map[string]bool{}
		a.issued = 8
		a.put("theirs", pair(7, 2, "theirs"))
		a.begin("v1")
		if failure := a.run(rotation.CreateSecret, 2*time.Minute); failure == nil || failure.Kind != rotation.OutcomeUnknown {
			t.Errorf("it failed with %v", failure)
		}
	})
	inPair(t, func(t *testing.T, a *account) { // it works already
		a.living = map[string]bool{token(7): true}
		a.issued = 8
		a.put("theirs", pair(7, 2, "theirs"))
		a.begin("v1")
		started := time.Now()
		a.mustFail(rotation.CreateSecret, rotation.StandbyRefused)
		if took := time.Since(started); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestATokenOfTheSameAgeDoesNotBecomeTheStandby: only a younger one replaces what
// an operator put.
func TestATokenOfTheSameAgeDoesNotBecomeTheStandby(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.put("both", pair(7, 5, "both"))
		later()
		a.put("theirs", pair(7, 2, "theirs"))
		a.versions["old"].created = a.versions["both"].created.Add(-time.Hour)
		later()
		a.add("other", pair(3, 5, "other"))
		a.living, a.issued = map[string]bool{token(3): true, token(5): true}, 9
		later()
		a.begin("v1")
		a.mustRun(rotation.CreateSecret)
		if !a.holdsToken("v1", 3) || !a.holdsToken("v1", 7) {
			t.Errorf("the version holds %s", a.versions["v1"].value)
		}
	})
}

// TestNoOlderTokenIsAdoptedWhileANewerOneIsUnclear would strand the newer one.
func TestNoOlderTokenIsAdoptedWhileANewerOneIsUnclear(t *testing.T) {
	for name, check := range map[string]error{"no clear answer": unclear, "refused, but young": refused} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.unlabel("new", rotation.LabelPending)
				a.living = map[string]bool{token(7): true, token(8): true}
				a.put("seven", token(7))
				later()
				a.put("eight", token(8))
				if check == unclear {
					later()
				}
				a.put("stale", token(1)+"\n")
				a.begin("v1")
				a.issued = 3
				a.checks = []error{check}
				_ = a.run(rotation.CreateSecret)
				if a.holdsToken("v1", 7) {
					t.Error("an older token was adopted")
				}
			})
		})
	}
}

// TestAVersionThatIsUnreadableOnceStillDatesItsToken: otherwise a stale save
// seems to be the first version that holds an old token.
func TestAVersionThatIsUnreadableOnceStillDatesItsToken(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.unlabel("new", rotation.LabelPending)
		a.put("seven", token(7))
		a.add("stale", token(1)+"\n")
		later()
		a.begin("v1")
		a.issued = 3
		failed := false
		a.fail = func(call string) error {
			if call == "Read old" && !failed {
				failed = true
				return errDown
			}
			return nil
		}
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused, "no version holds one")
	})
}
