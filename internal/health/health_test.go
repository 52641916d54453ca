package health_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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
	id        string // of AWSCURRENT
	value     string
	created   time.Time            // of AWSCURRENT
	pending   time.Time            // of the version "pending"
	older     map[string]time.Time // versions with the same value
	answers   map[string]error
	expires   map[string]time.Time
	fail      map[string]error // by operation
	failures  int              // how often, if not always
	hangs     string           // the operation that gets no answer
	onCheck   func()
}

func (w *world) hang(ctx context.Context, operation string) error {
	if w.hangs != operation {
		return ctx.Err()
	}
	<-ctx.Done()
	return ctx.Err()
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

func (w *world) Describe(ctx context.Context, _ string) (rotation.Description, error) {
	d := w.described
	d.Labels = maps.Clone(d.Labels)
	return d, cmp.Or(w.hang(ctx, "Describe"), w.failing("Describe"))
}

func (w *world) Read(_ context.Context, _, id string) (rotation.Version, error) {
	return rotation.Version{VersionInfo: rotation.VersionInfo{ID: id, Created: w.older[id]}, Value: secret.NewText(w.value)}, w.failing("Read")
}

func (w *world) ReadCurrent(context.Context, string) (rotation.Version, error) {
	return rotation.Version{VersionInfo: rotation.VersionInfo{ID: w.id, Created: w.created}, Value: secret.NewText(w.value)}, w.failing("ReadCurrent")
}

func (w *world) Versions(context.Context, string) ([]rotation.VersionInfo, error) {
	versions := []rotation.VersionInfo{{ID: w.id, Created: w.created}}
	if !w.pending.IsZero() {
		versions = append(versions, rotation.VersionInfo{ID: "pending", Created: w.pending})
	}
	for id, created := range w.older {
		versions = append(versions, rotation.VersionInfo{ID: id, Created: created})
	}
	return versions, w.failing("Versions")
}

func (w *world) Rotate(context.Context, secret.Text) (secret.Text, error) {
	panic("the check rotates a token")
}

func (w *world) Check(ctx context.Context, token secret.Text) error {
	if w.onCheck != nil {
		w.onCheck()
	}
	if err := w.hang(ctx, "Check"); err != nil {
		return err
	}
	return w.answers[token.Reveal()]
}

func (w *world) Expiry(ctx context.Context, token secret.Text) (time.Time, bool) {
	if w.hang(ctx, "Expiry") != nil {
		return time.Time{}, false
	}
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

// put makes AWSCURRENT a new version, as put-secret-value does.
func (w *world) put(since time.Duration) { w.created = time.Now().Add(-since) }

// check runs in simulated time.
func check(t *testing.T, change func(w *world)) (problems []health.Problem, err error) {
	t.Helper()
	return checkWithin(t, 4*time.Minute, change)
}

// checkWithin has Lambda end the check after timeout.
func checkWithin(t *testing.T, timeout time.Duration, change func(w *world)) (problems []health.Problem, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		deadline := time.Now().Add(timeout)
		w := &world{
			described: rotation.Description{
				ARN: secretARN, RotationEnabled: true, FunctionARN: functionARN, NextRotation: time.Now().Add(time.Hour),
				Labels: map[string][]string{"current": {rotation.LabelCurrent}},
			},
			id: "current", value: pair(), created: time.Now().Add(-48 * time.Hour),
			answers: map[string]error{}, older: map[string]time.Time{}, expires: map[string]time.Time{}, fail: map[string]error{},
		}
		change(w)
		problems, err = health.Checker{
			Store: w, Issuer: w, Expirer: w, Keys: keys, FunctionARN: functionARN, PropagationTimeout: 3 * time.Minute,
		}.Check(ctx, secretARN)
		if left := time.Until(deadline); left < time.Second {
			t.Errorf("the check left %v for what is reported after it", left)
		}
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
		"no function":                  {func(w *world) { w.described.FunctionARN = "" }, rotation.OtherFunction, "--rotation-rules"},
		"the schedule is gone":         {func(w *world) { w.described.NextRotation = time.Time{} }, rotation.RotationDisabled, "--rotation-rules"},
		"the rotation is overdue":      {func(w *world) { w.described.NextRotation = time.Now().Add(-25 * time.Hour) }, rotation.RotationOverdue, "rotate-secret"},
		"the rotation is stuck":        {func(w *world) { w.rotating(25 * time.Hour) }, rotation.RotationStuck, "rotate-secret"},
		"the active token is dead":     {func(w *world) { w.answers[active] = refused }, rotation.TokenRefused, "rotate-secret"},
		"it is dead in a rotation":     {func(w *world) { w.rotating(time.Hour); w.answers[active] = refused }, rotation.TokenRefused, "rotate-secret"},
		"the standby is dead":          {func(w *world) { w.answers[standby] = refused }, rotation.StandbyRefused, "standby"},
		"the only token is dead":       {func(w *world) { w.value = active; w.answers[active] = refused }, rotation.TokenRefused, "put-secret-value"},
		"a dead token was put again": {func(w *world) {
			w.put(time.Second)
			w.older["old"] = time.Now().Add(-time.Hour)
			w.answers[standby] = refused
		}, rotation.StandbyRefused, "standby"},
		"a dead token from a clock ahead": {func(w *world) { w.put(-time.Hour); w.answers[standby] = refused }, rotation.StandbyRefused, "standby"},
		"the value is no token":           {func(w *world) { w.value = "{}" }, rotation.SecretUnusable, "put-secret-value"},
		"the value is binary":             {func(w *world) { w.fail["ReadCurrent"] = secret.ErrBinary }, rotation.SecretUnusable, "put-secret-value"},
		"Panther is unreachable":          {func(w *world) { w.answers[active] = answer(rotation.NotSent) }, rotation.PantherUnavailable, "network path"},
		"one refusal, then no network": {func(w *world) {
			w.answers[active] = refused
			w.onCheck = func() { w.onCheck = func() { w.answers[active] = answer(rotation.NotSent) } }
		}, rotation.PantherUnavailable, "network path"},
		"AWSCURRENT moves to another dead token": {func(w *world) {
			w.value, w.answers[active] = active, refused
			w.onCheck = func() {
				w.value, w.answers[standby] = standby, refused
				w.id, w.described.Labels = "next", map[string][]string{"next": {rotation.LabelCurrent}}
			}
		}, rotation.TokenRefused, "put-secret-value"},
		"the address is wrong":     {func(w *world) { w.answers[active] = answer(rotation.Misconfigured) }, rotation.EndpointMisconfigured, "PANTHER_API_URL"},
		"the active token expires": {func(w *world) { w.expires[active] = time.Now().Add(13 * 24 * time.Hour) }, rotation.TokenExpires, "put-secret-value"},
		"the standby expires":      {func(w *world) { w.expires[standby] = time.Now().Add(13 * 24 * time.Hour) }, rotation.TokenExpires, "standby"},
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
		"all is well":                            func(*world) {},
		"one token":                              func(w *world) { w.value = active },
		"due in this very hour":                  func(w *world) { w.described.NextRotation = time.Now().Add(-time.Hour) },
		"a rotation is under way":                func(w *world) { w.rotating(time.Hour); w.answers[standby] = refused },
		"a rotation is under way with one token": func(w *world) { w.value = active; w.rotating(time.Hour); w.answers[active] = refused },
		"one failed look at Panther": func(w *world) {
			w.answers[active] = answer(rotation.NotSent)
			w.onCheck = func() { w.onCheck = func() { delete(w.answers, active) } }
		},
		"one failed look at the secret":   func(w *world) { w.fail["Describe"], w.failures = errors.New("throttled"), 1 },
		"one failed look at its versions": func(w *world) { w.rotating(time.Hour); w.fail["Versions"], w.failures = errors.New("throttled"), 1 },
		"no schedule during a rotation":   func(w *world) { w.described.NextRotation = time.Time{}; w.rotating(time.Hour) },
		"one refusal": func(w *world) {
			w.answers[active] = refused
			w.onCheck = func() { w.onCheck = func() { delete(w.answers, active) } }
		},
		"one refusal and three failures of the network, then the next look": func(w *world) {
			w.answers[active] = answer(rotation.NotSent)
			looks := 0
			w.onCheck = func() {
				if looks++; looks == 3 {
					w.answers[active] = refused
				} else if looks == 4 {
					delete(w.answers, active)
				}
			}
		},
		"a token that was put five seconds ago": func(w *world) { w.put(5 * time.Second); w.answers[active], w.answers[standby] = refused, refused },
		"the same with one token":               func(w *world) { w.value = active; w.put(5 * time.Second); w.answers[active] = refused },
		"the same next to an unreadable version": func(w *world) {
			w.put(5 * time.Second)
			w.answers[active] = refused
			w.older["old"], w.fail["Read"] = time.Now().Add(-time.Hour), errors.New("DecryptionFailure")
		},
		"a token that expires in a month": func(w *world) { w.expires[active] = time.Now().Add(30 * 24 * time.Hour) },
		"AWSCURRENT moves meanwhile": func(w *world) {
			w.answers[active] = refused
			w.onCheck = func() {
				w.described.Labels, w.id = map[string][]string{"next": {rotation.LabelCurrent}}, "next"
				delete(w.answers, active)
			}
		},
		"a rotation of the only token begins meanwhile": func(w *world) {
			w.value, w.answers[active] = active, refused
			w.onCheck = func() { w.rotating(0) }
		},
		"a rotation of the only token begins and ends meanwhile": func(w *world) {
			w.value, w.answers[active] = active, refused
			w.onCheck = func() {
				w.value, w.described.Labels = standby, map[string][]string{"next": {rotation.LabelCurrent}}
				w.id = "next"
			}
		},
		"rotations without an end": func(w *world) {
			w.value, w.answers[active] = active, refused
			w.onCheck = func() { w.id += "+"; w.described.Labels = map[string][]string{w.id: {rotation.LabelCurrent}} }
		},
		"a rotation begins meanwhile":   func(w *world) { w.answers[standby] = refused; w.onCheck = func() { w.rotating(0) } },
		"AWSPENDING next to AWSCURRENT": func(w *world) { w.described.Labels["current"] = []string{rotation.LabelCurrent, rotation.LabelPending} },
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
		if _, err := check(t, func(w *world) { w.fail[operation] = errors.New("AccessDeniedException") }); err == nil || !strings.Contains(err.Error(), "AccessDeniedException. Try: aws secretsmanager describe-secret --secret-id "+secretARN) {
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

// TestBothTokensAreDead: then no rotation helps.
func TestBothTokensAreDead(t *testing.T) {
	problems, err := check(t, func(w *world) {
		w.answers[active], w.answers[standby] = answer(rotation.Unauthorized), answer(rotation.Unauthorized)
	})
	if err != nil || len(problems) != 2 || problems[0].Kind != rotation.TokenRefused || problems[1].Kind != rotation.StandbyRefused {
		t.Fatalf("got %+v, %v", problems, err)
	}
	if !strings.Contains(problems[0].Next, "put-secret-value") {
		t.Errorf("the next command is %s", problems[0].Next)
	}
}

// TestAHangingCallDoesNotCostTheHeartbeat: the check ends in time, and what it
// could look at counts. checkWithin asserts the time.
func TestAHangingCallDoesNotCostTheHeartbeat(t *testing.T) {
	for name, tc := range map[string]struct {
		hangs   string
		timeout time.Duration
		kinds   []rotation.Kind
		looked  bool
	}{
		"the expiry":                           {"Expiry", 4 * time.Minute, nil, true},
		"the expiry, with Lambda's 15 seconds": {"Expiry", 15 * time.Second, nil, true},
		"Panther":                              {"Check", 4 * time.Minute, []rotation.Kind{rotation.PantherUnavailable}, true},
		"Panther, with half a minute":          {"Check", 30 * time.Second, []rotation.Kind{rotation.PantherUnavailable}, true},
		"Panther, with too little time":        {"Check", 14 * time.Second, nil, false},
		"Secrets Manager":                      {"Describe", 4 * time.Minute, nil, false},
		"Secrets Manager, with little time":    {"Describe", 4 * time.Second, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			problems, err := checkWithin(t, tc.timeout, func(w *world) { w.hangs = tc.hangs })
			var kinds []rotation.Kind
			for _, p := range problems {
				kinds = append(kinds, p.Kind)
			}
			if !slices.Equal(kinds, tc.kinds) || (err == nil) != tc.looked {
				t.Errorf("found %v, %v", kinds, err)
			}
		})
	}
}

// TestOneRefusalIsNotTheLastWord, even if there is no time to ask again.
func TestOneRefusalIsNotTheLastWord(t *testing.T) {
	problems, err := checkWithin(t, 6*time.Second, func(w *world) { w.answers[active] = answer(rotation.Unauthorized) })
	if err == nil || len(problems) > 0 {
		t.Errorf("got %+v, %v", problems, err)
	}
}
