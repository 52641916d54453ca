//go:build verify

package conformance

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/secretsmanager"
)

func TestMotoConforms(t *testing.T) {
	moto := endpoint{
		client:   newClient(startMoto(t)),
		function: functionARN,
		tick:     1100 * time.Millisecond, // moto's dates are whole seconds
	}
	known := slices.DeleteFunc(slices.Concat(versionCases, rotationCases), func(c testCase) bool { return c.notKnownOfAWS })
	conforms(t, moto, known, func(c testCase) string { return c.motoDiffers })
}

func TestAWSConforms(t *testing.T) {
	if os.Getenv("CONFORMANCE_AWS") != "1" {
		t.Skip("the real service is asked with CONFORMANCE_AWS=1, credentials, AWS_REGION and CONFORMANCE_ROTATION_FUNCTION")
	}
	if os.Getenv("AWS_ENDPOINT_URL")+os.Getenv("AWS_ENDPOINT_URL_SECRETS_MANAGER") != "" {
		t.Fatal("AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_SECRETS_MANAGER is set, so that it need not be AWS that answers")
	}
	config, err := secretsmanager.ReadAWSConfig(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	function := os.Getenv("CONFORMANCE_ROTATION_FUNCTION")
	if !strings.HasPrefix(function, "arn:") {
		t.Fatal("CONFORMANCE_ROTATION_FUNCTION has to be the ARN of the function in the folder rotationfunction")
	}
	aws := endpoint{
		client:   secretsmanager.NewClient(config, "panther-token-rotation-conformance/1"),
		function: function,
		settle:   10 * time.Second,
		patience: 5 * time.Minute,
		pause:    2 * time.Second,
		tick:     1100 * time.Millisecond,
		idle:     func(context.Context) error { time.Sleep(20 * time.Second); return nil }, // a guess
	}
	conforms(t, aws, slices.Concat(versionCases, rotationCases), nowhere)
}
