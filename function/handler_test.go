package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda/messages"

	"panther-token-rotation/internal/rotation"
)

// steps takes requests instead of a Rotator.
type steps struct {
	requests []rotation.Request
	flushed  int
	flush    func(context.Context)
	err      error
}

func (s *steps) Handle(_ context.Context, _ *slog.Logger, req rotation.Request) error {
	s.requests = append(s.requests, req)
	return s.err
}

func (s *steps) Flush(ctx context.Context, _ *slog.Logger) {
	s.flushed++
	if s.flush != nil {
		s.flush(ctx)
	}
}

func newTestHandler(err error) (*handler, *steps, *bytes.Buffer) {
	var out bytes.Buffer
	s := &steps{err: err}
	return &handler{rotator: s, log: newLogger(&out, slog.LevelDebug)}, s, &out
}

func TestEventBecomesARequest(t *testing.T) {
	h, s, out := newTestHandler(nil)
	answer, err := h.Invoke(t.Context(), []byte(`{"Step":"createSecret","SecretId":"arn:x","ClientRequestToken":"v1","RotationToken":"hunter2-rotation"}`))
	if err != nil {
		t.Fatal(err)
	}
	if string(answer) != "null" {
		t.Errorf("the answer is %q, but a step has nothing to say", answer)
	}
	if len(s.requests) != 1 {
		t.Fatalf("%d steps were carried out, want 1", len(s.requests))
	}
	req := s.requests[0]
	if req.Step != rotation.CreateSecret || req.SecretID != "arn:x" || req.VersionID != "v1" || req.RotationToken.Reveal() != "hunter2-rotation" {
		t.Errorf("the request is %+v", req)
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error("the RotationToken was logged")
	}
}

func TestKindOfFailureIsTheErrorType(t *testing.T) {
	failure := &rotation.Error{Kind: rotation.TokenLost, Step: rotation.CreateSecret, SecretARN: "arn:x", VersionID: "v1", What: "it is gone", Next: "make another"}
	h, _, _ := newTestHandler(failure)
	_, err := h.Invoke(t.Context(), []byte(`{}`))
	response, ok := errors.AsType[messages.InvokeResponse_Error](err)
	if !ok || response.Type != "TokenLost" {
		t.Fatalf("got %#v, want errorType TokenLost", err)
	}
	for _, part := range []string{"it is gone", "arn:x", "v1", "make another"} {
		if !strings.Contains(response.Message, part) {
			t.Errorf("errorMessage %q does not tell %q", response.Message, part)
		}
	}
}

// FuzzEvent gives the function any payload: it neither panics nor quotes what it
// does not understand, and it acts on a well-formed event as it stands.
func FuzzEvent(f *testing.F) {
	for _, payload := range []string{
		`{"Step":"createSecret","SecretId":"arn:x","ClientRequestToken":"v1","RotationToken":"t"}`,
		`{"Step":"finishSecret","SecretId":"arn:x","ClientRequestToken":"v1"}`,
		`{"Step":1}`, `{"RotationToken":{"a":"hunter2hunter2"}}`, `[]`, `null`, ``, `"hunter2hunter2"`, `{"Step":"\ud800"}`, "\xff",
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		h, s, out := newTestHandler(nil)
		_, err := h.Invoke(t.Context(), payload)
		if err == nil {
			var event events.SecretsManagerSecretRotationEvent
			if json.Unmarshal(payload, &event) != nil || len(s.requests) != 1 || s.requests[0].SecretID != event.SecretID {
				t.Fatalf("acted on %q as %+v", payload, s.requests)
			}
			return
		}
		response, ok := errors.AsType[messages.InvokeResponse_Error](err)
		if !ok || response.Type != "BadEvent" || len(s.requests) != 0 {
			t.Fatalf("%q: got %v and %d steps", payload, err, len(s.requests))
		}
		if response.Message != notAnEvent {
			t.Fatalf("%q: the message is %q", payload, response.Message)
		}
		if line := out.String(); !strings.Contains(line, `"error":"`+notAnEvent+`"}`) || strings.Count(line, "\n") != 1 {
			t.Fatalf("%q: the log is %q", payload, line)
		}
	})
}
