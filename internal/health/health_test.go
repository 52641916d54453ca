package health_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"panther-token-rotation/internal/health"
	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

const (
	secretARN   = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:panther-AbCdEf"
	functionARN = "arn:aws:lambda:eu-west-1:123456789012:function:rotator"
	active      = "Xq1ZvK8wJ1Yh3Rt1Lm6P"
	standby     = "Xq2ZvK8wJ2Yh3Rt2Lm6P"
)

var keys = secret.Keys{Token: "PANTHER_API_TOKEN", Standby: "PANTHER_API_TOKEN_STANDBY"}

// world is a healthy secret with two tokens, which a test then changes. It is
// the Store, the Issuer and the Expirer of its Checker.
type world struct {
	rotation.Store // no call but those below may come

	described rotation.Description
	value     string
	created   time.Time // of AWSCURRENT
	pending   time.Time // of the version "pending"
	answers   map[string]error
	expires   map[string]time.Time
	fail      map[string]error // by operation
	failures  int              // how often, if not always
	onCheck   func()
}

func (w *world) failing(operation string) error {
	err := w.fail[operation]
	if err != nil && w.failures > 0 {
		if w.failures--; w.failures == 0 {
			delete(w.fail, operation)
		}
	}
	return err
}

func (w *world) Describe(context.Context, string) (rotation.Description, error) {
	return w.described, w.failing("Describe")
}

func (w *world) ReadCurrent(context.Context, string) (rotation.Version, error) {
	return rotation.Version{VersionInfo: rotation.VersionInfo{ID: "current", Created: w.created}, Value: secret.NewText(w.value)}, w.failing("ReadCurrent")
}

func (w *world) Versions(context.Context, string) ([]rotation.VersionInfo, error) {
	return []rotation.VersionInfo{{ID: "current", Created: w.created}, {ID: "pending", Created: w.pending}}, w.failing("Versions")
}

func (w *world) Rotate(context.Context, secret.Text) (secret.Text, error) {
	panic("the check rotates a token")
}

func (w *world) Check(_ context.Context, token secret.Text) error {
	if w.onCheck != nil {
		w.onCheck()
	}
	return w.answers[token.Reveal()]
}

func (w *world) Expiry(_ context.Context, token secret.Text) (time.Time, bool) {
	at, ok := w.expires[token.Reveal()]
	return at, ok
}

func answer(kind rotation.Answer) error {
	return &rotation.AnswerError{Answer: kind, Summary: "an answer of Panther"}
}

func pair() string {
	return fmt.Sprintf(`{"PANTHER_API_TOKEN":%q,"PANTHER_API_TOKEN_STANDBY":%q}`, active, standby)
}

func (w *world) rotating(since time.Duration) {
	w.described.Labels["pending"] = []string{rotation.LabelPending}
	w.pending = time.Now().Add(-since)
}

// check runs in simulated time.
func check(t *testing.T, change func(w *world)) (problems []health.Problem, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			described: rotation.Description{
				ARN: secretARN, RotationEnabled: true, FunctionARN: functionARN, NextRotation: time.Now().Add(time.Hour),
				Labels: map[string][]string{"current": {rotation.LabelCurrent}},
			},
			value: pair(), created: time.Now().Add(-48 * time.Hour),
			answers: map[string]error{}, expires: map[string]time.Time{}, fail: map[string]error{},
		}
		change(w)
		problems, err = health.Checker{
			Store: w, Issuer: w, Expirer: w, Keys: keys, FunctionARN: functionARN, PropagationTimeout: 3 * time.Minute,
		}.Check(t.Context(), secretARN)
	})
	return problems, err
}

// TestEachProblemIsFound prints each problem with its next command.
func TestEachProblemIsFound(t *testing.T) {
	refused := answer(rotation.Unauthorized)
	for name, tc := range map[string]struct {
		change func(w *world)
		kind   rotation.Kind
		next   string
	}{
		"the secret is gone":           {func(w *world) { w.fail["Describe"] = rotation.ErrNoSecret }, rotation.SecretDeleted, "list of secrets"},
		"it is scheduled for deletion": {func(w *world) { w.described.Deleted = time.Now() }, rotation.SecretDeleted, "restore-secret"},
		"rotation is disabled":         {func(w *world) { w.described.RotationEnabled = false }, rotation.RotationDisabled, "rotate-secret"},
		"another function":             {func(w *world) { w.described.FunctionARN += "-2" }, rotation.OtherFunction, functionARN},
		"no function":                  {func(w *world) { w.described.FunctionARN = "" }, rotation.OtherFunction, functionARN},
		"the rotation is overdue":      {func(w *world) { w.described.NextRotation = time.Now().Add(-25 * time.Hour) }, rotation.RotationOverdue, "rotate-secret"},
		"the rotation is stuck":        {func(w *world) { w.rotating(25 * time.Hour) }, rotation.RotationStuck, "rotate-secret"},
		"the active token is dead":     {func(w *world) { w.answers[active] = refused }, rotation.TokenRefused, "put-secret-value"},
		"it is dead in a rotation":     {func(w *world) { w.rotating(time.Hour); w.answers[active] = refused }, rotation.TokenRefused, "put-secret-value"},
		"the standby is dead":          {func(w *world) { w.answers[standby] = refused }, rotation.StandbyRefused, "standby"},
		"the only token is dead":       {func(w *world) { w.value = active; w.answers[active] = refused }, rotation.TokenRefused, "put-secret-value"},
		"the value is no token":        {func(w *world) { w.value = "{}" }, rotation.SecretUnusable, "put-secret-value"},
		"the value is binary":          {func(w *world) { w.fail["ReadCurrent"] = secret.ErrBinary }, rotation.SecretUnusable, "put-secret-value"},
		"Panther is unreachable":       {func(w *world) { w.answers[active] = answer(rotation.NotSent) }, rotation.PantherUnavailable, "network path"},
		"the address is wrong":         {func(w *world) { w.answers[active] = answer(rotation.Misconfigured) }, rotation.EndpointMisconfigured, "PANTHER_API_URL"},
		"the active token expires":     {func(w *world) { w.expires[active] = time.Now().Add(13 * 24 * time.Hour) }, rotation.TokenExpires, "put-secret-value"},
		"the standby expires":          {func(w *world) { w.expires[standby] = time.Now().Add(13 * 24 * time.Hour) }, rotation.TokenExpires, "standby"},
	} {
		t.Run(name, func(t *testing.T) {
			problems, err := check(t, tc.change)
			if err != nil || len(problems) != 1 || problems[0].Kind != tc.kind {
				t.Fatalf("got %+v, %v; want %s alone", problems, err, tc.kind)
			}
			p := problems[0]
			t.Logf("%s: %s. %s", p.Kind, p.What, p.Next)
			if !strings.Contains(p.Next, tc.next) || strings.Contains(p.Next, "<") || len(p.What+p.Next) > 300 {
				t.Errorf("the next command is %q, want something of %q", p.Next, tc.next)
			}
			if strings.Contains(p.What+p.Next, active[:8]) || strings.Contains(p.What+p.Next, standby[:8]) {
				t.Error("a token is in the problem")
			}
			if !slices.ContainsFunc(rotation.Kinds, func(info rotation.KindInfo) bool { return info.Kind == p.Kind }) {
				t.Errorf("%s is not in the table of kinds", p.Kind)
			}
		})
	}
}

func TestNoFalseAlarm(t *testing.T) {
	refused := answer(rotation.Unauthorized)
	for name, change := range map[string]func(w *world){
		"all is well":             func(*world) {},
		"one token":               func(w *world) { w.value = active },
		"no schedule":             func(w *world) { w.described.NextRotation = time.Time{} },
		"due in this very hour":   func(w *world) { w.described.NextRotation = time.Now().Add(-time.Hour) },
		"a rotation is under way": func(w *world) { w.rotating(time.Hour); w.answers[standby] = refused },
		"the same with one token": func(w *world) { w.value = active; w.rotating(time.Hour); w.answers[active] = refused },
		"one failed look at Panther": func(w *world) {
			w.answers[active] = answer(rotation.NotSent)
			w.onCheck = func() { w.onCheck = func() { delete(w.answers, active) } }
		},
		"one failed look at the secret":   func(w *world) { w.fail["Describe"], w.failures = errors.New("throttled"), 1 },
		"one failed look at its versions": func(w *world) { w.rotating(time.Hour); w.fail["Versions"], w.failures = errors.New("throttled"), 1 },
		"a token of a minute ago": func(w *world) {
			w.created = time.Now().Add(-time.Minute)
			w.answers[active] = refused
			w.onCheck = func() { w.onCheck = func() { delete(w.answers, active) } }
		},
		"a token that expires in a month": func(w *world) { w.expires[active] = time.Now().Add(30 * 24 * time.Hour) },
		"AWSCURRENT moves meanwhile": func(w *world) {
			w.answers[active] = refused
			w.onCheck = func() { w.described.Labels = map[string][]string{"next": {rotation.LabelCurrent}} }
		},
		"a rotation begins meanwhile":  func(w *world) { w.answers[standby] = refused; w.onCheck = func() { w.rotating(0) } },
		"AWSPENDING beside AWSCURRENT": func(w *world) { w.described.Labels["current"] = []string{rotation.LabelCurrent, rotation.LabelPending} },
	} {
		t.Run(name, func(t *testing.T) {
			if problems, err := check(t, change); err != nil || len(problems) > 0 {
				t.Errorf("got %+v, %v", problems, err)
			}
		})
	}
}

// TestWhatCannotBeLookedAtIsNoHealth: without a look there is no heartbeat.
func TestWhatCannotBeLookedAtIsNoHealth(t *testing.T) {
	for _, operation := range []string{"Describe", "ReadCurrent"} {
		if _, err := check(t, func(w *world) { w.fail[operation] = errors.New("AccessDeniedException") }); err == nil {
			t.Errorf("%s fails, and the secret counts as checked", operation)
		}
	}
	if _, err := check(t, func(w *world) { w.rotating(time.Hour); w.fail["Versions"] = errors.New("AccessDeniedException") }); err == nil {
		t.Error("the versions cannot be listed, and the secret counts as checked")
	}
	// Values of a secret that names another function are not for this one.
	problems, err := check(t, func(w *world) {
		w.described.FunctionARN = ""
		w.fail["ReadCurrent"], w.fail["Versions"] = errors.New("AccessDeniedException"), errors.New("AccessDeniedException")
	})
	if err != nil || len(problems) != 1 {
		t.Errorf("got %+v, %v", problems, err)
	}
}
