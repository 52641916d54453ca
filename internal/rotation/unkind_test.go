package rotation_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
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

// TestAYoungActiveTokenStaysBesideAnAdoptedOne is a value that somebody put,
// with a standby that is dead.
func TestAYoungActiveTokenStaysBesideAnAdoptedOne(t *testing.T) {
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

// TestAnOlderCredentialNeverBecomesTheStandby: somebody replaced it.
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

func TestAYoungActiveTokenIsNotToldAsRefused(t *testing.T) {
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

// TestWhatIsHeldIsStoredBeforeACheck is Flush in an invocation that is no step.
func TestWhatIsHeldIsStoredBeforeACheck(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.notStored()
		attempts := 0
		a.fail = func(call string) error {
			if attempts++; call == "Put beside" && attempts == 1 {
				return context.DeadlineExceeded // it hangs
			}
			return nil
		}
		started := time.Now()
		a.flush(time.Minute)
		a.mustHold(a.labelled(rotation.LabelSuccessor), 3)
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	inAccount(t, func(t *testing.T, a *account) {
		a.notStored()
		a.failing("Put beside", errDown)
		a.flush(time.Minute)
		if n := a.count("Put beside"); n < 10 || n > 30 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
}

// slowStore stores after a while that depends on the secret.
type slowStore struct {
	*account
	mu     sync.Mutex
	stored int
}

func (s *slowStore) Put(ctx context.Context, p rotation.Put) error {
	took := 50 * time.Millisecond
	if p.SecretARN != arn {
		took = 250 * time.Millisecond
	}
	time.Sleep(took)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		s.stored++
	}
	return ctx.Err()
}

// TestARetiredProcessStoresForAllSecrets in the 300 ms that Lambda gives.
func TestARetiredProcessStoresForAllSecrets(t *testing.T) {
	for range 10 { // in no certain order
		inAccount(t, func(t *testing.T, a *account) {
			a.answers = []any{token(2), token(4)}
			a.failing("Put new AWSPENDING", errDown)
			a.mustFail(rotation.CreateSecret, rotation.NotStored)
			a.rotator.Store = &secondSecret{account: a, err: errDown}
			ctx, cancel := context.WithTimeout(t.Context(), lambdaTimeout)
			defer cancel()
			a.deadline, _ = ctx.Deadline()
			_ = a.rotator.Handle(ctx, slog.New(slog.DiscardHandler), rotation.Request{Step: rotation.CreateSecret, SecretID: arn + "2", VersionID: "new-2"})
			store := &slowStore{account: a}
			a.rotator.Store = store
			a.flush(290 * time.Millisecond)
			if store.stored != 2 {
				t.Errorf("%d of 2 tokens were stored", store.stored)
			}
		})
	}
}

// TestASuccessorThatIsThereIsStored is a write that seemed to fail, and then one
// of the same token with another value around it.
func TestASuccessorThatIsThereIsStored(t *testing.T) {
	for name, tc := range map[string]struct {
		store func(a *account)
		token int
		held  bool
	}{
		"by a step":                     {func(a *account) { a.mustRun(rotation.SetSecret) }, 3, false},
		"by a flush":                    {func(a *account) { a.flush(time.Second) }, 3, false},
		"not by a step: another token":  {func(a *account) { a.mustFail(rotation.SetSecret, rotation.NotStored) }, 5, true},
		"not by a flush: another token": {func(a *account) { a.flush(time.Second) }, 5, true},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.notStored()
				a.fail = func(call string) error {
					if call == "Put beside" {
						return rotation.ErrVersionTaken
					}
					return nil
				}
				var beside string
				a.unlabel("new", rotation.LabelPending)
				a.takenBy = func(id string) { beside = id; a.versions[id] = &version{value: "  " + token(tc.token)} }
				tc.store(a)
				a.calls = nil
				_ = a.run(rotation.SetSecret)
				if held := len(a.calls) > 0; beside == "" || held != tc.held {
					t.Errorf("is the token held still? %v", a.calls)
				}
			})
		})
	}
}

// TestATokenThatWorksAgainStartsTheDoubtAnew is one refusal between lost answers.
func TestATokenThatWorksAgainStartsTheDoubtAnew(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{unclear, context.DeadlineExceeded, token(3)}
		a.checks = []error{refused, nil, refused}
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 3)
	})
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

func TestADeletedSecretIsReportedAtOnce(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.failing("Describe", rotation.ErrNoSecret)
		a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable)
		if n := a.count("Describe"); n != 1 {
			t.Errorf("it asked %d times", n)
		}
	})
}

func TestAHeldTokenGoesBesideAVersionOlderThanAWSCURRENT(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.notStored()
		a.add("edit", token(1)+"\n")
		a.moveCurrent("edit")
		_ = a.run(rotation.CreateSecret)
		a.mustHold(a.labelled(rotation.LabelSuccessor), 3)
		a.mustHaveValue("new", "")
	})
}

// TestFinishSecretMovesNothingThatItFilledItself: testSecret has not seen it.
func TestFinishSecretMovesNothingThatItFilledItself(t *testing.T) {
	inPair(t, func(t *testing.T, a *account) {
		a.notStored()
		a.living[token(3)] = false
		a.mustFail(rotation.FinishSecret, rotation.NotRotating, "not tested")
		a.mustLive()
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

// TestAPutDuringTheCallIsNoLoss: Panther refuses the token because somebody
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

// TestALongCauseIsCut, but never what to do: the command is what a person needs.
func TestALongCauseIsCut(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		cause := errors.New("AccessDeniedException: " + strings.Repeat("because no policy allows it ", 30))
		a.failing("Describe", cause)
		a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, "AccessDeniedException", "check the function's role")
		a.mustLog(rotation.EventStepFailed, `"cause":"`+cause.Error())
	})
	room := 300 - len((&rotation.Error{What: "w", Kind: rotation.NoTime}).Error())
	for _, tc := range []struct {
		what  string
		cause int
		want  string
	}{
		{"w", room - len(": "), strings.Repeat("c", room-len(": "))},
		{"w", room, "…"},
		{strings.Repeat("w", 400), 100, ": " + strings.Repeat("c", 55) + "…"},
	} {
		e := &rotation.Error{What: tc.what, Kind: rotation.NoTime, Cause: errors.New(strings.Repeat("c", tc.cause))}
		if got := e.Error(); !strings.Contains(got, tc.want) || len(tc.what) == 1 && len(got) > 300 {
			t.Errorf("%d bytes of a cause: %s", tc.cause, got)
		}
	}
}

// TestAnAdoptedTokenIsNamedByItsVersion where the rotation lost its label.
func TestAnAdoptedTokenIsNamedByItsVersion(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.add("other", token(2))
		a.beginAnew()
		a.refuses(2)
		a.then = func(call string) {
			if call == "Describe" && a.count("Check") > 0 {
				a.unlabel("new", rotation.LabelPending)
			}
		}
		a.fail = func(call string) error {
			if call == "Put new AWSPENDING" {
				a.unlabel("new", rotation.LabelPending)
				return rotation.ErrVersionTaken
			}
			return nil
		}
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "in version other")
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

// TestAFinishedVersionThatTellsNothing is never taken for one whose token works.
func TestAFinishedVersionThatTellsNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		value string
		reads int // of AWSCURRENT that succeed
		tells string
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
				a.mustFail(rotation.CreateSecret, rotation.OutcomeUnknown, tc.tells)
			})
		})
	}
}
