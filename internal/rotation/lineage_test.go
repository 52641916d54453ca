package rotation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
)

// form is a secret with one token, or with two in turn.
type form struct {
	name  string
	value func(active int, note string) string
}

// forms are the values that the sequences below run with. Token 2 is the
// standby at the start, token 1 is active, and 3 is the next to be issued.
var forms = []form{
	{"one token", func(active int, note string) string { return single(active, note) }},
	{"two tokens", func(active int, note string) string { return pair(active, 2, note) }},
}

// inEachForm runs a test with a secret of each form and a Panther that issues
// tokens.
func inEachForm(t *testing.T, test func(t *testing.T, a *account, f form)) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				delete(a.versions, "new")
				a.issued, a.living[token(2)] = 3, true
				a.versions["old"].value = f.value(1, "first")
				test(t, a, f)
			})
		})
	}
}

func later() { time.Sleep(24 * time.Hour) }

// TestAStaleSaveIsHealed is about a person who reads the value, lets a rotation
// pass and then saves the value with another key changed. AWSCURRENT then holds
// a token that was replaced. One rotation heals it and keeps the edit.
func TestAStaleSaveIsHealed(t *testing.T) {
	for name, sequence := range map[string]func(a *account, f form){
		"before a rotation": func(a *account, f form) {
			a.put("edit", f.value(1, "edited"))
		},
		"after a rotation": func(a *account, f form) {
			a.mustRotate("v1")
			later()
			a.put("edit", f.value(1, "edited"))
		},
		"between createSecret and testSecret": func(a *account, f form) {
			a.begin("v1")
			a.mustRun(rotation.CreateSecret)
			a.put("edit", f.value(1, "edited"))
		},
		"two of them": func(a *account, f form) {
			a.mustRotate("v1")
			later()
			a.put("edit 1", f.value(1, "once"))
			later()
			a.put("edit", f.value(1, "edited"))
		},
		"after three rotations": func(a *account, f form) {
			for _, id := range []string{"v1", "v2", "v3"} {
				a.mustRotate(id)
				later()
			}
			a.put("edit", f.value(1, "edited"))
		},
		"a rotation, a save, a rotation, the same save": func(a *account, f form) {
			a.mustRotate("v1")
			later()
			a.put("edit 1", f.value(1, "once"))
			later()
			a.mustRotate("v2")
			later()
			a.put("edit", f.value(1, "edited"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEachForm(t, func(t *testing.T, a *account, f form) {
				sequence(a, f)
				later()
				// With two tokens the standby of a stale value may live on, and then
				// replaces the active one in an ordinary rotation.
				a.mustRotate("heals")
				a.mustLive()
				if value := a.versions[a.labelled(rotation.LabelCurrent)].value; !strings.Contains(value, `"note": "edited"`) {
					t.Errorf("the edit was undone: %s", value)
				}
			})
		})
	}
}

// TestALateCreateSecretIsFound is a createSecret that Secrets Manager gave up
// on, and that stores its token only after a second one ran.
func TestALateCreateSecretIsFound(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		a.begin("v1")
		a.failing("Put v1 AWSPENDING", errDown)
		a.mustFail(rotation.CreateSecret, rotation.NotStored)
		a.fail = nil
		late := a.rotator
		a.restart() // another process runs the retry
		failure := a.run(rotation.CreateSecret)
		if failure == nil {
			t.Fatal("it went on with a token that is dead")
		}
		other := a.rotator
		a.rotator = late
		if failure := a.run(rotation.SetSecret); failure != nil {
			t.Fatal(failure)
		}
		a.rotator = other
		later()
		a.mustRotate("v2")
		a.mustLive()
	})
}

// TestADescendantOfAReplacedCredentialStaysAway is a token that descends from a
// credential which an operator replaced. It is stored late, so the version is
// newer than the operator's. It must not come back when theirs dies.
func TestADescendantOfAReplacedCredentialStaysAway(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		a.begin("v1")
		a.failing("Put v1 AWSPENDING", errDown)
		a.mustFail(rotation.CreateSecret, rotation.NotStored)
		descendant := 3
		a.fail = nil

		a.living[token(7)], a.living[token(8)] = true, true
		fresh := single(7, "fresh")
		if f.name == "two tokens" {
			fresh = pair(7, 8, "fresh")
		}
		a.put("operator", fresh)
		later()
		a.begin("v2")
		a.mustRun(rotation.SetSecret) // stores what is held
		successor := a.labelled(rotation.LabelSuccessor)
		if successor == "" || !strings.Contains(a.versions[successor].value, token(descendant)) {
			t.Fatal("the held token was not stored")
		}
		later()
		a.living[token(7)], a.living[token(8)] = false, false
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused)
		if a.versions["v2"].value != "" {
			t.Errorf("a token of a credential that was replaced came back: %s", a.versions["v2"].value)
		}
	})
}

// TestTheVersionThatASuccessorNamesDecides is the same where a purge took that
// version away: then nothing shows the age of the token.
func TestTheVersionThatASuccessorNamesDecides(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued = 3
		a.failing("Put new AWSPENDING", errDown)
		a.mustFail(rotation.CreateSecret, rotation.NotStored)
		a.fail = nil
		a.unlabel("new", rotation.LabelPending)
		a.mustRun(rotation.SetSecret)
		a.versions["current"] = a.versions["old"]
		delete(a.versions, "old")
		later()
		a.begin("v1")
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused)
	})
}

func TestAVersionThatCannotBeReadHoldsUpNothing(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.living = map[string]bool{token(2): true}
		a.add("broken", token(4))
		a.add("living", token(2))
		a.failing("Read broken", errDown)
		a.answers = []any{refused}
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 2)
	})
	inAccount(t, func(t *testing.T, a *account) { // perhaps that one has it
		a.living = map[string]bool{}
		a.add("broken", token(2))
		a.failing("Read broken", errDown)
		a.issued = 3
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused, "could not be checked")
	})
}

// TestACandidateIsGivenTime is a candidate that is young, or of which Panther
// does not say whether it works. It must not be taken for dead.
func TestACandidateIsGivenTime(t *testing.T) {
	for name, check := range map[string]error{"too young": refused, "no clear answer": unclear} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.issued = 3
				a.living = map[string]bool{token(2): true}
				a.add("living", token(2))
				a.checks = []error{check}
				a.mustRun(rotation.CreateSecret)
				a.mustHold("new", 2)
			})
		})
	}
}

// TestAnOperatorsYoungTokenIsWaitedFor is an operator who puts a new token after
// NotStored and rotates at once. The token is refused for being too new. The
// one that the process holds descends from the credential that was replaced.
func TestAnOperatorsYoungTokenIsWaitedFor(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		later()
		a.begin("v1")
		a.failing("Put v1 AWSPENDING", errDown)
		a.mustFail(rotation.CreateSecret, rotation.NotStored)
		a.fail = nil
		fresh := single(7, "fresh")
		if f.name == "two tokens" {
			fresh = pair(8, 7, "fresh")
			a.living[token(8)] = true
		}
		a.put("operator", fresh)
		a.after(40*time.Second, func() { a.living[token(7)] = true })
		a.mustRotate("v2")
		a.mustLive()
		if value := a.versions["v2"].value; strings.Contains(value, token(3)) {
			t.Errorf("the older credential came back: %s", value)
		}
	})
}

// TestADateInTheFutureIsNotYoung holds where clocks differ: otherwise a wrong
// token is never told.
func TestADateInTheFutureIsNotYoung(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		for _, v := range a.versions {
			v.created = time.Now().Add(time.Hour)
		}
		a.living = map[string]bool{}
		a.issued = 3
		started := time.Now()
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused)
		if took := time.Since(started); took > 30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestAStaleSaveDoesNotMakeATokenYoung is a dead token in a version of now.
func TestAStaleSaveDoesNotMakeATokenYoung(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.put("edit", token(1)+"\n")
		a.living = map[string]bool{}
		a.begin("v1")
		a.issued = 3
		started := time.Now()
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused)
		if took := time.Since(started); took > 30*time.Second {
			t.Errorf("it took %v, as for a young token", took)
		}
	})
}

func TestThePagesOfManyVersionsAreNoHindrance(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued = 3
		for i := range 40 {
			a.versions[fmt.Sprint("older ", i)] = &version{value: token(5), created: a.versions["old"].created.Add(-time.Hour)}
		}
		a.living = map[string]bool{token(5): true, token(2): true}
		a.add("living", token(2))
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 2)
	})
}

// TestADeadTokenIsReportedSoonAfterItsYouth: the pauses must not reach beyond
// the time that a young token may need.
func TestADeadTokenIsReportedSoonAfterItsYouth(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		for _, v := range a.versions {
			v.created = time.Now()
		}
		a.living = map[string]bool{}
		a.issued = 3
		started := time.Now()
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused)
		// The search for a younger token takes some five seconds more.
		if took := time.Since(started) - propagationTimeout; took < 0 || took > 6*time.Second {
			t.Errorf("it took %v longer than PropagationTimeout", took)
		}
	})
}
