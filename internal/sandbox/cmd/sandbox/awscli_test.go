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

// These tests have the ordinary aws CLI, the "aws" on PATH that "make verify"
// installs, work with the sandbox as a program of its own. They hold what it
// prints to what the AWS CLI Command Reference documents
// (https://docs.aws.amazon.com/cli/latest/reference/secretsmanager/): the members
// of each answer, their types, and error messages as the CLI shows them.

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

func TestAWSCLIRotatesNow(t *testing.T) {
	const secret = "acme/panther"
	p := startProgram(t, "-speed", "1", "-propagation", "1s")
	aws := p.aws
	var created, rotated, again versionAnswer
	var first string

	t.Run("what is not there is refused", func(t *testing.T) {
		for _, c := range []struct{ operation, command string }{
			{"DescribeSecret", "describe-secret"}, {"GetSecretValue", "get-secret-value"}, {"RotateSecret", "rotate-secret"},
			{"CancelRotateSecret", "cancel-rotate-secret"}, {"ListSecretVersionIds", "list-secret-version-ids"}, {"DeleteSecret", "delete-secret"},
		} {
			aws.refused(t, "ResourceNotFoundException", c.operation, "Secrets Manager can't find the specified secret.", c.command, "--secret-id", "nobody/made-this")
		}
	})
	t.Run("create-secret makes a secret with a first version", func(t *testing.T) {
		aws.answers(t, &created, versionMembers, p.printed["create-secret"]...)
		if created.Name != secret || !strings.HasPrefix(created.ARN, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/panther-") {
			t.Errorf("got %+v", created)
		}
		aws.refused(t, "ResourceExistsException", "CreateSecret", "The operation failed because the secret acme/panther already exists.", p.printed["create-secret"]...)
	})
	t.Run("describe-secret shows nothing of a rotation", func(t *testing.T) {
		d := aws.describe(t, "ARN Name LastChangedDate VersionIdsToStages CreatedDate", secret)
		sameStages(t, d.VersionIdsToStages, map[string][]string{created.VersionId: {"AWSCURRENT"}})
	})
	t.Run("get-secret-value finds the value by name, ARN, version and label", func(t *testing.T) {
		var v valueAnswer
		first, v = aws.token(t, secret)
		if v.VersionId != created.VersionId || v.ARN != created.ARN || v.Name != secret || !slices.Equal(v.VersionStages, []string{"AWSCURRENT"}) {
			t.Errorf("got %+v", v)
		}
		for _, args := range [][]string{{"--version-id", created.VersionId}, {"--version-stage", "AWSCURRENT"}} {
			if same, _ := aws.token(t, created.ARN, args...); same != first {
				t.Errorf("%q reads something else", args)
			}
		}
		aws.refused(t, "ResourceNotFoundException", "GetSecretValue", "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS",
			"get-secret-value", "--secret-id", secret, "--version-stage", "AWSPREVIOUS")
	})
	t.Run("rotate-secret needs a function that it may invoke", func(t *testing.T) {
		aws.refused(t, "InvalidRequestException", "RotateSecret", "No Lambda rotation function ARN is associated with this secret.", "rotate-secret", "--secret-id", secret)
		aws.refused(t, "AccessDeniedException", "RotateSecret", "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.",
			"rotate-secret", "--secret-id", secret, "--rotation-lambda-arn", "arn:aws:lambda:eu-west-1:123456789012:function:another")
	})
	t.Run("rotate-secret answers with the new version at once", func(t *testing.T) {
		aws.answers(t, &rotated, versionMembers, p.printed["rotate-secret"]...)
		if rotated.ARN != created.ARN || rotated.Name != secret || rotated.VersionId == created.VersionId {
			t.Errorf("got %+v", rotated)
		}
	})
	t.Run("describe-secret shows in the end that it is rotated", func(t *testing.T) {
		aws.awaitCurrent(t, secret, rotated.VersionId)
		d := aws.describe(t, rotatedMembers, secret)
		sameStages(t, d.VersionIdsToStages, map[string][]string{created.VersionId: {"AWSPREVIOUS"}, rotated.VersionId: {"AWSCURRENT"}})
		if !d.RotationEnabled || d.RotationLambdaARN == "" || d.RotationRules != (rulesAnswer{AutomaticallyAfterDays: 30}) {
			t.Errorf("got %+v", d)
		}
		if days := (d.NextRotationDate - d.LastRotatedDate) / (24 * 3600); days > 31 || days < 29 {
			t.Errorf("the next rotation is %.1f days after the last one", days)
		}
	})
	t.Run("get-secret-value finds the new token, and the old one as the previous", func(t *testing.T) {
		second, v := aws.token(t, secret)
		if second == first || v.VersionId != rotated.VersionId || !slices.Equal(v.VersionStages, []string{"AWSCURRENT"}) {
			t.Errorf("got version %s, %q", v.VersionId, v.VersionStages)
		}
		if previous, _ := aws.token(t, secret, "--version-stage", "AWSPREVIOUS"); previous != first {
			t.Error("the previous version is not the first one")
		}
		aws.refused(t, "InvalidRequestException", "GetSecretValue", "You provided a VersionStage that is not associated to the provided VersionId.",
			"get-secret-value", "--secret-id", secret, "--version-id", rotated.VersionId, "--version-stage", "AWSPREVIOUS")
	})
	t.Run("rotate-secret rotates again, with other rules", func(t *testing.T) {
		aws.answers(t, &again, versionMembers, "rotate-secret", "--secret-id", secret, "--rotation-rules", `{"ScheduleExpression":"rate(10 days)","Duration":"3h"}`)
		aws.awaitCurrent(t, secret, again.VersionId)
		d := aws.describe(t, rotatedMembers, secret)
		sameStages(t, d.VersionIdsToStages, map[string][]string{rotated.VersionId: {"AWSPREVIOUS"}, again.VersionId: {"AWSCURRENT"}})
		if d.RotationRules.ScheduleExpression != "rate(10 days)" || d.RotationRules.Duration != "3h" {
			t.Errorf("the rules are %+v", d.RotationRules)
		}
	})
	t.Run("describe-secret calculates AutomaticallyAfterDays from the schedule", func(t *testing.T) {
		// "In DescribeSecret and ListSecrets, this value is calculated from the
		// rotation schedule after every successful rotation."
		// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html)
		if d := aws.describe(t, rotatedMembers, secret); d.RotationRules.AutomaticallyAfterDays != 10 {
			t.Errorf("AutomaticallyAfterDays is %d with rate(10 days)", d.RotationRules.AutomaticallyAfterDays)
		}
	})
	t.Run("rotate-secret refuses the rules as describe-secret gives them", func(t *testing.T) {
		// The runbook takes the calculated days out
		// (https://github.com/hashicorp/terraform-provider-aws/issues/33329).
		rules := aws.describe(t, rotatedMembers, secret).RotationRules
		both := fmt.Sprintf(`{"AutomaticallyAfterDays":%d,"ScheduleExpression":%q}`, rules.AutomaticallyAfterDays, rules.ScheduleExpression)
		aws.refused(t, "InvalidParameterException", "RotateSecret", "You cannot specify both rotation frequency and schedule expression together.",
			"rotate-secret", "--secret-id", secret, "--rotation-rules", both, "--no-rotate-immediately")
	})
	t.Run("list-secret-version-ids lists those with labels, or all", func(t *testing.T) {
		var labelled, all versionsAnswer
		aws.answers(t, &labelled, "Versions ARN Name", "list-secret-version-ids", "--secret-id", secret)
		aws.answers(t, &all, "Versions ARN Name", "list-secret-version-ids", "--secret-id", secret, "--include-deprecated")
		sameStages(t, stagesOf(labelled), map[string][]string{rotated.VersionId: {"AWSPREVIOUS"}, again.VersionId: {"AWSCURRENT"}})
		sameStages(t, stagesOf(all), map[string][]string{created.VersionId: nil, rotated.VersionId: {"AWSPREVIOUS"}, again.VersionId: {"AWSCURRENT"}})
		for _, v := range all.Versions {
			if v.CreatedDate == 0 {
				t.Errorf("version %s has no CreatedDate", v.VersionId)
			}
		}
	})
	t.Run("list-secret-version-ids tells when a version was last read", func(t *testing.T) {
		// "The date that this version of the secret was last accessed."
		// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_SecretVersionsListEntry.html)
		_, _ = aws.token(t, secret)
		var list versionsAnswer
		aws.answers(t, &list, "Versions ARN Name", "list-secret-version-ids", "--secret-id", secret)
		for _, v := range list.Versions {
			if slices.Contains(v.VersionStages, "AWSCURRENT") && v.LastAccessedDate == 0 {
				t.Errorf("version %s was read and has no LastAccessedDate", v.VersionId)
			}
		}
	})
	t.Run("cancel-rotate-secret turns rotation off", func(t *testing.T) {
		var cancelled versionAnswer
		aws.answers(t, &cancelled, "ARN Name", "cancel-rotate-secret", "--secret-id", secret)
		d := aws.describe(t, anyMembers, secret) // for its members, see the next step
		if d.RotationEnabled || d.NextRotationDate != 0 {
			t.Errorf("rotation is still on: %+v", d)
		}
		if d.RotationRules.ScheduleExpression != "rate(10 days)" || d.RotationLambdaARN == "" {
			t.Errorf("the previous schedule and function are not shown: %+v", d)
		}
	})
	t.Run("describe-secret shows no LastRotatedDate while rotation is off", func(t *testing.T) {
		// "If the secret isn't configured for rotation or rotation has been
		// disabled, Secrets Manager returns null."
		// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html)
		aws.describe(t, strings.ReplaceAll(rotatingMembers, "NextRotationDate", ""), secret)
	})
	t.Run("delete-secret gives the days that it was told", func(t *testing.T) {
		var deleted deleteAnswer
		aws.answers(t, &deleted, "ARN Name DeletionDate", "delete-secret", "--secret-id", secret, "--recovery-window-in-days", "7")
		if days := (deleted.DeletionDate - float64(time.Now().Unix())) / (24 * 3600); days < 6.9 || days > 7.1 {
			t.Errorf("it is deleted in %.2f days", days)
		}
		const marked = "You can't perform this operation on the secret because it was marked for deletion."
		aws.refused(t, "InvalidRequestException", "GetSecretValue", marked, "get-secret-value", "--secret-id", secret)
		aws.refused(t, "InvalidRequestException", "RotateSecret", marked, "rotate-secret", "--secret-id", secret)
		aws.refused(t, "InvalidRequestException", "CreateSecret", "You can't create this secret because a secret with this name is already scheduled for deletion.", p.printed["create-secret"]...)
		if d := aws.describe(t, anyMembers, secret); d.DeletedDate == 0 {
			t.Error("describe-secret does not say that it is deleted")
		}
	})
}

func stagesOf(list versionsAnswer) map[string][]string {
	stages := map[string][]string{}
	for _, v := range list.Versions {
		stages[v.VersionId] = v.VersionStages
	}
	return stages
}

// TestAWSCLIRotatesOnASchedule lets four hours pass in half a second.
func TestAWSCLIRotatesOnASchedule(t *testing.T) {
	const secret = "acme/panther-scheduled"
	p := startProgram(t, "-speed", "28800", "-propagation", "0")
	aws := p.aws
	var created, rotated versionAnswer
	var token string

	t.Run("create-secret and rotate-secret with rate(4 hours)", func(t *testing.T) {
		aws.answers(t, &created, versionMembers, p.printed["create-secret scheduled"]...)
		token, _ = aws.token(t, secret)
		aws.answers(t, &rotated, versionMembers, p.printed["rotate-secret scheduled"]...)
	})
	t.Run("the schedule rotates it again and again", func(t *testing.T) {
		p.stdout.await(t, "RotationSucceeded  acme/panther-scheduled, version ", 4)
		if now, _ := aws.token(t, secret); now == token {
			t.Error("the token is the first one")
		}
	})
	t.Run("describe-secret gives the dates of the last rotation and of the next", func(t *testing.T) {
		d := aws.describe(t, rotatedMembers, secret)
		if !d.RotationEnabled || d.RotationRules.ScheduleExpression != "rate(4 hours)" {
			t.Errorf("got %+v", d)
		}
		// With one under way, the next is the one behind it.
		if hours := (d.NextRotationDate - d.LastRotatedDate) / 3600; hours <= 0 || hours > 9 {
			t.Errorf("the next rotation is %.2f hours after the last one", hours)
		}
	})
	t.Run("cancel-rotate-secret stops it", func(t *testing.T) {
		var cancelled versionAnswer // with a VersionId if a rotation is under way
		aws.answers(t, &cancelled, anyMembers, "cancel-rotate-secret", "--secret-id", secret)
		versions := func() map[string][]string {
			var list versionsAnswer
			aws.answers(t, &list, "Versions ARN Name", "list-secret-version-ids", "--secret-id", secret, "--include-deprecated")
			return stagesOf(list)
		}
		before := slices.Sorted(maps.Keys(versions()))
		time.Sleep(time.Second) // eight hours of the program's clock
		if diff := cmp.Diff(before, slices.Sorted(maps.Keys(versions()))); diff != "" {
			t.Errorf("it was rotated after that:\n%s", diff)
		}
	})
}

// TestAWSCLIReattemptsAFailedRotation has a token take longer to propagate than the
// function waits for it, in all of Secrets Manager's own attempts.
func TestAWSCLIReattemptsAFailedRotation(t *testing.T) {
	const secret = "acme/panther"
	const notComplete = "A previous rotation isn't complete. That rotation will be reattempted."
	p := startProgram(t, "-speed", "1", "-propagation", "12s", "-propagation-timeout", "1s", "-retry-pause", "100ms")
	aws := p.aws
	var created, rotated, next versionAnswer
	var old, fresh string

	t.Run("rotate-secret answers as ever, and the rotation fails", func(t *testing.T) {
		aws.answers(t, &created, versionMembers, p.printed["create-secret"]...)
		aws.answers(t, &rotated, versionMembers, p.printed["rotate-secret"]...)
		p.stdout.await(t, "RotationFailed  acme/panther, version "+rotated.VersionId, 1)
	})
	t.Run("describe-secret shows it stuck, with AWSPENDING on the new version", func(t *testing.T) {
		d := aws.describe(t, rotatingMembers, secret)
		sameStages(t, d.VersionIdsToStages, map[string][]string{created.VersionId: {"AWSCURRENT"}, rotated.VersionId: {"AWSPENDING"}})
	})
	t.Run("get-secret-value has both tokens", func(t *testing.T) {
		old, _ = aws.token(t, secret)
		var v valueAnswer
		fresh, v = aws.token(t, secret, "--version-stage", "AWSPENDING")
		if fresh == old || v.VersionId != rotated.VersionId {
			t.Errorf("AWSPENDING is on %s", v.VersionId)
		}
	})
	t.Run("rotate-secret says that it will be reattempted, and it is, until it succeeds", func(t *testing.T) {
		succeeded := "RotationSucceeded  acme/panther, version " + rotated.VersionId
		for ends := 1; !strings.Contains(p.stdout.String(), succeeded); ends++ {
			aws.refused(t, "InvalidRequestException", "RotateSecret", notComplete, "rotate-secret", "--secret-id", secret)
			if t.Failed() || ends > 12 {
				t.Fatalf("after %d attempts: %s", ends, p.stdout)
			}
			p.awaitEnds(t, rotated.VersionId, ends+1)
		}
	})
	t.Run("describe-secret and get-secret-value show the version of the first attempt", func(t *testing.T) {
		d := aws.describe(t, rotatedMembers, secret)
		sameStages(t, d.VersionIdsToStages, map[string][]string{created.VersionId: {"AWSPREVIOUS"}, rotated.VersionId: {"AWSCURRENT"}})
		if now, v := aws.token(t, secret); now != fresh || v.VersionId != rotated.VersionId {
			t.Errorf("AWSCURRENT is on %s", v.VersionId)
		}
	})
	t.Run("cancel-rotate-secret names the version of a rotation under way", func(t *testing.T) {
		aws.answers(t, &next, versionMembers, "rotate-secret", "--secret-id", secret)
		p.stdout.await(t, "StepSucceeded createSecret  acme/panther, version "+next.VersionId, 1)
		var cancelled versionAnswer
		aws.answers(t, &cancelled, versionMembers, "cancel-rotate-secret", "--secret-id", secret)
		if cancelled.VersionId != next.VersionId {
			t.Errorf("it names %s, want %s", cancelled.VersionId, next.VersionId)
		}
	})
	t.Run("its AWSPENDING stays, and blocks rotations that follow", func(t *testing.T) {
		// "Failing to clean up a cancelled rotation can block you from starting
		// future rotations."
		// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CancelRotateSecret.html)
		var list versionsAnswer
		aws.answers(t, &list, "Versions ARN Name", "list-secret-version-ids", "--secret-id", secret)
		sameStages(t, stagesOf(list), map[string][]string{
			created.VersionId: {"AWSPREVIOUS"}, rotated.VersionId: {"AWSCURRENT"}, next.VersionId: {"AWSPENDING"},
		})
		aws.refused(t, "InvalidRequestException", "RotateSecret", notComplete, "rotate-secret", "--secret-id", secret)
	})
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
