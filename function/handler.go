package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// handler takes the events of Secrets Manager and of the daily check.
type handler struct {
	rotator rotator
	check   check
	log     *slog.Logger
}

// rotator carries out rotation steps: a [rotation.Rotator].
type rotator interface {
	Handle(ctx context.Context, log *slog.Logger, req rotation.Request) error
	Flush(ctx context.Context, log *slog.Logger)
}

// notAnEvent leaves out what JSON has to say of the event, which could quote the
// RotationToken.
const notAnEvent = "the event is not a Secrets Manager rotation event; start a rotation with: aws secretsmanager rotate-secret --secret-id …"

var _ lambda.Handler = (*handler)(nil)

// flush stores what the process holds, before Lambda ends it.
func (h *handler) flush(ctx context.Context) { h.rotator.Flush(ctx, h.log) }

// flushBefore stores what the process holds before the check. It leaves the
// check at least half of the invocation.
func (h *handler) flushBefore(ctx context.Context, log *slog.Logger) {
	limit := 30 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	h.rotator.Flush(ctx, log)
}

// Invoke decodes one rotation event and carries out its step, or runs the daily
// check. A failure has the [rotation.Kind] as its errorType.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	log := h.log
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		log = log.With("requestId", lc.AwsRequestID)
	}
	if isCheckEvent(payload) {
		h.flushBefore(ctx, log)
		h.check.run(ctx, log)
		return []byte("null"), nil
	}
	var event events.SecretsManagerSecretRotationEvent
	if err := json.Unmarshal(payload, &event); err != nil {
		rotation.EventStepFailed.Log(log, "kind", string(rotation.BadEvent), "error", notAnEvent)
		return nil, messages.InvokeResponse_Error{Type: string(rotation.BadEvent), Message: notAnEvent}
	}
	err := h.rotator.Handle(ctx, log, rotation.Request{
		Step:          rotation.Step(event.Step),
		SecretID:      event.SecretID,
		VersionID:     event.ClientRequestToken,
		RotationToken: secret.NewText(event.RotationToken),
	})
	if failure, ok := errors.AsType[*rotation.Error](err); ok {
		return nil, messages.InvokeResponse_Error{Type: string(failure.Kind), Message: failure.Error()}
	}
	return []byte("null"), err
}
