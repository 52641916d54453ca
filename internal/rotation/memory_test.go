package rotation

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"panther-token-rotation/internal/secret"
)

func TestSecretName(t *testing.T) {
	for id, want := range map[string]string{
		"arn:aws:secretsmanager:eu-west-1:1:secret:panther-AbCdEf": "arn:aws:secretsmanager:eu-west-1:1:secret:panther",
		"arn:aws:secretsmanager:eu-west-1:1:secret:panther":        "arn:aws:secretsmanager:eu-west-1:1:secret:panther",
		"panther-AbCdEf": "panther-AbCdEf",
		"panther":        "panther",
		"-AbCdEf":        "-AbCdEf",
		"arn:":           "arn:",
		"x":              "x",
	} {
		if got := secretName(id); got != want {
			t.Errorf("the name of %s is %s, want %s", id, got, want)
		}
	}
}

func TestMemoryForgetsOnlyWhatWasStored(t *testing.T) {
	m := newMemory()
	first := nextToken{token: secret.NewText("first"), secretARN: "s"}
	second := nextToken{token: secret.NewText("second"), secretARN: "s"}
	m.forget(first)
	m.hold(second)
	m.forget(first)
	if held, ok := m.held("s"); !ok || !held.token.Equal(second.token) {
		t.Error("another token was forgotten")
	}
	m.forget(second)
	if _, ok := m.held("s"); ok {
		t.Error("the token is still held")
	}
	m.retry("s") // of nothing
	if _, ok := m.held("s"); ok {
		t.Error("something is held")
	}
}

func TestTheTimeSinceARotationIsThatOfTheVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.noteRotation(nextToken{secretARN: "s", made: time.Now()}, "v1")
		m.noteRotation(nextToken{secretARN: "adopted"}, "v1")
		time.Sleep(time.Minute)
		for _, tc := range []struct {
			secret, version string
			want            time.Duration
		}{{"s", "v1", time.Minute}, {"s", "v2", 0}, {"adopted", "v1", 0}, {"other", "", 0}} {
			if got := m.sinceRotation(tc.secret, tc.version); got != tc.want {
				t.Errorf("%s of %s: %v, want %v", tc.version, tc.secret, got, tc.want)
			}
		}
	})
}

// TestAnUnknownErrorIsAnError guards against a step that returns another error
// than an *Error.
func TestAnUnknownErrorIsAnError(t *testing.T) {
	inv := &invocation{log: slog.New(slog.DiscardHandler)}
	cause := errors.New("?")
	if err := inv.asError(cause); err == nil || !errors.Is(err, StoreUnavailable) || !errors.Is(err, cause) {
		t.Errorf("it became %v", err)
	}
}

// TestTheDeadlineIsOnTheMonotonicClock holds where the clock is set during an
// invocation. It runs in real time, because simulated time has one clock.
func TestTheDeadlineIsOnTheMonotonicClock(t *testing.T) {
	wall := time.Now().Add(time.Minute).Round(0) // as aws-lambda-go makes it
	ctx, cancel := context.WithDeadline(t.Context(), wall)
	defer cancel()
	steady, stop := withSteadyDeadline(ctx)
	defer stop()
	deadline, ok := steady.Deadline()
	if !ok || deadline == deadline.Round(0) {
		t.Errorf("the deadline is a wall clock time: %v", deadline)
	}
	if early := wall.Sub(deadline); early < 0 || early > time.Second {
		t.Errorf("it is %v before Lambda's", early)
	}
}
