package secretsmanager

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// TestVersionsAndLabels has a case for each documented or recorded behaviour. Each
// starts from version 1, AWSCURRENT, with the value "one"; given comes before the
// call that is judged.
func TestVersionsAndLabels(t *testing.T) {
	t.Parallel()
	one, two, three := *id(1), *id(2), *id(3)
	twoCurrent := func(a *account) error { return a.put(&two, "two") }
	twoPending := func(a *account) error { return a.put(&two, "two", "AWSPENDING") }
	for name, c := range map[string]struct {
		given, call   func(a *account) error
		code, message string
		labels        string // afterwards
	}{
		"PutSecretValue without VersionStages moves AWSCURRENT, and AWSPREVIOUS follows": {
			call: twoCurrent, labels: "1 AWSPREVIOUS, 2 AWSCURRENT",
		},
		"the version before the previous one loses its last label": {
			given: twoCurrent, call: func(a *account) error { return a.put(&three, "three") },
			labels: "2 AWSPREVIOUS, 3 AWSCURRENT",
		},
		"PutSecretValue with a label leaves AWSCURRENT": {
			call: twoPending, labels: "1 AWSCURRENT, 2 AWSPENDING",
		},
		"the same token and value are ignored": {
			given: twoCurrent, call: twoCurrent, labels: "1 AWSPREVIOUS, 2 AWSCURRENT",
		},
		"an ignored PutSecretValue does not touch labels": {
			given: twoCurrent, call: func(a *account) error { return a.put(&one, "one") },
			labels: "1 AWSPREVIOUS, 2 AWSCURRENT",
		},
		"an ignored PutSecretValue with other labels does not touch labels": {
			call:   func(a *account) error { return a.put(&one, "one", "AWSPENDING") },
			labels: "1 AWSCURRENT",
		},
		"an ignored PutSecretValue of AWSCURRENT leaves AWSPENDING elsewhere": {
			given: twoPending, call: func(a *account) error { return a.put(&one, "one", "AWSCURRENT") },
			labels: "1 AWSCURRENT, 2 AWSPENDING",
		},
		"the same token and another value": {
			call: func(a *account) error { return a.put(&one, "other") },
			code: "ResourceExistsException", message: "You can't use ClientRequestToken " + one, labels: "1 AWSCURRENT",
		},
		"the same bytes as SecretBinary are another value": {
			call: func(a *account) error {
				_, err := a.PutSecretValue(a.t.Context(), &sdk.PutSecretValueInput{SecretId: &a.arn, ClientRequestToken: &one, SecretBinary: []byte("one")})
				return err
			},
			code: "ResourceExistsException", labels: "1 AWSCURRENT",
		},
		"AWSPENDING sits on one version": {
			given: twoPending, call: func(a *account) error { return a.put(&three, "three", "AWSPENDING") },
			labels: "1 AWSCURRENT, 3 AWSPENDING",
		},
		"a custom label sits on one version": {
			given:  func(a *account) error { return a.put(&two, "two", "BLUE") },
			call:   func(a *account) error { return a.put(&three, "three", "BLUE", "GREEN") },
			labels: "1 AWSCURRENT, 3 BLUE GREEN",
		},
		"a new AWSCURRENT put by hand takes AWSPENDING off the older version": {
			given: twoPending, call: func(a *account) error { return a.put(&three, "three") },
			labels: "1 AWSPREVIOUS, 3 AWSCURRENT",
		},
		"UpdateSecretVersionStage leaves AWSPENDING next to AWSCURRENT": {
			given: twoPending, call: func(a *account) error { return a.move("AWSCURRENT", two, one) },
			labels: "1 AWSPREVIOUS, 2 AWSCURRENT AWSPENDING",
		},
		"AWSCURRENT moves back, and AWSPREVIOUS with it": {
			given: twoCurrent, call: func(a *account) error { return a.move("AWSCURRENT", one, two) },
			labels: "1 AWSCURRENT, 2 AWSPREVIOUS",
		},
		"AWSCURRENT moves without RemoveFromVersionId": {
			given: twoPending, call: func(a *account) error { return a.move("AWSCURRENT", two, "") },
			code: "InvalidParameterException", labels: "1 AWSCURRENT, 2 AWSPENDING",
			message: "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version " + one + ", so you must explicitly reference that version in RemoveFromVersionId.",
		},
		"AWSCURRENT moves from a version that does not have it": {
			given: twoPending, call: func(a *account) error { return a.move("AWSCURRENT", two, two) },
			code: "InvalidParameterException", labels: "1 AWSCURRENT, 2 AWSPENDING",
			message: "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version " + one,
		},
		"AWSCURRENT cannot be taken away": {
			call: func(a *account) error { return a.move("AWSCURRENT", "", one) },
			code: "InvalidParameterException", message: "You can only move staging label AWSCURRENT", labels: "1 AWSCURRENT",
		},
		"AWSPENDING is taken away by hand": {
			given: twoPending, call: func(a *account) error { return a.move("AWSPENDING", "", two) },
			labels: "1 AWSCURRENT",
		},
		"a label moves to an unknown version": {
			call: func(a *account) error { return a.move("AWSCURRENT", three, one) },
			code: "ResourceNotFoundException", labels: "1 AWSCURRENT",
		},
		"a label moves nowhere from nowhere": {
			call: func(a *account) error { return a.move("AWSPENDING", "", "") },
			code: "InvalidParameterException", labels: "1 AWSCURRENT",
		},
		"a label is taken from an unknown version": {
			call: func(a *account) error { return a.move("AWSPENDING", one, three) },
			code: "ResourceNotFoundException", labels: "1 AWSCURRENT",
		},
		"a label that is nowhere is taken from a version": {
			call: func(a *account) error { return a.move("AWSPENDING", "", one) },
			code: "InvalidParameterException", message: "Staging label AWSPENDING is not attached to version " + one, labels: "1 AWSCURRENT",
		},
		"a label moves to where it is": {
			given: twoPending, call: func(a *account) error { return a.move("AWSPENDING", two, "") },
			labels: "1 AWSCURRENT, 2 AWSPENDING",
		},
		"a label that is nowhere is attached": {
			given: twoCurrent, call: func(a *account) error { return a.move("BLUE", one, "") },
			labels: "1 AWSPREVIOUS BLUE, 2 AWSCURRENT",
		},
		"GetSecretValue with a label of another version": {
			given: twoPending, call: func(a *account) error { _, err := a.get(one, "AWSPENDING"); return err },
			code: "InvalidRequestException", message: "You provided a VersionStage that is not associated to the provided VersionId.",
			labels: "1 AWSCURRENT, 2 AWSPENDING",
		},
		"GetSecretValue with a label that no version has": {
			call: func(a *account) error { _, err := a.get("", "AWSPREVIOUS"); return err },
			code: "ResourceNotFoundException", message: "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS",
			labels: "1 AWSCURRENT",
		},
		"GetSecretValue of an unknown version": {
			call: func(a *account) error { _, err := a.get(three, ""); return err },
			code: "ResourceNotFoundException", message: "Secrets Manager can't find the specified secret value for VersionId: " + three,
			labels: "1 AWSCURRENT",
		},
		"GetSecretValue of a deprecated version still reads": {
			given: func(a *account) error {
				if err := a.put(&two, "two"); err != nil {
					return err
				}
				return a.put(&three, "three")
			},
			call:   func(a *account) error { _, err := a.get(one, ""); return err },
			labels: "2 AWSPREVIOUS, 3 AWSCURRENT",
		},
		"65,536 bytes": {
			call:   func(a *account) error { return a.put(&two, strings.Repeat("x", 65536)) },
			labels: "1 AWSPREVIOUS, 2 AWSCURRENT",
		},
		"more than 65,536 bytes": {
			call: func(a *account) error { return a.put(&two, strings.Repeat("x", 65537)) },
			code: "ValidationException", labels: "1 AWSCURRENT",
		},
		"65,536 bytes are not characters": {
			call: func(a *account) error { return a.put(&two, strings.Repeat("é", 32769)) },
			code: "ValidationException", labels: "1 AWSCURRENT",
		},
		"VersionStages needs an item": {
			call: func(a *account) error { return a.put(&two, "two", []string{}...) },
			code: "ValidationException", labels: "1 AWSCURRENT",
		},
		"an empty value": {
			call: func(a *account) error { return a.put(&two, "") },
			code: "InvalidParameterException", labels: "1 AWSCURRENT",
		},
		"no value": {
			call: func(a *account) error {
				_, err := a.PutSecretValue(a.t.Context(), &sdk.PutSecretValueInput{SecretId: &a.arn})
				return err
			},
			code: "InvalidParameterException", labels: "1 AWSCURRENT",
		},
		"a ClientRequestToken of 31 characters": {
			call: func(a *account) error { return a.put(aws.String(strings.Repeat("a", 31)), "two") },
			code: "InvalidParameterException", message: "ClientRequestToken must be 32-64 characters long.", labels: "1 AWSCURRENT",
		},
		"a ClientRequestToken of 65 characters": {
			call: func(a *account) error { return a.put(aws.String(strings.Repeat("a", 65)), "two") },
			code: "InvalidParameterException", message: "ClientRequestToken must be 32-64 characters long.", labels: "1 AWSCURRENT",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openAccount(t, Options{})
			if c.given != nil {
				wantError(t, c.given(a), "", "")
			}
			wantError(t, c.call(a), c.code, c.message)
			a.wantLabels(c.labels)
			a.wantValue(one, "", "one")
		})
	}
}

func TestListSecretVersionIds(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	for n, value := range []string{"two", "three", "four"} {
		wantError(t, a.put(id(n+2), value), "", "")
	}
	listed := func(in sdk.ListSecretVersionIdsInput) string {
		in.SecretId = &a.arn
		var ids []string
		for pages := sdk.NewListSecretVersionIdsPaginator(a, &in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.Versions {
				if v.CreatedDate == nil {
					t.Error("a version has no CreatedDate")
				}
				ids = append(ids, strings.TrimLeft(*v.VersionId, "0")+strings.Join(v.VersionStages, ""))
			}
			ids = append(ids, "|")
		}
		return strings.Join(ids, " ")
	}
	if got := listed(sdk.ListSecretVersionIdsInput{}); got != "3AWSPREVIOUS 4AWSCURRENT |" {
		t.Errorf("without deprecated ones: %s", got)
	}
	if got := listed(sdk.ListSecretVersionIdsInput{IncludeDeprecated: aws.Bool(true), MaxResults: aws.Int32(3)}); got != "1 2 3AWSPREVIOUS | 4AWSCURRENT |" {
		t.Errorf("with deprecated ones, in pages of 3: %s", got)
	}
	_, err := a.ListSecretVersionIds(t.Context(), &sdk.ListSecretVersionIdsInput{SecretId: &a.arn, NextToken: aws.String("made up")})
	wantError(t, err, "InvalidNextTokenException", "")
	_, err = a.ListSecretVersionIds(t.Context(), &sdk.ListSecretVersionIdsInput{SecretId: &a.arn, MaxResults: aws.Int32(101)})
	wantError(t, err, "ValidationException", "")
}

func TestBinaryValue(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	if _, err := a.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: &a.arn, SecretBinary: []byte{0, 0xff}}); err != nil {
		t.Fatal(err)
	}
	out, err := a.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: &a.arn})
	if err != nil || string(out.SecretBinary) != "\x00\xff" || out.SecretString != nil {
		t.Errorf("read %v, %v", out, err)
	}
}
