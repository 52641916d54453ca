package rotation_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// handle runs a step with a context of the test's own.
func (a *account) handle(ctx context.Context, step rotation.Step) error {
	return a.rotator.Handle(ctx, slog.New(slog.NewJSONHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelDebug})), rotation.Request{
		Step: step, SecretID: arn, VersionID: a.version, RotationToken: secret.NewText(rotationToken),
	})
}

func TestAStepRunsWithoutADeadline(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.issued, a.deadline = 3, time.Now().Add(time.Hour)
		if err := a.handle(t.Context(), rotation.CreateSecret); err != nil {
			t.Error(err)
		}
	})
}

func TestAStepEndsWithItsContext(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		started := time.Now()
		time.AfterFunc(5*time.Second, cancel)
		a.failing("Describe", errDown)
		if err := a.handle(ctx, rotation.TestSecret); err == nil {
			t.Error("it succeeded")
		}
		if took := time.Since(started); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestWhatSecretsManagerDecidesIsNotRetried is an answer that repeating does
// not change.
func TestWhatSecretsManagerDecidesIsNotRetried(t *testing.T) {
	for name, tc := range map[string]struct {
		call string
		err  error
	}{
		"a binary value":             {"ReadCurrent", secret.ErrBinary},
		"the version has a value":    {"Put new AWSPENDING", rotation.ErrVersionTaken},
		"a binary value in the list": {"Read old", secret.ErrBinary},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.issued = 3
				a.living[token(1)] = name != "a binary value in the list"
				a.failing(tc.call, tc.err)
				started := time.Now()
				_ = a.run(rotation.CreateSecret)
				if a.count(tc.call) != 1 {
					t.Errorf("%s was called %d times", tc.call, a.count(tc.call))
				}
				if took := time.Since(started); took > 7*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestWhichOfSeveralFailuresIsReported is a write that fails in different ways. An
// answer says more than none.
func TestWhichOfSeveralFailuresIsReported(t *testing.T) {
	first, second := errors.New("FirstFailure"), errors.New("SecondFailure")
	for name, tc := range map[string]struct {
		errs []error // the last one stays
		want string
	}{
		"no answer at all":   {[]error{rotation.ErrNoAnswer}, "no answer"},
		"the last answer":    {[]error{first, second}, "SecondFailure"},
		"at first no answer": {[]error{rotation.ErrNoAnswer, first}, "FirstFailure"},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.issued = 3
				a.fail = func(call string) error {
					if call != "Put new AWSPENDING" {
						return nil
					}
					return tc.errs[min(a.count(call), len(tc.errs))-1]
				}
				a.mustFail(rotation.CreateSecret, rotation.NotStored, tc.want)
				a.mustLog(rotation.EventStoreFailed, `"attempt":2`)
			})
		})
	}
}

// TestALongRetryAfterEndsTheStep: Panther asks for more time than there is.
func TestALongRetryAfterEndsTheStep(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{answer(rotation.Throttled, time.Hour)}
		started := time.Now()
		a.mustFail(rotation.CreateSecret, rotation.PantherUnavailable)
		if took := time.Since(started); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestTheRemovalOfAWSPENDINGIsSeenByTheLabel is a removal that fails after
// a person put a value during createSecret.
func TestTheRemovalOfAWSPENDINGIsSeenByTheLabel(t *testing.T) {
	for name, tc := range map[string]struct {
		off, blind bool
		kind       rotation.Kind
	}{
		"the label is off":             {off: true, kind: rotation.Abandoned},
		"the label stays":              {kind: rotation.StoreUnavailable},
		"nothing shows the label":      {blind: true, kind: rotation.StoreUnavailable},
		"nothing shows that it is off": {off: true, blind: true, kind: rotation.StoreUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.issued, a.living[token(7)] = 3, true
				a.onRotate = func() { a.onRotate = nil; a.put("theirs", token(7)) }
				a.fail = func(call string) error {
					switch {
					case call == "DropPending":
						if tc.off {
							a.unlabel("new", rotation.LabelPending)
						}
						return errDown
					case call == "Describe" && tc.blind && a.count("DropPending") > 0:
						return errDown
					}
					return nil
				}
				started := time.Now()
				a.mustFail(rotation.CreateSecret, tc.kind)
				if took := time.Since(started); tc.kind == rotation.Abandoned && took > time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestAnErrorStatesItsCause(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.failing("Describe", errDown)
		if failure := a.run(rotation.CreateSecret); !errors.Is(failure, errDown) || !errors.Is(failure, rotation.StoreUnavailable) {
			t.Errorf("the failure is %v", failure)
		}
	})
}

func TestAnUnknownFailureIsNamed(t *testing.T) {
	for text, err := range map[string]error{
		"no answer in time":                 context.DeadlineExceeded,
		"the call failed in an unknown way": errors.New("?"),
	} {
		inAccount(t, func(t *testing.T, a *account) {
			a.answers = []any{err, token(2)}
			a.mustRun(rotation.CreateSecret)
			a.mustLog(rotation.EventRotateFailed, text)
		})
	}
}

func TestAnEmptyNameIsRefused(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.version = ""
		if err := a.handle(t.Context(), rotation.CreateSecret); !errors.Is(err, rotation.BadEvent) {
			t.Errorf("it came to %v", err)
		}
	})
}

// TestEachStepIsLogged is what an operator searches the log for.
func TestEachStepIsLogged(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{unclear, token(2)}
		a.fail = func(call string) error {
			if call == "Describe" && a.count(call) < 3 {
				return errDown
			}
			return nil
		}
		a.mustRun(rotation.CreateSecret)
		a.mustLog(rotation.EventReadFailed, `"attempt":2`)
		a.mustLog(rotation.EventRotateFailed)
		a.mustLog(rotation.EventCurrentTokenWorks)
		a.mustLog(rotation.EventTokenRotated)
		a.mustLog(rotation.EventTokenStored)
		a.mustLog(rotation.EventStepDone, "duration_ms")
		a.mustRun(rotation.CreateSecret)
		a.mustLog(rotation.EventNothingToDo, "has its token already")
		a.living[token(2)] = false
		a.after(time.Second, func() { a.living[token(2)] = true })
		a.mustRun(rotation.TestSecret)
		a.mustLog(rotation.EventTokenNotYetWorking, `"attempt":2`)
		a.mustLog(rotation.EventTokenWorks)
		a.mustRun(rotation.FinishSecret)
		a.mustRun(rotation.FinishSecret)
		a.mustLog(rotation.EventNothingToDo, "AWSCURRENT already")
		a.fail = nil
		a.enabled = false
		a.mustFail(rotation.TestSecret, rotation.NotRotating)
		a.mustLog(rotation.EventStepFailed, string(rotation.NotRotating))
		if strings.Contains(a.log.String(), token(2)) {
			t.Error("a token was logged")
		}
	})
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
