package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/panther"
)

// tokenKey is where the function finds the token in a secret.
const tokenKey = "PANTHER_API_TOKEN"

// account is a sandbox with a client of its Secrets Manager.
type account struct {
	*sandbox.Sandbox
	client *secretsmanager.Client
	http   *http.Client
}

func openAccount(ctx context.Context, o sandbox.Options) (*account, error) {
	box, err := sandbox.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	a := &account{Sandbox: box, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	a.client = secretsmanager.New(secretsmanager.Options{
		Region:       box.Region,
		BaseEndpoint: &box.SecretsManagerURL,
		HTTPClient:   a.http,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "bench", SecretAccessKey: "bench"}, nil
		}),
	})
	return a, nil
}

func (a *account) close() error {
	a.http.CloseIdleConnections()
	return a.Close()
}

// createSecret stores a new token of Panther as a secret, and returns the
// secret's ARN and the token.
func (a *account) createSecret(ctx context.Context, name string) (arn, token string, err error) {
	token = a.Panther.NewToken(name)
	value, err := json.Marshal(map[string]string{"owner": "detection engineering", tokenKey: token})
	if err != nil {
		return "", "", err
	}
	created, err := a.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(string(value))})
	if err != nil {
		return "", "", err
	}
	return aws.ToString(created.ARN), token, nil
}

// rotateSecret has Secrets Manager start a rotation, or go on with one that did
// not come to its end.
func (a *account) rotateSecret(ctx context.Context, arn string) error {
	_, err := a.client.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: &arn, RotationLambdaARN: aws.String(a.Function.ARN())})
	if err != nil && !strings.Contains(err.Error(), "That rotation will be reattempted") {
		return err
	}
	return nil
}

// checkRotated returns an error unless AWSCURRENT holds a token that lives and
// is another one than before.
func (a *account) checkRotated(ctx context.Context, arn, before string) error {
	out, err := a.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		return err
	}
	var value map[string]string
	if err := json.Unmarshal([]byte(aws.ToString(out.SecretString)), &value); err != nil {
		return fmt.Errorf("%s: AWSCURRENT is not the JSON object it was", arn)
	}
	if status := a.Panther.Status(value[tokenKey]); status != panther.Living {
		return fmt.Errorf("%s: the token of AWSCURRENT is %s", arn, status)
	}
	if value[tokenKey] == before {
		return fmt.Errorf("%s: the token was not rotated", arn)
	}
	return nil
}
