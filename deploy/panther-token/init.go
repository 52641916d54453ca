package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/spf13/cobra"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
	"panther-token-rotation/internal/secretsmanager"
)

func (t *tool) initCommand() *cobra.Command {
	var functionName, kmsKey string
	c := t.command("init SECRET", "Create a secret with one or two API tokens",
		`The tokens come from prompts without echo, or from the first two lines of stdin.
With a second one, the standby, readers see no outage during a rotation. Panther
must accept both. An existing secret is refused.

The address of Panther comes from the function, or from --url.`,
		"  panther-token init acme/panther --function panther-token-rotation\n  panther-token init acme/panther --url acme.runpanther.net --kms-key alias/acme",
		func(ctx context.Context, secretID string) error { return t.create(ctx, secretID, functionName, kmsKey) })
	c.Flags().StringVar(&functionName, "function", "", "function that will rotate the secret, by name or ARN")
	c.Flags().StringVar(&kmsKey, "kms-key", "", "KMS key that encrypts the secret (default: aws/secretsmanager)")
	return c
}

func (t *tool) create(ctx context.Context, name, functionName, kmsKey string) error {
	if strings.Contains(name, ":") {
		return refuse("", "give the name of the new secret, not an ARN")
	}
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	s := &target{tool: t, clients: c, name: name}
	switch _, err := s.describe(ctx); {
	case err == nil:
		return errExists(name)
	case !errors.Is(err, errNoSecret):
		return err
	}
	s.function.err = errors.New("no function was given")
	if functionName != "" {
		if s.function = c.readFunction(ctx, functionName); s.function.err != nil {
			return s.function.err
		}
	}
	if err := s.findPanther(ctx); err != nil {
		return err
	}
	t.say("New secret %s. Panther: %s", name, s.issuer.Host())
	value, err := s.askTokens(ctx)
	if err != nil {
		return err
	}
	in := &sdk.CreateSecretInput{Name: &name, SecretString: aws.String(value.Reveal())}
	if kmsKey != "" {
		in.KmsKeyId = &kmsKey
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t.interrupted = "The secret may have been created. Look at it with: panther-token status " + name
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestWrite)
	defer cancel()
	created, err := s.secrets.CreateSecret(ctx, in)
	if _, exists := errors.AsType[*types.ResourceExistsException](err); exists {
		return errExists(name)
	}
	if err = secretsmanager.Classify("CreateSecret", err); errors.Is(err, rotation.ErrNoAnswer) {
		return errors.New("the request got no answer, so the secret may or may not exist. Try: panther-token status " + name)
	}
	if err != nil {
		return err
	}
	t.interrupted = "The secret was created."
	t.say("%s Created %s.", t.good("Done."), aws.ToString(created.ARN))
	if s.function.arn != "" {
		t.say("Next: aws secretsmanager rotate-secret --secret-id %s --rotation-lambda-arn %s --rotation-rules AutomaticallyAfterDays=30 --no-rotate-immediately", name, s.function.arn)
	} else {
		t.say("Next: deploy the function with this secret.")
	}
	return nil
}

func errExists(name string) error {
	return refuse("panther-token put "+name, "the secret exists already. Nothing was changed")
}

// askTokens reads one or two tokens, has Panther accept them, and returns the
// value for them.
func (s *target) askTokens(ctx context.Context) (secret.Text, error) {
	active, err := s.readToken(ctx, "Active token (not shown)")
	if err != nil {
		return secret.Text{}, err
	}
	if _, err := s.accepted(ctx, nil, active); err != nil {
		return secret.Text{}, err
	}
	standby, err := s.readToken(ctx, "Standby token (not shown; empty for none)")
	if err != nil {
		return secret.Text{}, err
	}
	quote := func(text string) string {
		quoted, _ := json.Marshal(text) // a string always encodes
		return string(quoted)
	}
	value := "{" + quote(s.keys.Token) + ": " + quote(active.Reveal())
	if !standby.IsEmpty() {
		if standby.Equal(active) {
			return secret.Text{}, refuse("Make a second API token in the Panther console.", "both tokens are the same")
		}
		if _, err := s.accepted(ctx, nil, standby); err != nil {
			return secret.Text{}, err
		}
		value += ", " + quote(s.keys.Standby) + ": " + quote(standby.Reveal())
	}
	return secret.NewText(value + "}"), nil
}
