package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"
)

// emptyTempDir is where temporary files go; it has to be empty in the end.
func emptyTempDir(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestNothingIsLeftWhenStartFails(t *testing.T) {
	for name, options := range map[string]Options{
		"a setting that Lambda reserves": {Env: map[string]string{"AWS_REGION": "eu-west-1"}},
		"no time":                        {Timeout: -1},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			emptyTempDir(t)
			if box, err := Start(t.Context(), options); err == nil {
				box.Close()
				t.Error("started")
			}
		})
	}
}

func TestInterruptedBuildLeavesNothing(t *testing.T) {
	t.Setenv("GOCACHE", t.TempDir()) // so that there is much to build
	emptyTempDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, Options{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error: %v", err)
	}
}

func TestBuildsAsMakeDoes(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("-ldflags -s -w", "-ldflags '-s -w'").Replace(strings.Join(buildFlags, " "))
	if !strings.Contains(string(makefile), "\nFLAGS := "+want+"\n") || !strings.Contains(string(makefile), "go build $(FLAGS) -o '$(BUILT)/bootstrap' ./function\n") {
		t.Errorf("make build does not say: %s", want)
	}
}

func TestSecretsManagerMayInvokeItsFunctionOnly(t *testing.T) {
	defer goleak.VerifyNone(t)
	box, err := Start(t.Context(), Options{Binary: os.Args[0], FunctionName: "rotate"})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	client := sdk.New(sdk.Options{
		Region:       box.Region,
		BaseEndpoint: &box.SecretsManagerURL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	if _, err := client.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: aws.String("s"), SecretString: aws.String("token")}); err != nil {
		t.Fatal(err)
	}
	_, err = client.RotateSecret(t.Context(), &sdk.RotateSecretInput{
		SecretId:          aws.String("s"),
		RotationLambdaARN: aws.String(box.Function.ARN() + "-of-somebody-else"),
	})
	if failure, ok := errors.AsType[smithy.APIError](err); !ok || failure.ErrorCode() != "AccessDeniedException" {
		t.Errorf("error: %v", err)
	}
}

func TestCloseTwice(t *testing.T) {
	defer goleak.VerifyNone(t)
	box, err := Start(t.Context(), Options{Binary: os.Args[0]})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	}
}
