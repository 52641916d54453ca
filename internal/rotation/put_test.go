package rotation_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// TestAValuePutDuringCreateSecretStays is a person who stores a value while
// Panther answers. Theirs stays AWSCURRENT; the new token is kept next to it.
func TestAValuePutDuringCreateSecretStays(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		a.begin("v1")
		a.living[token(7)], a.living[token(8)] = true, true
		theirs := single(7, "theirs")
		if f.name == "two tokens" {
			theirs = pair(7, 8, "theirs")
		}
		a.onRotate = func() { a.onRotate = nil; a.put("theirs", theirs) }
		a.mustFail(rotation.CreateSecret, rotation.Abandoned)

		successor := a.labelled(rotation.LabelSuccessor)
		if successor == "" || !strings.Contains(a.versions[successor].value, token(3)) {
			t.Error("the new token is not in a successor version")
		}
		if slices.Contains(a.versions["v1"].labels, rotation.LabelPending) {
			t.Error("AWSPENDING is still there, so Secrets Manager would go on with the version")
		}
		a.mustHaveValue(a.labelled(rotation.LabelCurrent), theirs)
		later()
		a.mustRotate("v2")
		a.mustLive()
		if strings.Contains(a.versions["v2"].value, token(3)) {
			t.Error("the next rotation took the older credential")
		}
	})
}

// TestAStaleSaveDuringCreateSecretPages is the same with the value as it was:
// AWSCURRENT then holds the token that just died.
func TestAStaleSaveDuringCreateSecretPages(t *testing.T) {
	for _, put := range []string{"while Panther answers", "before the write", "before the look"} {
		t.Run(put, func(t *testing.T) {
			inEachForm(t, func(t *testing.T, a *account, f form) {
				a.begin("v1")
				save := func() { a.put("edit", f.value(1, "edited")) }
				switch put {
				case "while Panther answers":
					a.onRotate = func() { a.onRotate = nil; save() }
				case "before the write":
					a.fail = once(a, "Put v1 AWSPENDING", save)
				case "before the look":
					a.then = func(call string) {
						if call == "Put v1 AWSPENDING" {
							a.then = nil
							save()
						}
					}
				}
				kind := rotation.StaleSave
				if f.name == "two tokens" { // readers have the active token, which lives
					kind = rotation.Abandoned
				}
				a.mustFail(rotation.CreateSecret, kind)
				a.mustRotate("v2")
				a.mustLive()
				if !strings.Contains(a.versions["v2"].value, `"note": "edited"`) {
					t.Errorf("the edit was undone: %s", a.versions["v2"].value)
				}
			})
		})
	}
}

// once runs change before the first call of that name.
func once(a *account, call string, change func()) func(string) error {
	done := false
	return func(c string) error {
		if c == call && !done {
			done = true
			change()
		}
		return nil
	}
}

// TestALabelMovedBackIsNoPut is a rollback during createSecret: the rotation
// goes on and heals it.
func TestALabelMovedBackIsNoPut(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		a.mustRotate("v1")
		later()
		a.begin("v2")
		a.onRotate = func() { a.onRotate = nil; a.moveCurrent("old") }
		a.mustRun(rotation.CreateSecret)
		a.mustRun(rotation.TestSecret)
		a.mustRun(rotation.FinishSecret)
		a.mustLive()
	})
}

// TestTheirsMayHoldOurToken is a person who put the new token by hand, with
// another key changed: it is stored, and their edit stays.
func TestTheirsMayHoldOurToken(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		a.begin("v1")
		a.then = func(call string) {
			if call == "Put v1 AWSPENDING" {
				a.then = nil
				a.put("theirs", strings.Replace(a.versions["v1"].value, "first", "edited", 1))
			}
		}
		a.mustFail(rotation.CreateSecret, rotation.Abandoned)
		if a.labelled(rotation.LabelSuccessor) != "" || a.labelled(rotation.LabelCurrent) != "theirs" {
			t.Error("the token was stored once more, or AWSCURRENT moved")
		}
		a.mustLive()
	})
}

// TestALookThatStaysUnclearFailsTheStep is a retry after the look at the labels
// failed. A person put a value meanwhile: the rotation must not go on.
func TestALookThatStaysUnclearFailsTheStep(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		a.living[token(7)], a.living[token(8)] = true, true
		theirs := single(7, "theirs")
		if f.name == "two tokens" {
			theirs = pair(7, 8, "theirs")
		}
		a.begin("v1")
		a.onRotate = func() { a.onRotate = nil; a.put("theirs", theirs) }
		a.fail = func(call string) error {
			if call == "Describe" && a.count("Put v1 AWSPENDING") > 0 {
				return errDown
			}
			return nil
		}
		a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, "verify")
		a.fail = nil
		a.mustFail(rotation.CreateSecret, rotation.Abandoned)
		if a.labelled(rotation.LabelCurrent) != "theirs" || a.labelled(rotation.LabelPending) != "" {
			t.Error("the rotation went on over the value that a person put")
		}
	})
}

// TestAVersionThatLostItsLabelGetsNoToken is a rotation that a person cancelled
// while Panther answered, and whose label they removed.
func TestAVersionThatLostItsLabelGetsNoToken(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued = 3
		a.fail = func(call string) error {
			if call == "Put new AWSPENDING" {
				a.unlabel("new", rotation.LabelPending)
				return rotation.ErrVersionTaken
			}
			return nil
		}
		a.mustFail(rotation.CreateSecret, rotation.NotRotating)
		a.fail = nil
		a.mustHold(a.labelled(rotation.LabelSuccessor), 3)
		later()
		a.mustRotate("v1")
		a.mustHold("v1", 3)
	})
}

func TestACopyOfAWSCURRENTIsNoRotation(t *testing.T) {
	for name, value := range map[string]string{"the same value": token(1), "other white space": token(1) + "\n", "another form": single(1, "x")} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.versions["new"].value = value
				a.mustFail(rotation.CreateSecret, rotation.NotRotating, "copy", "--version-stage AWSPENDING --remove-from-version-id new")
				if a.labelled(rotation.LabelCurrent) != "old" {
					t.Error("AWSCURRENT moved")
				}
			})
		})
	}
	inAccount(t, func(t *testing.T, a *account) { // the standby may well be the same
		a.versions["old"].value = pair(1, 2, "x")
		a.versions["new"].value = pair(3, 1, "x")
		a.mustRun(rotation.CreateSecret)
	})
}

// TestABinaryPendingValueIsUnusable is an operator's own AWSPENDING version.
func TestABinaryPendingValueIsUnusable(t *testing.T) {
	for _, step := range []rotation.Step{rotation.CreateSecret, rotation.TestSecret, rotation.FinishSecret} {
		inAccount(t, func(t *testing.T, a *account) {
			a.failing("Read new", secret.ErrBinary)
			a.mustFail(step, rotation.SecretUnusable, "SecretBinary", "Do not remove AWSPENDING")
		})
	}
}

// TestAFullSecretIsNotRotated is about Secrets Manager's quotas: a new version,
// or a label, would be refused after Panther rotated.
func TestAFullSecretIsNotRotated(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(a *account)
		fails  bool
	}{
		"99 versions of today": {func(a *account) { a.fill(97, time.Now()) }, true},
		"98 versions of today": {func(a *account) { a.fill(96, time.Now()) }, false},
		"older versions":       {func(a *account) { a.fill(150, time.Now().Add(-25*time.Hour)) }, false},
		"19 labels": {func(a *account) {
			a.versions["old"].labels = append(a.versions["old"].labels, strings.Split(strings.Repeat("L", 17), "")...)
			for i := range 17 {
				a.versions["old"].labels[1+i] += string(rune('a' + i))
			}
		}, true},
		"18 labels": {func(a *account) {
			a.versions["old"].labels = append(a.versions["old"].labels, strings.Split(strings.Repeat("L", 16), "")...)
			for i := range 16 {
				a.versions["old"].labels[1+i] += string(rune('a' + i))
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.versions["old"].created = time.Now().Add(-time.Hour)
				tc.change(a)
				a.issued = 3
				if !tc.fails {
					a.mustRun(rotation.CreateSecret)
					return
				}
				a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, "no room")
				if a.count("Rotate") > 0 {
					t.Error("the token was rotated")
				}
			})
		})
	}
}

func (a *account) fill(n int, created time.Time) {
	for i := range n {
		a.versions[strings.Repeat("f", i+1)] = &version{value: token(5), created: created}
	}
}

// TestStoringIsProvedBeforeEachCall is a write that is denied while the
// function waits as Panther asked it to.
func TestStoringIsProvedBeforeEachCall(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{answer(rotation.Throttled, 150*time.Second), token(2)}
		a.fail = func(call string) error {
			if strings.HasPrefix(call, "Put") && a.count("Rotate") > 0 {
				return errDown
			}
			return nil
		}
		a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, "test write")
		if a.count("Rotate") != 1 {
			t.Error("the token was rotated without proof that storing works")
		}
	})
}

// TestATokenThatAnOperatorReplacedIsNotRotated is an operator who puts a token
// while the function waits for Panther.
func TestATokenThatAnOperatorReplacedIsNotRotated(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{throttled, token(2)}
		a.onRotate = func() { a.onRotate = nil; a.put("theirs", token(3)) }
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "AWSCURRENT moved")
	})
}

// TestTenSecondsOfStoreErrorsFailNoStep is an outage of Secrets Manager in
// front of each step.
func TestTenSecondsOfStoreErrorsFailNoStep(t *testing.T) {
	for _, step := range []rotation.Step{rotation.CreateSecret, rotation.TestSecret, rotation.FinishSecret} {
		for name, err := range map[string]error{"errors": errDown, "hangs": context.DeadlineExceeded} {
			t.Run(string(step)+" "+name, func(t *testing.T) {
				inAccount(t, func(t *testing.T, a *account) {
					a.issued = 3
					if step != rotation.CreateSecret {
						a.mustRun(rotation.CreateSecret)
					}
					until := time.Now().Add(10 * time.Second)
					a.fail = func(string) error {
						if time.Now().Before(until) {
							return err
						}
						return nil
					}
					a.mustRun(step)
				})
			})
		}
	}
}

func TestFinishSecretLeavesAnEmptyVersionAlone(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.mustFail(rotation.FinishSecret, rotation.NotRotating, "no value")
		if a.labelled(rotation.LabelCurrent) != "old" {
			t.Error("AWSCURRENT moved to an empty version")
		}
	})
}

// TestAValuePutBeforeTheListStays is a person who stores a value between the
// first look and the list, where the read of AWSCURRENT lags behind.
func TestAValuePutBeforeTheListStays(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		a.begin("v1")
		a.living[token(7)], a.living[token(8)] = true, true
		theirs := single(7, "theirs")
		if f.name == "two tokens" {
			theirs = pair(7, 8, "theirs")
		}
		a.fail = func(call string) error {
			switch call {
			case "Read v1":
				a.put("theirs", theirs)
			case "ReadCurrent":
				a.moveCurrent("old")
			case "Put old AWSCURRENT":
				a.moveCurrent("theirs")
			}
			return nil
		}
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "AWSCURRENT moved")
		if a.count("Rotate") > 0 {
			t.Error("the token of the replaced value was rotated")
		}
	})
}

// TestAValuePutAfterTheListIsNotRotated is the same a moment later.
func TestAValuePutAfterTheListIsNotRotated(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued, a.living[token(7)] = 3, true
		a.fail = once(a, "ReadCurrent", func() { a.put("theirs", token(7)) })
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "AWSCURRENT moved")
		if a.count("Rotate") > 0 {
			t.Error("the token was rotated")
		}
	})
}

// TestALabelMovedToAVersionWithoutLabelsIsNoPut: the list knows that version.
func TestALabelMovedToAVersionWithoutLabelsIsNoPut(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.add("aside", token(5))
		a.issued = 3
		a.onRotate = func() { a.onRotate = nil; a.moveCurrent("aside") }
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 3)
	})
}

// TestAValuePutDuringASecondCreateSecretStays is a createSecret next to this one
// that fills the version after a person put a value, and ends before it looks.
func TestAValuePutDuringASecondCreateSecretStays(t *testing.T) {
	for name, tc := range map[string]struct {
		answer error
		kind   rotation.Kind
	}{
		"not sent":           {notSent, rotation.Abandoned},
		"its answer is lost": {unclear, rotation.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.living[token(7)] = true
				a.answers = []any{tc.answer}
				a.onRotate = func() {
					a.put("theirs", token(7))
					a.versions["new"].value = token(3)
					a.move(rotation.LabelPending, "new")
				}
				a.mustFail(rotation.CreateSecret, tc.kind, "another value was put")
				if a.labelled(rotation.LabelPending) != "" {
					t.Error("the rotation goes on over the value that a person put")
				}
			})
		})
	}
}
