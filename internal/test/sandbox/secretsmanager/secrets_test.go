package secretsmanager

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

func TestSecretIsFoundByNameAndARN(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	if !regexp.MustCompile(`^arn:aws:secretsmanager:eu-west-1:123456789012:secret:panther-\w{6}$`).MatchString(a.arn) {
		t.Errorf("the ARN is %s", a.arn)
	}
	for _, secretID := range []string{"panther", a.arn, strings.TrimSuffix(a.arn, a.arn[len(a.arn)-7:])} {
		out, err := a.DescribeSecret(t.Context(), &sdk.DescribeSecretInput{SecretId: &secretID})
		if err != nil || *out.ARN != a.arn {
			t.Errorf("%s is not found: %v", secretID, err)
		}
	}
	for _, secretID := range []string{"panthe", a.arn[:len(a.arn)-1], "other"} {
		_, err := a.GetSecretValue(t.Context(), &sdk.GetSecretValueInput{SecretId: &secretID})
		wantError(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
}

func TestPartitions(t *testing.T) {
	t.Parallel()
	for region, prefix := range map[string]string{"us-gov-west-1": "arn:aws-us-gov:", "cn-north-1": "arn:aws-cn:"} {
		if a := openAccount(t, Options{Region: region}); !strings.HasPrefix(a.arn, prefix+"secretsmanager:"+region+":") {
			t.Errorf("in %s the ARN is %s", region, a.arn)
		}
	}
}

func TestCreateSecret(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in            sdk.CreateSecretInput
		code, message string
	}{
		"the same request again is the same secret": {
			in: sdk.CreateSecretInput{Name: aws.String("panther"), ClientRequestToken: id(1), SecretString: aws.String("one")},
		},
		"another value": {
			in:   sdk.CreateSecretInput{Name: aws.String("panther"), ClientRequestToken: id(1), SecretString: aws.String("other")},
			code: "ResourceExistsException", message: "The operation failed because the secret panther already exists.",
		},
		"another token": {
			in:   sdk.CreateSecretInput{Name: aws.String("panther"), SecretString: aws.String("one")},
			code: "ResourceExistsException",
		},
		"a name that is none": {
			in:   sdk.CreateSecretInput{Name: aws.String("a b"), SecretString: aws.String("one")},
			code: "ValidationException", message: "Invalid name.",
		},
		"two values": {
			in:   sdk.CreateSecretInput{Name: aws.String("b"), SecretString: aws.String("one"), SecretBinary: []byte("one")},
			code: "InvalidParameterException",
		},
		"what the sandbox does not have": {
			in:   sdk.CreateSecretInput{Name: aws.String("b"), AddReplicaRegions: []types.ReplicaRegionType{{Region: aws.String("eu-west-2")}}},
			code: "InvalidParameterException", message: `The sandbox does not have the parameter "AddReplicaRegions" of CreateSecret.`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openAccount(t, Options{})
			out, err := a.CreateSecret(t.Context(), &c.in)
			wantError(t, err, c.code, c.message)
			if err == nil && (*out.ARN != a.arn || *out.VersionId != *id(1)) {
				t.Errorf("it is %s with version %s", *out.ARN, *out.VersionId)
			}
			a.wantValue("", "", "one")
		})
	}
}

func TestSecretWithoutValue(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	out, err := a.CreateSecret(t.Context(), &sdk.CreateSecretInput{
		Name: aws.String("empty"), Description: aws.String("to be filled"), KmsKeyId: aws.String("alias/k"),
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("siem")}},
	})
	if err != nil || out.VersionId != nil {
		t.Fatalf("version %v, %v", aws.ToString(out.VersionId), err)
	}
	a.arn = *out.ARN
	_, err = a.get("", "")
	wantError(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
	wantError(t, a.rotate(id(2)), "InvalidRequestException", "")
	d := a.describe()
	if *d.Description != "to be filled" || *d.KmsKeyId != "alias/k" || len(d.Tags) != 1 || *d.Tags[0].Value != "siem" {
		t.Errorf("it is described as %+v", d)
	}
	if d.RotationEnabled != nil || d.LastRotatedDate != nil || d.NextRotationDate != nil || d.DeletedDate != nil {
		t.Errorf("a secret that was never rotated is described as %+v", d)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	created := *a.describe().CreatedDate
	if age := time.Since(created); age < 0 || age > time.Minute {
		t.Errorf("created at %v", created)
	}
	if a.describe().LastAccessedDate != nil {
		t.Error("accessed before anybody read it")
	}
	a.wantValue("", "", "one")
	wantError(t, a.put(id(2), "two"), "", "")
	d := a.describe()
	if accessed := *d.LastAccessedDate; accessed != accessed.Truncate(24*time.Hour) || time.Since(accessed) > 25*time.Hour {
		t.Errorf("last accessed at %v, want a date without a time", accessed)
	}
	if *d.CreatedDate != created || d.LastChangedDate.Before(created) {
		t.Errorf("created %v, changed %v", d.CreatedDate, d.LastChangedDate)
	}
}

func TestListSecrets(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	for _, name := range []string{"b", "c"} {
		if _, err := a.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: &name, SecretString: &name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: aws.String("c")}); err != nil {
		t.Fatal(err)
	}
	listed := func(in sdk.ListSecretsInput) (names string) {
		for pages := sdk.NewListSecretsPaginator(a, &in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range page.SecretList {
				if len(entry.SecretVersionsToStages) != 1 {
					t.Errorf("%s has versions %v", *entry.Name, entry.SecretVersionsToStages)
				}
				names += *entry.Name + " "
			}
			names += "| "
		}
		return names
	}
	if got := listed(sdk.ListSecretsInput{}); got != "panther b | " {
		t.Errorf("listed %s", got)
	}
	if got := listed(sdk.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true), MaxResults: aws.Int32(1)}); got != "panther | b | c | " {
		t.Errorf("listed one by one, also the deleted: %s", got)
	}
	_, err := a.ListSecrets(t.Context(), &sdk.ListSecretsInput{SortOrder: types.SortOrderTypeAsc})
	wantError(t, err, "InvalidParameterException", `The sandbox does not have the parameter "SortOrder" of ListSecrets.`)
}

func TestDeletedSecret(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	for _, days := range []int64{6, 31} {
		_, err := a.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: &a.arn, RecoveryWindowInDays: &days})
		wantError(t, err, "InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	_, err := a.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: &a.arn, RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)})
	wantError(t, err, "InvalidParameterException", "")
	out, err := a.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: &a.arn, RecoveryWindowInDays: aws.Int64(7)})
	if err != nil {
		t.Fatal(err)
	}
	if window := time.Until(*out.DeletionDate); window < 6*24*time.Hour || window > 7*24*time.Hour {
		t.Errorf("it will be deleted in %v", window)
	}

	const marked = "You can't perform this operation on the secret because it was marked for deletion."
	_, err = a.get("", "")
	wantError(t, err, "InvalidRequestException", marked)
	wantError(t, a.put(id(2), "two"), "InvalidRequestException", marked)
	wantError(t, a.rotate(id(2)), "InvalidRequestException", marked)
	wantError(t, a.move("AWSPENDING", "", *id(1)), "InvalidRequestException", marked)
	if a.describe().DeletedDate == nil {
		t.Error("DescribeSecret does not show that it is deleted")
	}
	name := aws.String("panther")
	_, err = a.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: name})
	wantError(t, err, "InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")

	for range 2 { // forcing it may be repeated
		_, err = a.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: name, ForceDeleteWithoutRecovery: aws.Bool(true)})
		wantError(t, err, "", "")
	}
	_, err = a.get("", "")
	wantError(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	_, err = a.CreateSecret(t.Context(), &sdk.CreateSecretInput{Name: name})
	wantError(t, err, "", "")
	_, err = a.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: aws.String("unknown")})
	wantError(t, err, "ResourceNotFoundException", "")
}

func TestDeletedSecretVanishesAfterItsWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := openInBubble(t, Options{Speed: 24 * 3600}) // a day in a second
		if _, err := a.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: &a.arn, RecoveryWindowInDays: aws.Int64(7)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6900 * time.Millisecond)
		a.describe()
		time.Sleep(200 * time.Millisecond)
		_, err := a.DescribeSecret(t.Context(), &sdk.DescribeSecretInput{SecretId: &a.arn})
		wantError(t, err, "ResourceNotFoundException", "")
	})
}

func TestDeletedSecretIsRestored(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	if _, err := a.DeleteSecret(t.Context(), &sdk.DeleteSecretInput{SecretId: &a.arn}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.RestoreSecret(t.Context(), &sdk.RestoreSecretInput{SecretId: &a.arn}); err != nil {
		t.Fatal(err)
	}
	a.wantValue("", "", "one")
}
