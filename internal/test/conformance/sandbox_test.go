package conformance

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"go.uber.org/goleak"

	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const functionARN = "arn:aws:lambda:eu-west-1:123456789012:function:conformance"

// newClient makes a client of an emulator.
func newClient(url string) *sdk.Client {
	return sdk.New(sdk.Options{
		Region:       "eu-west-1",
		BaseEndpoint: &url,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	})
}

func TestSandboxConforms(t *testing.T) {
	var client *sdk.Client
	manager := secretsmanager.New(secretsmanager.Options{
		RotationAttempts: 1,
		HasFunction:      func(arn string) bool { return arn == functionARN },
		Invoke: func(ctx context.Context, _ string, payload []byte) error {
			var e events.SecretsManagerSecretRotationEvent
			if err := json.Unmarshal(payload, &e); err != nil {
				return err
			}
			return Rotate(ctx, client, e)
		},
	})
	server := httptest.NewServer(manager)
	client = newClient(server.URL)
	t.Cleanup(func() { manager.Close(); server.Close() })

	sandbox := endpoint{
		client:   client,
		function: functionARN,
		patience: 10 * time.Second, // more than any machine needs
		pause:    2 * time.Millisecond,
		tick:     5 * time.Millisecond,
		idle:     manager.AwaitIdle,
	}
	conforms(t, sandbox, slices.Concat(versionCases, rotationCases), nowhere)
}
