package rotation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

func TestTestSecretWaitsForTheToken(t *testing.T) {
	for _, propagation := range []time.Duration{0, 2 * time.Second, 10 * time.Second, 60 * time.Second, 170 * time.Second} {
		t.Run(propagation.String(), func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.versions["new"].value = token(2)
				started := time.Now()
				a.after(propagation, func() { a.living[token(2)] = true })
				a.mustRun(rotation.TestSecret)
				if took := time.Since(started); took < propagation || took > propagation*115/100+time.Second {
					t.Errorf("it took %v", took)
				}
				if last := a.measured[len(a.measured)-1]; last.Event != rotation.Propagated || last.Duration < propagation-10*time.Millisecond {
					t.Errorf("it was measured as %+v", last)
				}
				if n := a.count("Check"); n > 75 {
					t.Errorf("Panther was asked %d times", n)
				}
			})
		})
	}
}

func TestTestSecretPassesAloneOnACopyOfTheCurrentValue(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["new"].value = token(1)
		a.mustRun(rotation.TestSecret)
	})
}

func TestTestSecretReadsAgainWhereReadsLag(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.living[token(2)] = true
		a.after(3*time.Second, func() { a.versions["new"].value = token(2) })
		a.mustRun(rotation.TestSecret)
	})
	inAccount(t, func(t *testing.T, a *account) {
		a.mustFail(rotation.TestSecret, rotation.NotRotating, "createSecret did not finish")
	})
}

func TestTestSecretReportsWhyATokenDoesNotWork(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(a *account)
		kind    rotation.Kind
		says    string
		pending bool // whether AWSPENDING stays
	}{
		"the current one works": {func(*account) {}, rotation.ReplacedByHand, "--version-stage AWSPENDING --remove-from-version-id new", true},
		"neither works":         {func(a *account) { a.living = map[string]bool{} }, rotation.NotYetWorking, "Do not remove AWSPENDING", true},
		"another version has it": {func(a *account) {
			a.living = map[string]bool{token(3): true}
			a.add("successor", token(3), rotation.LabelSuccessor)
		}, rotation.Superseded, "rotate-secret", false},
		"Panther cannot be reached": {func(a *account) { a.checks = slices.Repeat([]error{notSent}, 1000) }, rotation.NotYetWorking, "network path", true},
		"the address is wrong":      {func(a *account) { a.checks = []error{misconfigured} }, rotation.EndpointMisconfigured, "PANTHER_API_URL", true},
		"the value is of odd form":  {func(a *account) { a.versions["new"].value = "{}" }, rotation.SecretUnusable, "Do not remove AWSPENDING", true},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.versions["new"].value = token(2)
				tc.change(a)
				a.mustFail(rotation.TestSecret, tc.kind, tc.says)
				if slices.Contains(a.versions["new"].labels, rotation.LabelPending) != tc.pending {
					t.Error("AWSPENDING is not where it should be")
				}
			})
		})
	}
}

// TestAFailedTestOfTheScheduleIsNoFailedRotation has the step run alone, on a copy
// of AWSCURRENT. What is to be done in a rotation would be wrong, and lead to one.
func TestAFailedTestOfTheScheduleIsNoFailedRotation(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(a *account)
		kind   rotation.Kind
	}{
		"the token is dead":         {func(a *account) { a.living = map[string]bool{} }, rotation.NotYetWorking},
		"Panther cannot be reached": {func(a *account) { a.checks = slices.Repeat([]error{notSent}, 1000) }, rotation.NotYetWorking},
		"the address is wrong":      {func(a *account) { a.checks = []error{misconfigured} }, rotation.EndpointMisconfigured},
		"the value is of odd form":  {func(a *account) { a.versions["old"].value = "{}" }, rotation.SecretUnusable},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				tc.change(a)
				a.versions["new"].value = a.versions["old"].value
				failure := a.run(rotation.TestSecret)
				a.check(failure, tc.kind, "copy of AWSCURRENT", "Nothing was rotated", "The deployment's test failed")
				for _, wrong := range []string{"AWSPENDING:", "rotate-secret", "put-secret-value"} {
					if strings.Contains(failure.Next, wrong) {
						t.Errorf("it speaks of %s: %s", wrong, failure.Next)
					}
				}
			})
		})
	}
}

func TestTestSecretGivesUpInTime(t *testing.T) {
	for _, timeout := range []time.Duration{3 * time.Second, 10 * time.Second, time.Minute} {
		inAccount(t, func(t *testing.T, a *account) {
			a.versions["new"].value = token(2)
			if failure := a.run(rotation.TestSecret, timeout); failure == nil {
				t.Error("it passed")
			}
			if a.count("Check") == 0 {
				t.Error("it did not ask at all")
			}
		})
	}
}

func TestFinishSecretFollowsALabelThatMoved(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["new"].value = token(2)
		a.add("aside", token(3))
		moved := false
		a.fail = func(call string) error {
			if call == "MoveCurrent" && !moved {
				moved = true
				a.unlabel("old", rotation.LabelCurrent)
				a.versions["aside"].labels = []string{rotation.LabelCurrent}
			}
			return nil
		}
		a.mustRun(rotation.FinishSecret)
		if a.labelled(rotation.LabelCurrent) != "new" {
			t.Error("AWSCURRENT did not move")
		}
	})
}

func TestFinishSecretYieldsToATokenThatWasPut(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["new"].value = token(2)
		a.fail = func(call string) error {
			if call == "MoveCurrent" && a.labelled(rotation.LabelCurrent) == "old" {
				a.replaceByHand()
				a.unlabel("new", rotation.LabelPending)
			}
			return nil
		}
		a.mustFail(rotation.FinishSecret, rotation.NotRotating, "no staging label")
		if a.labelled(rotation.LabelCurrent) != "by-hand" {
			t.Error("AWSCURRENT was taken from the token that a person put")
		}
	})
}

func TestFinishSecretIsDoneWhereTheMoveOnlySeemedToFail(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["new"].value = token(2)
		a.fail = func(call string) error {
			if call == "MoveCurrent" {
				a.unlabel("old", rotation.LabelCurrent)
				a.versions["new"].labels = []string{rotation.LabelPending, rotation.LabelCurrent}
				return errDown
			}
			return nil
		}
		a.mustRun(rotation.FinishSecret)
		a.mustMeasure(rotation.Rotated)
	})
}

func TestFinishSecretWaitsForReplicas(t *testing.T) {
	for name, tc := range map[string]struct {
		status          string
		after           time.Duration // when it is in sync
		atLeast, atMost time.Duration
	}{
		"in sync":    {"InSync", 0, 0, time.Second},
		"failed":     {"Failed", 0, 0, time.Second},
		"in a while": {"InProgress", 10 * time.Second, 10 * time.Second, 20 * time.Second},
		"never":      {"InProgress", time.Hour, 45 * time.Second, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.versions["new"].value = token(2)
				a.replicas = []rotation.Replica{{Region: "us-east-1", Status: tc.status}}
				if tc.after > 0 {
					a.after(tc.after, func() { a.replicas = []rotation.Replica{{Region: "us-east-1", Status: "InSync"}} })
				}
				started := time.Now()
				a.mustRun(rotation.FinishSecret)
				if took := time.Since(started); took < tc.atLeast || took > tc.atMost {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestTestSecretNeedsToReadTheVersion(t *testing.T) {
	for err, kind := range map[error]rotation.Kind{errDown: rotation.StoreUnavailable, secret.ErrBinary: rotation.SecretUnusable} {
		inAccount(t, func(t *testing.T, a *account) {
			a.versions["new"].value = token(2)
			a.failing("Read new", err)
			a.mustFail(rotation.TestSecret, kind)
		})
	}
}

func TestTestSecretDoesNotPassUnasked(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.versions["new"].value = pair(3, 1, "x")
		a.check(a.run(rotation.TestSecret, 2*time.Second), rotation.NotYetWorking, "too little time")
	})
}

func TestThePropagationIsMeasuredSincePanthersAnswer(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued = 3
		a.mustRun(rotation.CreateSecret)
		time.Sleep(20 * time.Second)
		a.mustRun(rotation.TestSecret)
		if last := a.measured[len(a.measured)-1]; last.Event != rotation.Propagated || last.Duration < 20*time.Second {
			t.Errorf("it was measured as %+v", last)
		}
	})
}

func TestAStandbyOfNoClearAnswerIsNotDead(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.versions["new"].value = pair(3, 1, "x")
		a.checks = []error{nil, unclear}
		a.mustRun(rotation.TestSecret)
		if a.wasMeasured(rotation.StandbyDead) {
			t.Error("the standby was told to be dead")
		}
	})
}

// TestTestSecretGivesUp is what it finds out of a token that does not work, and
// what it then says and does.
func TestTestSecretGivesUp(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(a *account)
		kind   rotation.Kind
		says   string
	}{
		"nothing is known of the replaced one": {func(a *account) { a.fail = once(a, "ReadCurrent", func() { a.checks = []error{unclear} }) }, rotation.NotYetWorking, "could not be checked"},
		"the replaced one is dead":             {func(*account) {}, rotation.NotYetWorking, "neither does the one it replaced"},
		"AWSCURRENT cannot be read":            {func(a *account) { a.failing("ReadCurrent", errDown) }, rotation.NotYetWorking, "InternalServiceError"},
		"AWSCURRENT has an odd standby":        {func(a *account) { a.versions["old"].value = strings.Replace(pair(1, 2, "x"), token(2), "", 1) }, rotation.NotYetWorking, "neither"},
		"the versions cannot be listed":        {func(a *account) { a.failing("Versions", errDown) }, rotation.NotYetWorking, "neither"},
		"AWSPENDING cannot be removed": {func(a *account) {
			a.living[token(4)] = true
			a.add("successor", token(4))
			a.failing("DropPending", errDown)
		}, rotation.StoreUnavailable, "cannot be removed"},
		"the living one is older than a stale save": {func(a *account) {
			a.living[token(4)] = true
			a.add("successor", token(4))
			a.add("edit", token(1)+"\n")
			a.moveCurrent("edit")
		}, rotation.Superseded, "successor"},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.versions["new"].value = token(3)
				a.living = map[string]bool{}
				tc.change(a)
				started := time.Now()
				a.mustFail(rotation.TestSecret, tc.kind, tc.says)
				if took := time.Since(started); a.fail == nil && took > 190*time.Second {
					t.Errorf("it took %v", took)
				}
				if n := a.count("Read new"); n != 1 {
					t.Errorf("the version was read %d times", n)
				}
			})
		})
	}
}

// TestTestSecretAsksOnceMoreAfterALongRetryAfter.
func TestTestSecretAsksOnceMoreAfterALongRetryAfter(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["new"].value = token(3)
		a.living = map[string]bool{token(3): true}
		a.checks = []error{answer(rotation.Throttled, 200*time.Second)}
		a.mustRun(rotation.TestSecret)
	})
}

// TestOneRefusalOfTheStandbyIsNotTheLastWord.
func TestOneRefusalOfTheStandbyIsNotTheLastWord(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.mustRun(rotation.CreateSecret)
		a.checks = []error{nil, refused}
		a.mustRun(rotation.TestSecret)
		if a.logged(rotation.EventStandbyRefused) > 0 {
			t.Error("the standby was reported as dead")
		}
		if n := len(a.asked); a.asked[n-1].Sub(a.asked[n-2]) < 2*time.Second {
			t.Error("it was asked again at once")
		}
	})
}
