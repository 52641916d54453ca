package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// handler takes the events of Secrets Manager.
type handler struct {
	rotator *rotation.Rotator
	log     *slog.Logger
}

var _ lambda.Handler = (*handler)(nil)

// Invoke decodes one rotation event and carries out its step. A failure has the
// [rotation.Kind] as its errorType.
func (h *handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	log := h.log
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		log = log.With("requestId", lc.AwsRequestID)
	}
	var event events.SecretsManagerSecretRotationEvent
	if err := json.Unmarshal(payload, &event); err != nil {
		// The JSON error is left out: it could quote the RotationToken.
		const message = "the event is not a Secrets Manager rotation event; start a rotation with: aws secretsmanager rotate-secret --secret-id …"
		log.Error("step failed", "kind", string(rotation.BadEvent), "error", message)
		return nil, messages.InvokeResponse_Error{Type: string(rotation.BadEvent), Message: message}
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
