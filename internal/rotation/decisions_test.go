package rotation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// TestAFilledVersionIsComparedWithAWSCURRENT is a createSecret that Secrets
// Manager runs again.
func TestAFilledVersionIsComparedWithAWSCURRENT(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(a *account)
		kind   rotation.Kind
	}{
		"AWSCURRENT has no value":       {func(a *account) { a.failing("ReadCurrent", rotation.ErrNoValue) }, rotation.SecretUnusable},
		"AWSCURRENT is binary":          {func(a *account) { a.failing("ReadCurrent", secret.ErrBinary) }, rotation.SecretUnusable},
		"AWSCURRENT cannot be read":     {func(a *account) { a.failing("ReadCurrent", errDown) }, rotation.StoreUnavailable},
		"it became AWSCURRENT":          {func(a *account) { a.fail = once(a, "Read new", func() { a.moveCurrent("new") }) }, ""},
		"AWSCURRENT is a successor":     {func(a *account) { a.moveCurrent(a.addSuccessor("old", "new", token(3))) }, ""},
		"AWSCURRENT is of odd form":     {func(a *account) { a.versions["old"].value = "{}" }, ""},
		"the version is of odd form":    {func(a *account) { a.versions["new"].value = "{}" }, ""},
		"a person put a living token":   {func(a *account) { a.put("theirs", token(4)); a.keepPending() }, rotation.Abandoned},
		"a person put a dead token":     {func(a *account) { a.put("theirs", token(5)); a.keepPending() }, rotation.StaleSave},
		"a person put one of no answer": {func(a *account) { a.put("theirs", token(4)); a.keepPending(); a.checks = []error{unclear} }, rotation.Abandoned},
		"a person put an odd value":     {func(a *account) { a.put("theirs", "{}"); a.keepPending() }, rotation.Abandoned},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.versions["new"].value = token(2)
				a.living[token(4)] = true
				tc.change(a)
				if tc.kind == "" {
					a.mustRun(rotation.CreateSecret)
					return
				}
				a.mustFail(rotation.CreateSecret, tc.kind)
			})
		})
	}
}

// keepPending is a write of the rotation that took effect after a person put a
// value: it puts AWSPENDING back.
func (a *account) keepPending() { a.version = "new"; a.move(rotation.LabelPending, "new") }

// TestHowLongReplicasAreWaitedFor leaves time for the rotation itself.
func TestHowLongReplicasAreWaitedFor(t *testing.T) {
	for timeout, most := range map[time.Duration]time.Duration{time.Minute: 26 * time.Second, lambdaTimeout: 40 * time.Second} {
		inPair(t, func(t *testing.T, a *account) {
			a.replicas = []rotation.Replica{{Region: "us-east-1", Status: "InProgress"}}
			started := time.Now()
			a.check(a.run(rotation.CreateSecret, timeout), rotation.StoreUnavailable, "us-east-1")
			if took := time.Since(started); took > most {
				t.Errorf("it took %v of %v", took, timeout)
			}
		})
	}
	inPair(t, func(t *testing.T, a *account) { // cancelled meanwhile
		a.replicas = []rotation.Replica{{Region: "us-east-1", Status: "InProgress"}}
		a.after(5*time.Second, func() { a.unlabel("new", rotation.LabelPending) })
		a.mustFail(rotation.CreateSecret, rotation.NotRotating)
		if a.count("Rotate") > 0 {
			t.Error("the token was rotated")
		}
	})
}

// TestBeforeACallIsRepeated is what is read again after Panther turned a call
// away.
func TestBeforeACallIsRepeated(t *testing.T) {
	for call, says := range map[string]string{"Read new": "another invocation", "ReadCurrent": "AWSCURRENT value again"} {
		inAccount(t, func(t *testing.T, a *account) {
			a.answers = []any{throttled}
			a.fail = func(c string) error {
				if c == call && a.count("Rotate") > 0 {
					return errDown
				}
				return nil
			}
			a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, says)
		})
	}
}

// TestAYoungTokenIsRotatedAgain without asking whether it works.
func TestAYoungTokenIsRotatedAgain(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["old"].created = time.Now()
		a.answers = []any{refused, refused, token(2)}
		a.mustRun(rotation.CreateSecret)
		if a.count("Check") > 0 || a.count("Rotate") != 3 {
			t.Errorf("calls: %v", a.calls)
		}
	})
}

// TestTheFirstRefusalBeginsTheDoubt: unclear answers before it do not count.
func TestTheFirstRefusalBeginsTheDoubt(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{unclear, token(2)}
		a.checks = append(slices.Repeat([]error{unclear}, 8), refused)
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 2)
	})
}

// TestATokenThatWorksIsRotatedAtOnce: a refusal before it does not count any
// more.
func TestATokenThatWorksIsRotatedAtOnce(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{unclear, token(2)}
		a.checks = []error{refused}
		a.mustRun(rotation.CreateSecret)
		if a.count("Check") != 2 {
			t.Errorf("Panther was asked %d times", a.count("Check"))
		}
		if n := len(a.asked); a.asked[n-1].Sub(a.asked[n-2]) > 100*time.Millisecond {
			t.Errorf("it waited %v after the token worked", a.asked[n-1].Sub(a.asked[n-2]))
		}
	})
}

// TestInDoubtNothingIsRepeated where a candidate is not certainly dead.
func TestInDoubtNothingIsRepeated(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.add("other", token(2))
		a.refuses()
		a.answers, a.issued = []any{unclear}, 0
		a.failing("Read other", errDown)
		a.mustFail(rotation.CreateSecret, rotation.OutcomeUnknown)
		if a.count("Rotate") != 1 {
			t.Errorf("rotateAPIToken was called %d times", a.count("Rotate"))
		}
	})
}

// TestAHeldTokenAndTheStep is what becomes of the step that a held token is
// stored in front of.
func TestAHeldTokenAndTheStep(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) { // createSecret is done with it
		a.notStored()
		a.calls = nil
		a.mustRun(rotation.CreateSecret)
		if a.count("Describe") != 2 {
			t.Errorf("calls: %v", a.calls)
		}
		a.mustLog(rotation.EventHeldTokenStored)
	})
	inAccount(t, func(t *testing.T, a *account) { // testSecret goes on
		a.notStored()
		a.mustRun(rotation.TestSecret)
		if a.count("Check") == 0 {
			t.Error("the token was not tested")
		}
	})
	inAccount(t, func(t *testing.T, a *account) { // it cannot be stored
		a.notStored()
		a.fail = func(call string) error {
			if strings.HasPrefix(call, "Put") {
				return errDown
			}
			return nil
		}
		a.mustFail(rotation.TestSecret, rotation.NotStored)
	})
	inAccount(t, func(t *testing.T, a *account) { // the first attempt is no later one
		a.issued = 3
		a.mustRun(rotation.CreateSecret)
		if a.logged(rotation.EventHeldTokenStored) > 0 {
			t.Error("the log speaks of an earlier attempt")
		}
	})
}

func TestAnAdoptedTokenThatCannotBeStoredIsNotLost(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.add("other", token(2))
		a.refuses(2)
		a.failing("Put new AWSPENDING", errDown)
		a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, "the living token of another version")
	})
}

// TestTheVersionHasAnotherValueMeanwhile is a write that Secrets Manager refuses
// for it.
func TestTheVersionHasAnotherValueMeanwhile(t *testing.T) {
	for name, tc := range map[string]struct {
		meanwhile func(a *account)
		fail      string
		kind      rotation.Kind // empty: it ends well
		successor int           // writes of a successor version
	}{
		"with our token, and a person put a value": {func(a *account) { a.versions["new"].value = token(3) + "\n"; a.put("theirs", token(7)) }, "", rotation.Abandoned, 1},
		"with another token":                       {func(a *account) { a.versions["new"].value = token(5) }, "", "", 1},
		"and no successor can be stored":           {func(a *account) { a.versions["new"].value = token(5) }, "Put successor", rotation.NotStored, -1},
		"and a person put a value":                 {func(a *account) { a.versions["new"].value = token(5); a.put("theirs", token(7)) }, "", rotation.Abandoned, 1},
		"it is AWSCURRENT and works":               {func(a *account) { a.versions["new"].value = token(7); a.moveCurrent("new") }, "", "", 1},
		"it is AWSCURRENT without a token":         {func(a *account) { a.versions["new"].value = "{}"; a.moveCurrent("new") }, "", rotation.Superseded, 1},
		"it is AWSCURRENT and cannot be read":      {func(a *account) { a.versions["new"].value = token(7); a.moveCurrent("new") }, "Read new", rotation.StoreUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.issued, a.living[token(7)] = 3, true
				meanwhile := once(a, "Put new AWSPENDING", func() { tc.meanwhile(a) })
				a.fail = func(call string) error {
					if call == tc.fail && a.count("Put new AWSPENDING") > 0 {
						return errDown
					}
					return meanwhile(call)
				}
				if tc.kind == "" {
					a.mustRun(rotation.CreateSecret)
				} else {
					a.mustFail(rotation.CreateSecret, tc.kind)
				}
				if n := a.count("Put successor"); tc.successor >= 0 && n != tc.successor {
					t.Errorf("%d writes of a successor version", n)
				}
				if tc.successor > 0 {
					a.mustLog(rotation.EventSuccessorStored)
				}
			})
		})
	}
}

// TestAVersionThatIsFinishedMeanwhileIsDone though its token does not work yet.
func TestAVersionThatIsFinishedMeanwhileIsDone(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued = 3
		a.then = func(call string) {
			if call == "Put new AWSPENDING" {
				a.moveCurrent("new")
				a.living[token(3)] = false
			}
		}
		a.mustRun(rotation.CreateSecret)
	})
}

// TestWhatWasPutMeanwhile is a value that is put while Panther answers.
func TestWhatWasPutMeanwhile(t *testing.T) {
	for name, tc := range map[string]struct {
		value, call string
		err         error
		kind        rotation.Kind
	}{
		"it is binary":                {token(7), "Read theirs", secret.ErrBinary, rotation.Abandoned},
		"it has no value":             {token(7), "Read theirs", rotation.ErrNoValue, rotation.Abandoned},
		"it cannot be read":           {token(7), "Read theirs", errDown, rotation.StoreUnavailable},
		"it has no token":             {"{}", "", nil, rotation.Abandoned},
		"it does not work yet":        {token(8), "", nil, rotation.Abandoned},
		"it is the replaced token":    {token(1), "", nil, rotation.StaleSave},
		"ours cannot be stored aside": {token(7), "Put successor", errDown, rotation.StoreUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.issued, a.living[token(7)] = 3, true
				a.onRotate = func() { a.onRotate = nil; a.put("theirs", tc.value) }
				a.failing(tc.call, tc.err)
				a.mustFail(rotation.CreateSecret, tc.kind)
			})
		})
	}
}

func TestAFlushedTokenIsForgotten(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.notStored()
		a.staleRotationToken = true
		for range 2 {
			a.flush(time.Minute)
		}
		if n := a.count("Put successor"); n != 1 {
			t.Errorf("%d writes", n)
		}
		a.mustLog(rotation.EventStoreFailed, "stale")
		a.mustLog(rotation.EventSuccessorStored, "no rotation step may follow")
	})
}
