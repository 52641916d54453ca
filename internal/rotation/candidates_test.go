package rotation_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// addSuccessor adds a successor version that names the version whose token was
// replaced and the one that the new token was made for.
func (a *account) addSuccessor(replaced, madeFor, value string) string {
	hash := func(id string) string {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:8])
	}
	id := "panther-successor-" + hash(replaced) + "-" + hash(madeFor) + "-00000000"
	a.add(id, value, rotation.LabelSuccessor)
	return id
}

// refuses is an AWSCURRENT whose token Panther refuses, a day later.
func (a *account) refuses(living ...int) {
	later()
	a.issued, a.living = 9, map[string]bool{}
	for _, n := range living {
		a.living[token(n)] = true
	}
}

func TestASearchGoesOnWhereTheVersionsCannotBeListed(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.add("living", token(2))
		a.refuses(2)
		a.fail = func(call string) error {
			if call == "Versions" && a.count("Rotate") == 1 {
				return errDown
			}
			return nil
		}
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 2)
		a.mustLog(rotation.EventSuccessorFound)
		if a.count("Check") != 1 {
			t.Errorf("Panther was asked %d times, want only of the candidate", a.count("Check"))
		}
	})
}

func TestVersionsThatCannotBeListedFailBeforeTheRotation(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued = 3
		a.failing("Versions", errDown)
		a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, "cannot list")
		if a.count("Rotate") > 0 {
			t.Error("the token was rotated")
		}
	})
}

// TestTheAgeOfAnUnreadableAWSCURRENTIsThatOfItsVersion keeps older credentials
// away where no version that can be read holds the refused token.
func TestTheAgeOfAnUnreadableAWSCURRENTIsThatOfItsVersion(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.add("older", token(5))
		a.versions["older"].created = a.versions["old"].created.Add(-time.Hour)
		a.refuses(5)
		a.failing("Read old", errDown)
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused)
		a.mustLog(rotation.EventReadFailed, `"successor":"old"`)
	})
	inAccount(t, func(t *testing.T, a *account) { // the same in testSecret
		a.versions["new"].value = token(2)
		a.add("older", token(5))
		a.versions["older"].created = a.versions["old"].created.Add(-time.Hour)
		a.refuses(5)
		a.failing("Read old", errDown)
		a.mustFail(rotation.TestSecret, rotation.NotYetWorking)
		if a.labelled(rotation.LabelPending) != "new" {
			t.Error("AWSPENDING was removed")
		}
	})
}

// TestASecondCreateSecretIsAwaited is one next to this one, which stores its
// token while this one finds the old one refused.
func TestASecondCreateSecretIsAwaited(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.add("candidate", token(2))
		a.refuses(2)
		a.after(3*time.Second, func() { a.versions["new"].value = token(3) })
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 3)
		a.mustLog(rotation.EventNothingToDo, "has its token already")
		if a.count("Put") > 1 { // the proof that writing works
			t.Errorf("it wrote %v", a.calls)
		}
		if a.count("Check") > 0 || a.count("Read new") > 10 {
			t.Errorf("it asked Panther %d times and read the version %d times", a.count("Check"), a.count("Read new"))
		}
	})
}

func TestHowLongASearchWaits(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.refuses()
		started := time.Now()
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused, "no version holds one")
		if took := time.Since(started); took < 5*time.Second || took > 5400*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// TestWhatIsCertainOfOthers is a version that is no candidate for certain, or
// not for certain.
func TestWhatIsCertainOfOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		check error
		says  string
	}{
		"a binary value":             {err: secret.ErrBinary, says: "no version holds one"},
		"no value":                   {err: rotation.ErrNoValue, says: "no version holds one"},
		"it cannot be read":          {err: errDown, says: "could not be checked"},
		"it is dead":                 {check: refused, says: "no version holds one"},
		"no clear answer of Panther": {check: unclear, says: "could not be checked"},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.add("other", token(2))
				a.refuses()
				if tc.err != nil {
					a.failing("Read other", tc.err)
				} else {
					a.checks = slices.Repeat([]error{tc.check}, 100)
				}
				a.mustFail(rotation.CreateSecret, rotation.TokenRefused, tc.says)
			})
		})
	}
}

func TestADeadTokenInTwoVersionsIsAskedOnce(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.add("one", token(2))
		a.add("two", token(2))
		a.refuses()
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused)
		if a.count("Check") != 1 {
			t.Errorf("Panther was asked %d times", a.count("Check"))
		}
	})
}

// TestWhichTokensAreYounger is the age of tokens, as the versions tell it.
func TestWhichTokensAreYounger(t *testing.T) {
	for name, tc := range map[string]struct {
		versions func(a *account)
		living   int
		found    bool
	}{
		"each successor has its own age": {func(a *account) {
			a.add("older", token(7))
			a.versions["older"].created = a.versions["old"].created.Add(-time.Hour)
			a.addSuccessor("older", "x", token(6))
			a.addSuccessor("old", "y", token(2))
		}, 2, true},
		"a successor without a token": {func(a *account) {
			a.addSuccessor("older", "x", "{}")
			a.add("other", token(2))
		}, 2, true},
		"the later one of two calls": {func(a *account) {
			a.add("v1", token(3))
			a.moveCurrent("v1")
			a.addSuccessor("old", "v1", token(2))
		}, 2, true},
		"not the one that its version has": {func(a *account) {
			a.add("mid", token(7))
			a.add("v1", token(2))
			a.addSuccessor("old", "v1", token(2))
			a.moveCurrent("mid")
		}, 2, false},
		"not one of an unknown call, and AWSCURRENT is its successor": {func(a *account) {
			a.add("other", token(5))
			a.add("cur", token(2))
			a.addSuccessor("gone", "x", token(2))
			a.moveCurrent("cur")
		}, 5, false},
		"not one of the same age": {func(a *account) {
			a.versions["old"].value = pair(1, 6, "x")
			a.add("single", single(1, "x"))
			a.moveCurrent("single")
		}, 6, false},
		"in a rotation next to this one": {func(a *account) { a.add("other", token(2), rotation.LabelPending) }, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				tc.versions(a)
				a.beginAnew()
				a.refuses(tc.living)
				if !tc.found {
					a.mustFail(rotation.CreateSecret, rotation.TokenRefused)
					return
				}
				a.mustRun(rotation.CreateSecret)
				if !a.holdsToken("new", tc.living) {
					t.Errorf("the version holds %s", a.versions["new"].value)
				}
			})
		})
	}
}

func (a *account) holdsToken(id string, n int) bool {
	return slices.ContainsFunc(secret.Tokens(secret.NewText(a.versions[id].value), keys), secret.NewText(token(n)).Equal)
}

// TestTheActiveTokenNeverBecomesBoth is an active token that is younger than the
// refused standby and stands in another version, too.
func TestTheActiveTokenNeverBecomesBoth(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.add("v1", pair(3, 1, "x"))
		a.moveCurrent("v1")
		a.add("other", single(3, "x"))
		a.beginAnew()
		a.refuses(3)
		a.mustFail(rotation.CreateSecret, rotation.StandbyRefused, "the standby token, and")
	})
}

func TestBothTokensDeadIsReported(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.refuses()
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused, "both tokens")
		if a.logged(rotation.EventStandbyRefused) > 0 {
			t.Error("nothing was adopted, so no standby is to be told of")
		}
	})
	inPair(t, func(t *testing.T, a *account) {
		a.add("other", pair(5, 6, "other"))
		a.refuses(5)
		a.mustRun(rotation.CreateSecret)
		a.mustLog(rotation.EventStandbyRefused)
	})
}

// TestNothingIsAdoptedAfterAPut: the version being rotated is older than what
// was put. A token stored in it would count as older, too, and never be found
// when AWSCURRENT needs it.
func TestNothingIsAdoptedAfterAPut(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.refuses(5)
		a.onRotate = func() {
			a.put("theirs", token(7))
			a.add("v2", token(5)) // a rotation of theirs, which was cancelled
		}
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "AWSCURRENT moved")
		later()
		a.onRotate = nil
		a.mustRotate("v3")
		a.mustLive()
	})
}
