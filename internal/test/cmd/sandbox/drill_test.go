package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/drill"
)

// TestADrillIsSolved plays a drill as an operator who knows what to do.
func TestADrillIsSolved(t *testing.T) {
	stdout, _ := startUntil(t, "Not healthy: AWSPENDING is on the version", "-drill", "stuck-awspending", "-propagation", "0", "-propagation-timeout", "1s")
	_, getenv := pasted(t, stdout.String())
	for _, want := range []string{"Drill stuck-awspending. A person cancelled", "Not healthy: rotation is off", "Not healthy: the active token is dead", "key.txt"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is not printed:\n%s", want, stdout)
		}
	}
	_, err := newClient(getenv).RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: aws.String(sandbox.SecretName)})
	if err == nil || !strings.Contains(err.Error(), "will be reattempted") {
		t.Errorf("rotate-secret: %v", err)
	}
	stdout.await(t, "The secret is healthy again.", 1)
}

func TestDrillsAreListed(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-drills"}, &stdout, &stderr, noVariables); code != 0 {
		t.Fatalf("exit code %d; %s", code, stderr.String())
	}
	names := regexp.MustCompile(`(?m)^  make drill NAME=(\S+) +[A-Z]`).FindAllStringSubmatch(stdout.String(), -1)
	if len(names) != len(drill.All()) {
		t.Errorf("it lists %v", names)
	}
	for _, name := range names {
		if _, err := drill.Named(name[1]); err != nil {
			t.Error(err)
		}
	}
}
