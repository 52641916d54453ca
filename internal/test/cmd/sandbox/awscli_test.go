//go:build verify

package main

import (
	"fmt"
	"maps"
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
	t.Run("list-secret-version-ids says when a version was last read", func(t *testing.T) {
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
