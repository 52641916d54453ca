package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"panther-token-rotation/internal/health"
	"panther-token-rotation/internal/rotation"
)

// measured takes measurements.
type measured struct {
	mu  sync.Mutex
	all []string
}

func (m *measured) Measure(measured rotation.Measurement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, fmt.Sprint(measured.Event, measured.SecretARN, measured.Kind))
}

// checks answers for secrets by name.
type checks map[string]error

func (c checks) Check(_ context.Context, secretID string) ([]health.Problem, error) {
	if err := c[secretID]; err != nil {
		return []health.Problem{{Kind: rotation.RotationDisabled, What: "off", Next: "turn it on"}}, err
	}
	return nil, nil
}

func TestTheDailyCheckHasAHeartbeatForEachSecretItLookedAt(t *testing.T) {
	for name, tc := range map[string]struct {
		secrets []string
		want    []string
	}{
		"two that it could look at": {[]string{"a", "b"}, []string{fmt.Sprint(rotation.AllChecked, "", ""), fmt.Sprint(rotation.Checked, "a", ""), fmt.Sprint(rotation.Checked, "b", "")}},
		"one that it could not":     {[]string{"a", "closed"}, []string{fmt.Sprint(rotation.Checked, "a", ""), fmt.Sprint(rotation.ProblemFound, "closed", rotation.RotationDisabled), fmt.Sprint(rotation.ProblemFound, "closed", rotation.StoreUnavailable)}},
		"none":                      {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h, s, out := newTestHandler(nil)
			m := &measured{}
			var asked string
			h.check = check{secrets: tc.secrets, meter: m, checker: func(arn string) checker {
				asked = arn
				return checks{"closed": errors.New("AccessDeniedException")}
			}}
			ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{InvokedFunctionArn: "arn:aws:lambda:eu-west-1:123456789012:function:rotator:live"})
			answer, err := h.Invoke(ctx, []byte(`{"Check":"secrets"}`))
			if err != nil || string(answer) != "null" {
				t.Fatalf("got %s, %v", answer, err)
			}
			slices.Sort(m.all)
			slices.Sort(tc.want)
			if !slices.Equal(m.all, tc.want) {
				t.Errorf("measured %q, want %q", m.all, tc.want)
			}
			if asked != "arn:aws:lambda:eu-west-1:123456789012:function:rotator" {
				t.Errorf("secrets are held to name %s", asked)
			}
			if s.flushed != 1 || len(s.requests) > 0 {
				t.Errorf("flushed %d times, %d steps", s.flushed, len(s.requests))
			}
			if strings.Contains(name, "could not") && !strings.Contains(out.String(), `"event":"check_failed"`) {
				t.Errorf("the log is %s", out)
			}
		})
	}
}

// TestOnlyTheExactCheckEventChecks: an event cannot name secrets, and an
// unknown one stays an error.
func TestOnlyTheExactCheckEventChecks(t *testing.T) {
	for _, payload := range []string{
		`{"Check":"secrets","Secrets":["other"]}`, `{"Check":"everything"}`, `{"Check":["secrets"]}`, `{"check_secrets":"a"}`,
		`{"Check":"secrets","Step":"createSecret","SecretId":"arn:x","ClientRequestToken":"v1"}`,
	} {
		if isCheckEvent([]byte(payload)) {
			t.Errorf("%s runs the check", payload)
		}
	}
}

func TestFunctionARNWithoutContext(t *testing.T) {
	if arn := functionARN(t.Context()); arn != "" {
		t.Errorf("got %s", arn)
	}
	for _, arn := range []string{"", "arn:aws:lambda", "arn:aws:lambda:eu-west-1:123456789012:function:rotator"} {
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{InvokedFunctionArn: arn})
		if got := functionARN(ctx); got != arn {
			t.Errorf("%s became %s", arn, got)
		}
	}
}

// TestAHangingStoreDoesNotEndTheCheck: what is held is stored first, within a
// limit, and the check comes after it.
func TestAHangingStoreDoesNotEndTheCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s, _ := newTestHandler(nil)
		s.flush = func(ctx context.Context) { <-ctx.Done() }
		m := &measured{}
		h.check = check{secrets: []string{"a"}, meter: m, checker: func(string) checker { return checks{} }}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		if _, err := h.Invoke(ctx, []byte(`{"Check":"secrets"}`)); err != nil || ctx.Err() != nil || len(m.all) != 2 {
			t.Errorf("measured %q, %v, %v", m.all, err, ctx.Err())
		}
	})
}
