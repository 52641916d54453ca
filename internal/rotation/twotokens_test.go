package rotation_test

import (
	"slices"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
)

// inPair runs a test with a secret of two tokens, 1 active and 2 the standby.
func inPair(t *testing.T, test func(t *testing.T, a *account)) {
	t.Helper()
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["old"].value = pair(1, 2, "x")
		a.living[token(2)], a.issued = true, 3
		test(t, a)
	})
}

// TestTheActiveTokenWorksAtEveryMoment is what two tokens are for: whoever
// reads AWSCURRENT can use it, and whoever has read it before can, too.
func TestTheActiveTokenWorksAtEveryMoment(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.fail = func(string) error { a.mustLive(); return nil }
		a.then = func(string) { a.mustLive() }
		cached := a.active()
		for i, id := range []string{"v1", "v2", "v3"} {
			a.unlabel("new", rotation.LabelPending)
			a.mustRotate(id)
			if !a.living[cached] {
				t.Errorf("rotation %d: the token that was active before is dead", i+1)
			}
			cached = a.active()
			later()
		}
		a.mustHaveValue("v3", pair(5, 4, "x"))
		for _, m := range a.measured {
			if m.Event == rotation.Rotated && m.Duration != 0 {
				t.Errorf("an outage of %v was measured", m.Duration)
			}
		}
	})
}

// TestARefusedStandby is Panther refusing the standby. Only when the active
// token was found alive may anything say that readers are not affected.
func TestARefusedStandby(t *testing.T) {
	dead := func(tokens ...int) func(*account) {
		return func(a *account) {
			for _, n := range tokens {
				a.living[token(n)] = false
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(a *account)
		kind   rotation.Kind
	}{
		"the active one works":                  {dead(2), rotation.StandbyRefused},
		"the active one is dead, too":           {dead(1, 2), rotation.TokenRefused},
		"lost, and the active one works":        {func(a *account) { dead(2)(a); a.answers = []any{unclear} }, rotation.StandbyLost},
		"lost, and the active one is dead":      {func(a *account) { dead(1, 2)(a); a.answers = []any{unclear} }, rotation.TokenLost},
		"nothing clear of the active one":       {func(a *account) { dead(2)(a); a.checks = slices.Repeat([]error{unclear}, 100) }, rotation.OutcomeUnknown},
		"at first nothing clear, then it works": {func(a *account) { dead(2)(a); a.checks = []error{unclear, notSent} }, rotation.StandbyRefused},
		"at first nothing clear, then both work, and no connection": {func(a *account) {
			a.checks = slices.Repeat([]error{unclear}, 6)
			a.answers = append([]any{refused}, slices.Repeat([]any{notSent}, 100)...)
		}, rotation.PantherUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(t *testing.T, a *account) {
				tc.change(a)
				a.mustFail(rotation.CreateSecret, tc.kind)
			})
		})
	}
}

// TestADeadActiveTokenIsReplaced is an ordinary rotation of the standby.
func TestADeadActiveTokenIsReplaced(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.living[token(1)] = false
		a.mustRotate("v1")
		a.mustLive()
		a.mustHaveValue("new", pair(3, 1, "x"))
		if !a.wasMeasured(rotation.StandbyDead) {
			t.Error("the dead standby was not measured")
		}
	})
}

func (a *account) wasMeasured(event rotation.MeasuredEvent) bool {
	return slices.ContainsFunc(a.measured, func(m rotation.Measurement) bool { return m.Event == event })
}

// TestAdoption is which tokens a value gets when the standby is refused and
// another version holds living ones.
func TestAdoption(t *testing.T) {
	for name, tc := range map[string]struct {
		other  string // the value of the other version
		living []int
		want   string // empty: nothing is adopted
		says   bool   // that the standby is dead
	}{
		"the new one of a rotation that was cancelled": {pair(5, 1, "other"), []int{1, 5}, pair(5, 1, "x"), false},
		"from a version with one token":                {single(5, "other"), []int{1, 5}, pair(5, 1, "x"), false},
		"the active one is dead, the other one lives":  {pair(5, 6, "other"), []int{5, 6}, pair(5, 6, "x"), false},
		"the active one and the other one are dead":    {pair(5, 6, "other"), []int{5}, pair(5, 1, "x"), true},
		"its second token is the one that lives":       {pair(5, 6, "other"), []int{1, 6}, pair(6, 1, "x"), false},
		"never the active one":                         {single(1, "other"), []int{1}, "", false},
		"never next to the refused one":                {pair(5, 2, "other"), []int{1, 5}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(t *testing.T, a *account) {
				a.living = map[string]bool{}
				for _, n := range tc.living {
					a.living[token(n)] = true
				}
				a.add("other", tc.other)
				later()
				if tc.want == "" {
					a.mustFail(rotation.CreateSecret, rotation.StandbyRefused)
					return
				}
				a.mustRun(rotation.CreateSecret)
				a.mustHaveValue("new", tc.want)
				if a.wasMeasured(rotation.StandbyDead) != tc.says {
					t.Error("whether the standby is dead was not told right")
				}
			})
		})
	}
	inPair(t, func(t *testing.T, a *account) { // into a value with one token
		a.versions["old"].value = single(1, "x")
		a.living = map[string]bool{token(6): true}
		a.add("other", pair(5, 6, "other"))
		later()
		a.mustRun(rotation.CreateSecret)
		a.mustHaveValue("new", single(6, "x"))
	})
}

// TestNoClearAnswerIsNoRefusal holds for the token that becomes the standby.
func TestNoClearAnswerIsNoRefusal(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.living = map[string]bool{token(5): true, token(6): true}
		a.add("other", pair(5, 6, "other"))
		later()
		a.checks = []error{nil, unclear} // of 5, of 1
		a.mustRun(rotation.CreateSecret)
		a.mustHaveValue("new", pair(5, 1, "x"))
	})
}

// TestReplicasAreWaitedForBeforeTheStandbyIsRotated: readers of a replica that
// lags still use what is the standby here.
func TestReplicasAreWaitedForBeforeTheStandbyIsRotated(t *testing.T) {
	for name, tc := range map[string]struct {
		status string
		after  time.Duration // when it is in sync
		fails  bool
	}{
		"in sync":    {status: "InSync"},
		"in a while": {status: "InProgress", after: 10 * time.Second},
		"never":      {status: "InProgress", after: time.Hour, fails: true},
		"failed":     {status: "Failed", after: time.Hour, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(t *testing.T, a *account) {
				a.replicas = []rotation.Replica{{Region: "us-east-1", Status: tc.status}}
				if tc.after > 0 {
					a.after(tc.after, func() { a.replicas[0].Status = "InSync" })
				}
				if tc.fails {
					a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, "us-east-1")
				} else {
					a.mustRun(rotation.CreateSecret)
				}
				if (a.count("Rotate") == 0) != tc.fails {
					t.Errorf("the token was rotated %d times", a.count("Rotate"))
				}
			})
		})
	}
	inAccount(t, func(t *testing.T, a *account) { // with one token, waiting helps nobody
		a.issued = 3
		a.replicas = []rotation.Replica{{Region: "us-east-1", Status: "InProgress"}}
		a.mustRun(rotation.CreateSecret)
	})
}

// TestTestSecretAsksGentlyWithTwoTokens: nobody waits, and a gateway may cache
// a refusal.
func TestTestSecretAsksGentlyWithTwoTokens(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.versions["new"].value = pair(3, 1, "x")
		started := time.Now()
		a.after(100*time.Second, func() { a.living[token(3)] = true })
		a.mustRun(rotation.TestSecret)
		if pause := a.asked[1].Sub(a.asked[0]); pause > 3100*time.Millisecond {
			t.Errorf("the second question came %v after the first", pause)
		}
		if first := a.asked[0].Sub(started); first < 2*time.Second || first > 3*time.Second {
			t.Errorf("the first question came after %v", first)
		}
		for i := 1; i < len(a.asked)-1; i++ { // the last one is of the standby
			if pause := a.asked[i].Sub(a.asked[i-1]); pause < 3*time.Second || pause > 5100*time.Millisecond {
				t.Errorf("question %d came %v after the one before", i+1, pause)
			}
		}
	})
	inPair(t, func(t *testing.T, a *account) { // a short timeout is asked within
		a.rotator.PropagationTimeout = 5 * time.Second
		a.versions["new"].value = pair(3, 1, "x")
		a.mustFail(rotation.TestSecret, rotation.ReplacedByHand)
		if n := a.count("Check"); n < 5 {
			t.Errorf("Panther was asked %d times in 5 s", n)
		}
	})
}

// TestTheTokenThatWasReplacedDecides is testSecret giving up: that the other
// active token works says nothing.
func TestTheTokenThatWasReplacedDecides(t *testing.T) {
	for name, tc := range map[string]struct {
		living  []int
		current string
		kind    rotation.Kind
	}{
		"the replaced one works":       {[]int{1, 2}, pair(1, 2, "x"), rotation.ReplacedByHand},
		"it is dead, the active works": {[]int{1}, pair(1, 2, "x"), rotation.NotYetWorking},
		"AWSCURRENT has other tokens":  {[]int{5, 6}, pair(5, 6, "x"), rotation.NotYetWorking},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(t *testing.T, a *account) {
				a.living = map[string]bool{}
				for _, n := range tc.living {
					a.living[token(n)] = true
				}
				a.versions["old"].value, a.versions["new"].value = tc.current, pair(3, 1, "x")
				a.mustFail(rotation.TestSecret, tc.kind)
				if !slices.Contains(a.versions["new"].labels, rotation.LabelPending) {
					t.Error("AWSPENDING was removed")
				}
			})
		})
	}
}

// TestATestOfTheScheduleAsksBoth is testSecret alone, on a copy of AWSCURRENT.
func TestATestOfTheScheduleAsksBoth(t *testing.T) {
	for name, tc := range map[string]struct {
		dead int
		kind rotation.Kind
	}{
		"both work":           {0, ""},
		"the standby is dead": {2, rotation.StandbyRefused},
		"the active is dead":  {1, rotation.NotYetWorking},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(t *testing.T, a *account) {
				a.versions["new"].value = a.versions["old"].value
				a.living[token(tc.dead)] = false
				if tc.kind == "" {
					a.mustRun(rotation.TestSecret)
					return
				}
				a.mustFail(rotation.TestSecret, tc.kind, "copy of AWSCURRENT")
			})
		})
	}
}

// TestASlowTokenIsNotReplacedByHand: the standby that was rotated is dead, so
// the new token is only slow.
func TestASlowTokenIsNotReplacedByHand(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.mustRun(rotation.CreateSecret)
		a.living[token(3)] = false // not yet
		a.mustFail(rotation.TestSecret, rotation.NotYetWorking)
	})
}

// TestAStandbyThatIsAddedMeanwhile changes the form of the secret during a
// rotation of its only token.
func TestAStandbyThatIsAddedMeanwhile(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["old"].value, a.issued = single(1, "x"), 3
		a.living[token(2)] = true
		a.onRotate = func() { a.onRotate = nil; a.put("added", pair(1, 2, "x")) }
		a.mustFail(rotation.CreateSecret, rotation.StaleSave) // active is what just died
		later()
		a.mustRotate("v1") // rotates the standby, an ordinary rotation
		a.mustLive()
	})
}

// TestAStandbyThatIsReplacedMeanwhile keeps their pair.
func TestAStandbyThatIsReplacedMeanwhile(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.living[token(6)] = true
		a.onRotate = func() { a.onRotate = nil; a.put("replaced", pair(1, 6, "x")) }
		a.mustFail(rotation.CreateSecret, rotation.Abandoned)
		a.mustLive()
		a.issued = 7
		later()
		a.mustRotate("v1")
		a.mustHaveValue("v1", pair(7, 1, "x"))
	})
}

// TestARollbackByLabelIsHealed moves AWSCURRENT back to the version before,
// whose standby was rotated.
func TestARollbackByLabelIsHealed(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.unlabel("new", rotation.LabelPending)
		a.mustRotate("v1")
		later()
		a.moveCurrent("old")
		a.mustLive()
		a.mustRotate("v2")
		a.mustHaveValue("v2", pair(3, 1, "x"))
		a.mustLive()
	})
}

// TestTheActiveTokenOfNowDecides is a value with a dead active token that a person
// puts while the standby is found refused. That the active token of before works
// says nothing of readers then.
func TestTheActiveTokenOfNowDecides(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []any
		after   time.Duration
		kind    rotation.Kind
	}{
		"lost":    {[]any{unclear}, 33 * time.Second, rotation.OutcomeUnknown},
		"refused": {nil, 3 * time.Second, rotation.NotRotating},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(t *testing.T, a *account) {
				a.living[token(2)], a.answers = false, tc.answers
				a.after(tc.after, func() { a.put("edit", pair(5, 2, "x")) })
				a.mustFail(rotation.CreateSecret, tc.kind, "AWSCURRENT moved")
			})
		})
	}
}

// TestTheSuccessorOfADeadActiveTokenIsFound: two invocations rotated the standby
// at once. The later token works and is in a successor version, together with
// the standby that Panther refuses.
func TestTheSuccessorOfADeadActiveTokenIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		living []int
		change func(a *account)
		kind   rotation.Kind // empty: the successor is adopted
	}{
		"both tokens are dead":    {living: []int{5}},
		"the active one lives":    {living: []int{1, 5}, kind: rotation.StandbyRefused},
		"the successor is dead":   {kind: rotation.TokenRefused},
		"only an older one lives": {living: []int{6}, kind: rotation.TokenRefused},
		"a version is unreadable": {living: []int{5}, kind: rotation.TokenRefused, change: func(a *account) {
			a.add("unreadable", single(7, "x"))
			a.fail = func(call string) error {
				if call == "Read unreadable" {
					return errDown
				}
				return nil
			}
		}},
		"the active one needs some time": {living: []int{5}, kind: rotation.StandbyRefused, change: func(a *account) {
			a.versions["old"].created = time.Now().Add(-20 * time.Second)
			a.versions["other"].created = time.Now().Add(-10 * time.Second)
			a.after(time.Minute, func() { a.living[token(1)] = true })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inPair(t, func(t *testing.T, a *account) {
				delete(a.versions, "old")
				delete(a.versions, "new")
				a.add("first", pair(6, 2, "x"))
				later()
				a.add("old", pair(1, 2, "x"))
				a.moveCurrent("old")
				later()
				a.add("other", pair(5, 2, "other"))
				later()
				a.living = map[string]bool{}
				for _, n := range tc.living {
					a.living[token(n)] = true
				}
				if tc.change != nil {
					tc.change(a)
				}
				a.begin("new")
				if tc.kind != "" {
					a.mustFail(rotation.CreateSecret, tc.kind)
					return
				}
				a.mustRun(rotation.CreateSecret)
				a.mustHaveValue("new", pair(5, 1, "x"))
			})
		})
	}
}
