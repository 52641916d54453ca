// Package conformance holds one table of cases for what AWS Secrets Manager does,
// as far as rotation goes, and asks the same of the sandbox, of moto, and, if told
// to, of AWS itself. The rest of its tests has the project's function work with
// moto and with AWS's own emulator of Lambda, in place of the sandbox's.
//
// The test of the sandbox is an ordinary one. The others need software that is not
// Go's and the build tag verify; "make verify" runs them. The real service is asked by
//
//	CONFORMANCE_AWS=1 CONFORMANCE_ROTATION_FUNCTION=arn:aws:lambda:… \
//		go test -tags verify -v -run AWSConforms -parallel 16 -timeout 1h ./internal/test/conformance
//
// with AWS_REGION and credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
// AWS_SESSION_TOKEN. The rotation function is that in the folder rotationfunction.
// Each case makes a secret and deletes it, also when it fails; but what is ended
// from outside, or by -timeout, leaves secrets behind, which these find:
//
//	aws secretsmanager list-secrets --query 'SecretList[].Name' --filters Key=name,Values=panther-token-rotation-conformance-
package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// Versions and labels by which a case and the rotation function tell each other
// something. The function may know nothing but the secret.
const (
	// failLabel with the name of a step behind it: the step fails while any
	// version carries this label.
	failLabel = "FAIL-"
	// besideLabel, on any version: createSecret also stores besideVersion, which is
	// not the version of the rotation, with the rotation's RotationToken.
	besideLabel   = "PUT-BESIDE"
	besideVersion = 7
	// testedVersion, with testedLabel, says that testSecret saw AWSCURRENT's value
	// in the version that it was to test.
	testedLabel   = "TESTED-A-COPY"
	testedVersion = 8

	newValue = "made by createSecret"
)

// versionID is a version id, which is a ClientRequestToken, with n at its end.
func versionID(n int) string { return fmt.Sprintf("%032d", n) }

// Rotate does one step of a rotation: what AWS's templates do, on a value that says
// nothing, and what the secret's labels ask for.
func Rotate(ctx context.Context, client *secretsmanager.Client, e events.SecretsManagerSecretRotationEvent) error {
	d, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &e.SecretID})
	if err != nil {
		return err
	}
	current := ""
	asked := map[string]bool{}
	for id, labels := range d.VersionIdsToStages {
		for _, label := range labels {
			asked[label] = true
		}
		if slices.Contains(labels, "AWSCURRENT") {
			current = id
		}
	}
	switch {
	case !aws.ToBool(d.RotationEnabled):
		return errors.New("rotation is not enabled")
	case current == e.ClientRequestToken:
		return nil
	case !slices.Contains(d.VersionIdsToStages[e.ClientRequestToken], "AWSPENDING"):
		return errors.New("AWSPENDING is not on the version")
	case asked[failLabel+e.Step]:
		return errors.New("a label makes this step fail")
	}

	put := func(id, value, label string) error {
		in := &secretsmanager.PutSecretValueInput{
			SecretId: &e.SecretID, ClientRequestToken: &id, SecretString: &value, VersionStages: []string{label},
		}
		if e.RotationToken != "" {
			in.RotationToken = &e.RotationToken
		}
		_, err := client.PutSecretValue(ctx, in)
		return err
	}
	value := func(id string) (string, error) {
		out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &e.SecretID, VersionId: &id})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.SecretString), nil
	}

	switch e.Step {
	case "createSecret":
		if asked[besideLabel] {
			if err := put(versionID(besideVersion), "beside", "BESIDE"); err != nil {
				return err
			}
		}
		if _, err := value(e.ClientRequestToken); err == nil {
			return nil
		}
		return put(e.ClientRequestToken, newValue, "AWSPENDING")
	case "testSecret":
		tested, err := value(e.ClientRequestToken)
		if err != nil {
			return err
		}
		if old, err := value(current); err != nil || old != tested {
			return err
		}
		return put(versionID(testedVersion), "tested", testedLabel)
	case "finishSecret":
		_, err := client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
			SecretId: &e.SecretID, VersionStage: aws.String("AWSCURRENT"),
			MoveToVersionId: &e.ClientRequestToken, RemoveFromVersionId: &current,
		})
		return err
	}
	return nil // setSecret
}
