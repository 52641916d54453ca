package rotation_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// notStored leaves the process with a token that it could not store.
func (a *account) notStored() {
	a.t.Helper()
	if a.issued == 0 {
		a.issued = 3
	}
	a.failing("Put "+a.version+" AWSPENDING", errDown)
	a.mustFail(rotation.CreateSecret, rotation.NotStored)
	a.fail = nil
}

// TestAHeldTokenIsStoredBeforeEveryStep is each way in which a createSecret
// that passes all checks may never come.
func TestAHeldTokenIsStoredBeforeEveryStep(t *testing.T) {
	for name, tc := range map[string]struct {
		step   rotation.Step
		change func(a *account)
	}{
		"setSecret":                {rotation.SetSecret, func(a *account) { a.versions["new"].value = token(4) }},
		"testSecret":               {rotation.TestSecret, func(a *account) { a.versions["new"].value = token(4) }},
		"finishSecret":             {rotation.FinishSecret, func(a *account) { a.versions["new"].value = token(4) }},
		"rotation is disabled":     {rotation.CreateSecret, func(a *account) { a.enabled = false }},
		"the label was removed":    {rotation.CreateSecret, func(a *account) { a.unlabel("new", rotation.LabelPending) }},
		"AWSCURRENT is unreadable": {rotation.CreateSecret, func(a *account) { a.failing("ReadCurrent", errDown) }},
		"AWSCURRENT is binary":     {rotation.CreateSecret, func(a *account) { a.failing("ReadCurrent", secret.ErrBinary) }},
		"DescribeSecret fails":     {rotation.CreateSecret, func(a *account) { a.failing("Describe", errDown) }},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.notStored()
				a.living[token(4)] = true
				tc.change(a)
				_ = a.run(tc.step)
				a.mustHold(a.labelled(rotation.LabelSuccessor), 3)
				a.calls = nil
				_ = a.run(rotation.SetSecret)
				if len(a.calls) > 0 {
					t.Errorf("a step with nothing held calls %v", a.calls)
				}
			})
		})
	}
}

// TestAHeldTokenGoesIntoThePresentValue is a person who edits another key
// before the next attempt.
func TestAHeldTokenGoesIntoThePresentValue(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		a.begin("v1")
		a.notStored()
		a.put("edit", f.value(1, "edited"))
		a.mustRotate("v2")
		a.mustLive()
		want := single(3, "edited")
		if f.name == "two tokens" {
			want = pair(3, 1, "edited")
		}
		a.mustHaveValue("v2", want)
		if a.labelled(rotation.LabelSuccessor) != "" {
			t.Error("it was stored in a successor version")
		}
	})
}

// TestAHeldTokenThatReplacedTheActiveOneTakesItsPlace is a secret that got a
// standby while the process held the successor of its only token.
func TestAHeldTokenThatReplacedTheActiveOneTakesItsPlace(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["old"].value = single(1, "x")
		a.notStored()
		a.living[token(2)] = true
		a.put("with standby", pair(1, 2, "x"))
		a.mustRotate("v1")
		a.mustHaveValue("v1", pair(3, 2, "x"))
	})
}

func TestAHeldTokenIsOfferedToASecretMadeAgain(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.notStored()
		ctx, cancel := context.WithTimeout(t.Context(), lambdaTimeout)
		defer cancel()
		a.arn = strings.Replace(arn, "-AbCdEf", "-GhIjKl", 1)
		_ = a.rotator.Handle(ctx, slog.New(slog.DiscardHandler), rotation.Request{
			Step: rotation.SetSecret, SecretID: a.arn, VersionID: "new", RotationToken: secret.NewText(rotationToken),
		})
		a.mustHold("new", 3)
	})
}

// TestARetiredProcessStoresWhatItHolds is Lambda's notice before it ends a
// process. There are some 300 ms, so each way is tried once.
func TestARetiredProcessStoresWhatItHolds(t *testing.T) {
	for name, denied := range map[string]bool{"with the RotationToken": false, "without, where it is stale": true} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.notStored()
				a.staleRotationToken = denied
				ctx, cancel := context.WithTimeout(t.Context(), 290*time.Millisecond)
				defer cancel()
				started := time.Now()
				a.rotator.Flush(ctx, slog.New(slog.NewJSONHandler(&a.log, nil)))
				if took := time.Since(started); took > 290*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				a.mustHold(a.labelled(rotation.LabelSuccessor), 3)
				a.staleRotationToken = false
				a.restart()
				later()
				a.mustRotate("v1")
				a.mustHold("new", 3)
			})
		})
	}
	inAccount(t, func(t *testing.T, a *account) {
		a.rotator.Flush(t.Context(), slog.New(slog.DiscardHandler))
		if len(a.calls) > 0 {
			t.Errorf("with nothing held it calls %v", a.calls)
		}
	})
}

// onEvent runs a function when the log gets a line of that event.
type onEvent struct {
	slog.Handler
	event rotation.Event
	run   func()
}

func (h onEvent) Enabled(context.Context, slog.Level) bool { return true }

func (h onEvent) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h onEvent) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(at slog.Attr) bool {
		if at.Key == "event" && at.Value.String() == string(h.event) {
			h.run()
		}
		return true
	})
	return nil
}

// TestATokenIsRememberedBeforeAnythingElse is a process that is retired at the
// first log line after Panther's answer.
func TestATokenIsRememberedBeforeAnythingElse(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued = 3
		ctx, cancel := context.WithTimeout(t.Context(), lambdaTimeout)
		defer cancel()
		a.deadline, _ = ctx.Deadline()
		a.failing("Put new AWSPENDING", errDown)
		log := onEvent{slog.DiscardHandler, rotation.EventTokenRotated, func() { a.rotator.Flush(ctx, slog.New(slog.NewJSONHandler(&a.log, nil))) }}
		_ = a.rotator.Handle(ctx, slog.New(log), rotation.Request{
			Step: rotation.CreateSecret, SecretID: arn, VersionID: "new", RotationToken: secret.NewText(rotationToken),
		})
		a.mustHold(a.labelled(rotation.LabelSuccessor), 3)
	})
}

func TestASealerThatPanicsLosesNoToken(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued, a.sealPanics = 3, true
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 3)
		if !strings.Contains(a.log.String(), string(rotation.EventSealFailed)) {
			t.Error("the log does not have the event")
		}
		for _, m := range a.measured {
			if m.Event == rotation.SealFailed {
				return
			}
		}
		t.Error("the failure was not measured")
	})
}

// TestALateWriteRevivesNoRotation is a write that took effect only after
// a person put a value. The process still holds the token when Secrets Manager
// runs createSecret again.
func TestALateWriteRevivesNoRotation(t *testing.T) {
	inEachForm(t, func(t *testing.T, a *account, f form) {
		a.begin("v1")
		a.notStored()
		a.living[token(7)], a.living[token(8)] = true, true
		fresh, late := single(7, "fresh"), single(3, "first")
		if f.name == "two tokens" {
			fresh, late = pair(7, 8, "fresh"), pair(3, 1, "first")
		}
		a.put("operator", fresh)
		a.versions["v1"].value = late
		a.move(rotation.LabelPending, "v1")
		a.mustFail(rotation.CreateSecret, rotation.Abandoned)
		if a.labelled(rotation.LabelPending) != "" {
			t.Error("the rotation goes on over the value that a person put")
		}
	})
}

// TestWhatIsHeldIsStoredBeforeACheck is Flush in an invocation that is no step.
func TestWhatIsHeldIsStoredBeforeACheck(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.notStored()
		attempts := 0
		a.fail = func(call string) error {
			if attempts++; call == "Put successor" && attempts == 1 {
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
		a.failing("Put successor", errDown)
		a.flush(time.Minute)
		if n := a.count("Put successor"); n < 10 || n > 30 {
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
					if call == "Put successor" {
						return rotation.ErrVersionTaken
					}
					return nil
				}
				var successor string
				a.unlabel("new", rotation.LabelPending)
				a.takenBy = func(id string) { successor = id; a.versions[id] = &version{value: "  " + token(tc.token)} }
				tc.store(a)
				a.calls = nil
				_ = a.run(rotation.SetSecret)
				if held := len(a.calls) > 0; successor == "" || held != tc.held {
					t.Errorf("is the token held still? %v", a.calls)
				}
			})
		})
	}
}

func TestAHeldTokenStaysOutOfAVersionOlderThanAWSCURRENT(t *testing.T) {
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
