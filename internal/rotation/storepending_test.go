package rotation_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

var errDown = errors.New("InternalServiceError")

func TestStoringIsTriedUntilShortlyBeforeTheDeadline(t *testing.T) {
	for name, err := range map[string]error{"errors": errDown, "hangs": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.answers = []any{token(2)}
				a.failing("Put new AWSPENDING", err)
				started := time.Now()
				a.mustFail(rotation.CreateSecret, rotation.NotStored, "Do not deploy", "rotate-secret --secret-id "+arn)
				if tried := time.Since(started); tried < lambdaTimeout-8*time.Second {
					t.Errorf("it gave up after %v of %v", tried, lambdaTimeout)
				}
				if !slices.ContainsFunc(a.measured, func(m rotation.Measurement) bool { return m.Event == rotation.Unstored }) {
					t.Error("the metric that pages someone is missing")
				}
			})
		})
	}
}

// TestALateAnswerIsStoredThoughTheFirstWriteHangs is the tightest that it may
// get: the answer takes all the time that a call gets.
func TestALateAnswerIsStoredThoughTheFirstWriteHangs(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{late(token(2))}
		a.fail = func(call string) error {
			if call == "Put new AWSPENDING" && a.count(call) == 1 {
				return context.DeadlineExceeded
			}
			return nil
		}
		if failure := a.run(rotation.CreateSecret, 40*time.Second); failure != nil {
			t.Fatal(failure)
		}
		a.mustHold("new", 2)
	})
}

// TestATokenThatWasNotStoredIsStoredByTheNextAttempt also counts the calls of
// rotateAPIToken: there are no answers left.
func TestATokenThatWasNotStoredIsStoredByTheNextAttempt(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(a *account)
		where  string // which version holds it in the end; "" for one of its own
	}{
		"in the same version":            {func(*account) {}, "new"},
		"in the next version":            {func(a *account) { a.add("new", "", rotation.LabelPending) }, "new"},
		"next to a version with a value": {func(a *account) { a.versions["new"].value = token(3) }, ""},
		"which it was all the time":      {func(a *account) { a.versions["new"].value = token(2) }, "new"},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.answers = []any{token(2)}
				a.failing("Put new AWSPENDING", errDown)
				a.mustFail(rotation.CreateSecret, rotation.NotStored)

				a.fail = nil
				a.living[token(3)] = true
				tc.change(a)
				a.mustRun(rotation.CreateSecret)
				where, successor := tc.where, a.labelled(rotation.LabelSuccessor)
				if where == "" {
					where = successor
				} else if successor != "" {
					t.Error("the token was stored twice")
				}
				a.mustHold(where, 2)

				a.calls = nil
				a.mustRun(rotation.CreateSecret)
				if a.count("Put") != 0 {
					t.Error("the token was not forgotten when it was stored")
				}
			})
		})
	}
}

// secondSecret is another secret of the account, which waits for a rotation.
type secondSecret struct {
	*account
	put []rotation.Put
	err error
}

func (s *secondSecret) Describe(context.Context, string) (rotation.Description, error) {
	return rotation.Description{ARN: arn + "2", RotationEnabled: true, Labels: map[string][]string{
		"old 2": {rotation.LabelCurrent}, "new-2": {rotation.LabelPending},
	}}, nil
}

func (s *secondSecret) Read(context.Context, string, string) (rotation.Version, error) {
	return rotation.Version{}, rotation.ErrNoValue
}

func (s *secondSecret) ReadCurrent(context.Context, string) (rotation.Version, error) {
	return rotation.Version{VersionInfo: rotation.VersionInfo{ID: "old 2"}, Value: secret.NewText(token(3))}, nil
}

func (s *secondSecret) Versions(context.Context, string) ([]rotation.VersionInfo, error) {
	return nil, nil
}

func (s *secondSecret) Put(_ context.Context, p rotation.Put) error {
	s.put = append(s.put, p)
	if p.VersionID == "new-2" {
		return s.err
	}
	return nil
}

func TestATokenHeldForOneSecretIsNotStoredInAnother(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{token(2), token(4)}
		a.failing("Put new AWSPENDING", errDown)
		a.mustFail(rotation.CreateSecret, rotation.NotStored)

		other := &secondSecret{account: a}
		a.rotator.Store = other
		ctx, cancel := context.WithTimeout(t.Context(), lambdaTimeout)
		defer cancel()
		a.deadline, _ = ctx.Deadline()
		err := a.rotator.Handle(ctx, slog.New(slog.NewJSONHandler(&a.log, nil)), rotation.Request{
			Step: rotation.CreateSecret, SecretID: arn + "2", VersionID: "new-2",
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(other.put, func(p rotation.Put) bool { return p.Value.Reveal() == token(4) }) {
			t.Error("its own token was not stored in the second secret")
		}
		if slices.ContainsFunc(other.put, func(p rotation.Put) bool { return p.Value.Reveal() == token(2) }) {
			t.Error("the token of the first secret was stored in the second")
		}
	})
}

func TestATokenIsNotStoredOverOneThatWasPut(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{token(2)}
		a.failing("Put new AWSPENDING", errDown)
		a.mustFail(rotation.CreateSecret, rotation.NotStored)
		a.fail = nil
		a.replaceByHand()
		a.beginAnew()
		a.answers = []any{token(4)}
		a.mustRun(rotation.CreateSecret)
		a.mustHold(a.labelled(rotation.LabelSuccessor), 2)
		if a.versions["new"].value == token(2) {
			t.Error("the rotation went on with the token that a person had replaced")
		}
	})
}

func TestMemoryEndsWithTheProcess(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{token(2), refused}
		a.failing("Put new AWSPENDING", errDown)
		a.mustFail(rotation.CreateSecret, rotation.NotStored)
		a.fail = nil
		a.restart()
		a.mustFail(rotation.CreateSecret, rotation.TokenRefused, "sealed")
		if !slices.Equal(a.sealed, []string{token(2)}) {
			t.Error("the token is not sealed either")
		}
	})
}

func TestAWriteThatOnlySeemedToFailIsNoSecondToken(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{token(2)}
		first := true
		a.fail = func(call string) error {
			if call == "Put new AWSPENDING" && first {
				first = false
				a.versions["new"].value = token(2)
				return errDown
			}
			return nil
		}
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 2)
		if a.count("Put successor") != 0 {
			t.Error("it was stored twice")
		}
	})
}

func TestTheTokenOfASecondInvocationIsKept(t *testing.T) {
	for name, alive := range map[string]bool{"the stored one lives": true, "the stored one is dead": false} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.answers = []any{token(2)}
				a.living[token(3)] = alive
				a.fail = func(call string) error {
					if call == "Put new AWSPENDING" {
						a.versions["new"].value = token(3)
					}
					return nil
				}
				a.mustRun(rotation.CreateSecret) // testSecret decides
				a.mustHold("new", 3)
				a.mustHold(a.labelled(rotation.LabelSuccessor), 2)
			})
		})
	}
}

func TestASealThatFailsDoesNotStopTheStoring(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{token(2)}
		a.sealErr = errors.New("no seal")
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 2)
		if !slices.ContainsFunc(a.measured, func(m rotation.Measurement) bool { return m.Event == rotation.SealFailed }) {
			t.Error("the seal that failed is not measured")
		}
		if !strings.Contains(a.log.String(), "no seal") {
			t.Error("no failure was reported")
		}
	})
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
