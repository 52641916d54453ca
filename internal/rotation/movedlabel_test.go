package rotation_test

import (
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
)

// TestALabelThatMovesBackWhileCreateSecretWaits makes the active token of what
// was read the standby of what is current, and the other way round.
func TestALabelThatMovesBackWhileCreateSecretWaits(t *testing.T) {
	for name, wait := range map[string]func(a *account){
		"for a replica": func(a *account) {
			a.replicas = []rotation.Replica{{Region: "us-east-1", Status: "InProgress"}}
		},
		"for the proof that writing works": func(a *account) {
			until := time.Now().Add(10 * time.Second)
			a.fail = func(call string) error {
				if strings.HasPrefix(call, "Put new ") && time.Now().Before(until) {
					return errDown
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(t *testing.T, a *account) {
				a.mustRotate("new")
				later()
				a.begin("v2")
				wait(a)
				a.after(8*time.Second, func() { a.moveCurrent("old"); a.replicas = nil })
				_ = a.run(rotation.CreateSecret)
				a.mustLive() // and no call with the token that readers use: see Rotate
			})
		})
	}
}

// TestTheTestWriteMakesNoDeletedVersionAgain: with the labels of what was read,
// the write would take AWSCURRENT off the operator's value.
func TestTheTestWriteMakesNoDeletedVersionAgain(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{throttled}
		a.onRotate = func() {
			a.put("theirs", token(7))
			delete(a.versions, "old")
			a.move(rotation.LabelPending, "new")
		}
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "AWSCURRENT moved")
		if id := a.labelled(rotation.LabelCurrent); id != "theirs" {
			t.Errorf("AWSCURRENT is on %s", id)
		}
	})
	inPair(t, func(t *testing.T, a *account) {
		a.replicas = []rotation.Replica{{Region: "us-east-1", Status: "InProgress"}}
		a.after(8*time.Second, func() {
			a.put("theirs", pair(7, 8, "theirs"))
			delete(a.versions, "old")
			a.move(rotation.LabelPending, "new")
			a.replicas = nil
		})
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "AWSCURRENT moved")
		if id := a.labelled(rotation.LabelCurrent); id != "theirs" {
			t.Errorf("AWSCURRENT is on %s", id)
		}
	})
}

// TestNoTokenGoesIntoAVersionOlderThanAWSCURRENT: it would seem older than the
// token that it replaced, and no rotation would adopt it.
func TestNoTokenGoesIntoAVersionOlderThanAWSCURRENT(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		later()
		a.living[token(7)] = true
		a.add("staged", token(7), "STAGED")
		a.moveCurrent("staged")
		later()
		a.issued = 8
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "nothing was rotated", "AWSPENDING was removed")
		a.mustRotate("v2")
		a.mustHold("v2", 8)
		a.mustLive()
	})
}

// TestWhichVersionsAreNotOlderThanAWSCURRENT rotates though AWSCURRENT was moved.
func TestWhichVersionsAreNotOlderThanAWSCURRENT(t *testing.T) {
	for name, change := range map[string]func(a *account){
		"AWSCURRENT is a successor version":          func(a *account) { a.moveCurrent(a.addSuccessor("old", "x", token(1))) },
		"Secrets Manager does not list empty values": func(a *account) { a.unlisted = "new" },
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.issued = 3
				change(a)
				a.mustRun(rotation.CreateSecret)
				a.mustHold("new", 3)
			})
		})
	}
}

func TestAnOlderVersionThatKeepsItsLabelIsReported(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.add("staged", token(1), "STAGED")
		a.moveCurrent("staged")
		a.failing("DropPending", errDown)
		a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, "AWSPENDING cannot be removed")
	})
}

// TestNothingIsWrittenWhereAWSCURRENTCannotBeRead, or moved meanwhile.
func TestNothingIsWrittenWhereAWSCURRENTCannotBeRead(t *testing.T) {
	for name, change := range map[string]func(a *account){
		"it cannot be read": func(a *account) { a.failing("ReadCurrent", errDown) },
		"it moved":          func(a *account) { a.then = func(call string) { a.moveCurrent("other"); a.unlisted = "other" } },
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.add("other", token(7))
				a.beginAnew()
				change(a)
				if failure := a.run(rotation.CreateSecret); failure == nil || a.count("Put") > 0 {
					t.Errorf("%v, after %v", failure, a.calls)
				}
			})
		})
	}
}
