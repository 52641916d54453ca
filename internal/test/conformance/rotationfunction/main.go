// The rotation function of the cases that are asked of AWS. Its role needs the
// permissions of the project's own function on secrets whose name begins with
// panther-token-rotation-conformance-, and Secrets Manager must be allowed to invoke
// it.
package main

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"panther-token-rotation/internal/secretsmanager"
	"panther-token-rotation/internal/test/conformance"
)

func main() {
	config, err := secretsmanager.ReadAWSConfig(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	client := secretsmanager.NewClient(config, "panther-token-rotation-conformance/1")
	lambda.Start(func(ctx context.Context, e events.SecretsManagerSecretRotationEvent) error {
		return conformance.Rotate(ctx, client, e)
	})
}
