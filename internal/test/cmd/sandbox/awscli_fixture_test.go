//go:build verify

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The answers, with the documented type of each member that comes up here. Dates
// are seconds since 1970, as version 1 of the CLI prints them.
type (
	// versionAnswer is that of create-secret, rotate-secret and cancel-rotate-secret.
	versionAnswer struct{ ARN, Name, VersionId string }
	valueAnswer   struct {
		ARN, Name, VersionId, SecretString string
		VersionStages                      []string
		CreatedDate                        float64
	}
	describeAnswer struct {
		ARN, Name, RotationLambdaARN string
		RotationEnabled              bool
		RotationRules                rulesAnswer
		CreatedDate, LastChangedDate, LastAccessedDate, LastRotatedDate,
		NextRotationDate, DeletedDate float64
		VersionIdsToStages map[string][]string
	}
	rulesAnswer struct {
		AutomaticallyAfterDays       int
		Duration, ScheduleExpression string
	}
	versionsAnswer struct {
		ARN, Name, NextToken string
		Versions             []struct {
			VersionId                     string
			VersionStages, KmsKeyIds      []string
			LastAccessedDate, CreatedDate float64
		}
	}
	deleteAnswer struct {
		ARN, Name    string
		DeletionDate float64
	}
)

// program is the sandbox command, built and running.
type program struct {
	stdout *output
	// printed are the commands of "aws secretsmanager" that it says to paste, by
	// their names; those for its second secret have "scheduled" behind.
	printed map[string][]string
	aws     awsCLI
}

// startProgram builds the command, starts it and reads what it says to paste. The
// test ends it as Ctrl-C does.
func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "sandbox")
	if said, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	p := &program{stdout: &output{}, printed: map[string][]string{}}
	stderr := &output{}
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Stdout, command.Stderr = p.stdout, stderr
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 20 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the test's context has ended, and with it the program
		_ = command.Wait()
		if code := command.ProcessState.ExitCode(); code != 0 || !strings.Contains(p.stdout.String(), "The sandbox has ended") {
			t.Errorf("after the interrupt: exit code %d; %s", code, stderr)
		}
	})
	p.stdout.await(t, "Here follows", 1)

	commands, getenv := pasted(t, p.stdout.String())
	for _, command := range commands {
		name := command[1]
		if slices.Contains(command, "acme/panther-scheduled") {
			name += " scheduled"
		}
		p.printed[name] = command[1:]
	}
	p.aws.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()} // no settings of whoever runs the tests
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PAGER"} {
		p.aws.env = append(p.aws.env, name+"="+getenv(name))
	}
	if _, version, stderr := p.aws.run(t, "--version"); !strings.HasPrefix(version+stderr, "aws-cli/1.") {
		t.Fatalf("the aws on PATH is %s, want version 1, which \"make verify\" installs", version+stderr)
	}
	return p
}

// awsCLI is the aws CLI with the settings that the sandbox prints.
type awsCLI struct{ env []string }

func (a awsCLI) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path, err := exec.LookPath("aws")
	if err != nil {
		t.Fatalf("these tests need the aws CLI on PATH, as \"make verify\" installs it: %v", err)
	}
	var out, errOut bytes.Buffer
	command := exec.CommandContext(t.Context(), path, args...)
	command.Env, command.Stdout, command.Stderr = a.env, &out, &errOut
	_ = command.Run() // the exit code says it
	return command.ProcessState.ExitCode(), out.String(), errOut.String()
}

// answers runs a command of "aws secretsmanager", which has to succeed with exactly
// these members, or with anyMembers, and with the types of answer.
func (a awsCLI) answers(t *testing.T, answer any, members string, args ...string) {
	t.Helper()
	code, stdout, stderr := a.run(t, append([]string{"secretsmanager"}, args...)...)
	if code != 0 || stderr != "" {
		t.Fatalf("%q: exit code %d; %s", args, code, stderr)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, stdout)
	}
	want := slices.Sorted(slices.Values(strings.Fields(members)))
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" && members != anyMembers {
		t.Errorf("%s has other members than AWS documents (-want +got):\n%s", args[0], diff)
	}
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(answer); err != nil {
		t.Fatalf("%s has other types than AWS documents: %v\n%s", args[0], err, stdout)
	}
}

// refused runs a command of "aws secretsmanager" that has to fail so.
func (a awsCLI) refused(t *testing.T, code, operation, message string, args ...string) {
	t.Helper()
	exit, stdout, stderr := a.run(t, append([]string{"secretsmanager"}, args...)...)
	want := fmt.Sprintf("An error occurred (%s) when calling the %s operation: %s", code, operation, message)
	if exit == 0 || stdout != "" || strings.TrimSpace(stderr) != want {
		t.Errorf("%q: exit code %d; %s%s\nwant %s", args, exit, stdout, stderr, want)
	}
}

const (
	anyMembers     = "any"
	versionMembers = "ARN Name VersionId"
	valueMembers   = "ARN Name VersionId SecretString VersionStages CreatedDate"
	// rotatingMembers are those of a secret with a schedule that was read, and
	// that has not been rotated yet.
	rotatingMembers = "ARN Name RotationEnabled RotationLambdaARN RotationRules LastChangedDate LastAccessedDate NextRotationDate VersionIdsToStages CreatedDate"
	rotatedMembers  = rotatingMembers + " LastRotatedDate"
)

// describe returns what describe-secret says.
func (a awsCLI) describe(t *testing.T, members, secret string) describeAnswer {
	t.Helper()
	var d describeAnswer
	a.answers(t, &d, members, "describe-secret", "--secret-id", secret)
	return d
}

// awaitCurrent describes the secret until AWSCURRENT, alone, is on a version.
func (a awsCLI) awaitCurrent(t *testing.T, secret, version string) {
	t.Helper()
	for giveUp := time.Now().Add(time.Minute); ; {
		d := a.describe(t, anyMembers, secret)
		if slices.Equal(d.VersionIdsToStages[version], []string{"AWSCURRENT"}) {
			return
		}
		if time.Now().After(giveUp) {
			t.Fatalf("version %s is not current: %v", version, d.VersionIdsToStages)
		}
	}
}

// token returns the token that get-secret-value finds, and its version.
func (a awsCLI) token(t *testing.T, secret string, args ...string) (token string, v valueAnswer) {
	t.Helper()
	a.answers(t, &v, valueMembers, append([]string{"get-secret-value", "--secret-id", secret}, args...)...)
	var value map[string]string
	if err := json.Unmarshal([]byte(v.SecretString), &value); err != nil || value["PANTHER_API_TOKEN"] == "" {
		t.Errorf("the value is not the JSON that was stored with a token in it: %v", err)
	}
	return value["PANTHER_API_TOKEN"], v
}

func sameStages(t *testing.T, got, want map[string][]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other staging labels (-want +got):\n%s", diff)
	}
}

func stagesOf(list versionsAnswer) map[string][]string {
	stages := map[string][]string{}
	for _, v := range list.Versions {
		stages[v.VersionId] = v.VersionStages
	}
	return stages
}

// awaitEnds waits until a rotation has ended n times, whether it failed or not.
func (p *program) awaitEnds(t *testing.T, version string, n int) {
	t.Helper()
	ends := regexp.MustCompile(`Rotation(Failed|Succeeded)  acme/panther, version ` + version)
	for giveUp := time.Now().Add(30 * time.Second); len(ends.FindAllString(p.stdout.String(), -1)) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatalf("the rotation has not ended %d times:\n%s", n, p.stdout)
		}
	}
}
